#pragma once

#include <atomic>
#include <chrono>

#include "base/time.hpp"

namespace strata {

// The port through which all code learns the time: wall-clock time for dates, steady time for
// durations and deadlines.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual std::chrono::steady_clock::time_point steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  Instant now() const override;
  std::chrono::steady_clock::time_point steady() const override;
};

// Blocks the calling thread, for commands that ask a server again and again; never on an event
// loop.
void sleep_blocking(std::chrono::milliseconds duration);

// A clock that a test moves by hand.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Instant start) : micros_(start.micros) {}
  Instant now() const override { return Instant{micros_.load()}; }
  std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::time_point(std::chrono::microseconds(micros_.load()));
  }
  void advance(std::chrono::microseconds d) { micros_.fetch_add(d.count()); }

 private:
  std::atomic<std::int64_t> micros_;
};

}  // namespace strata
