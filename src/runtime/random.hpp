#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>

#include "runtime/clock.hpp"

namespace strata {

// The port through which all code draws random bytes. SystemRandom is cryptographically strong
// (getrandom); SeededRandom repeats itself for tests. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::string bytes(std::size_t count) = 0;

  std::uint64_t u64();
  // `count` random bytes as 2 * count hex digits.
  std::string hex(std::size_t count);
  // `count` characters of [0-9A-Za-z], about 5.95 bits each.
  std::string alphanumeric(std::size_t count);
  // UUID version 7 (RFC 9562): sorts by the time of its making.
  std::string uuid7(Instant now);
};

class SystemRandom final : public Random {
 public:
  std::string bytes(std::size_t count) override;
};

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  std::string bytes(std::size_t count) override;

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

}  // namespace strata
