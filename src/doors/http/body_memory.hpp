#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/metrics.hpp"
#include "base/result.hpp"

namespace strata::http {

// What the bodies of all requests may take together while they are held in memory, on every port.
// Nobody waits for room: what finds none is refused and gives back what it held, so bodies that
// stop half-way cannot block each other. The last eighth is for small bodies, which thus find room
// when large ones take all that they may.
class BodyMemory {
 public:
  static constexpr std::uint64_t kSmall = 64 << 10;

  BodyMemory(std::uint64_t bytes, metrics::Registry& metrics);

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t taken() const { return taken_.load(); }

 private:
  friend class BodyHold;
  std::uint64_t bytes_for(std::uint64_t size) const;
  bool take(std::uint64_t bytes, std::uint64_t most);
  void give_back(std::uint64_t bytes);

  std::uint64_t bytes_;
  std::atomic<std::uint64_t> taken_{0};
  metrics::Gauge& gauge_;
};

// What one request's body has taken; given back with it at the latest.
class BodyHold {
 public:
  BodyHold() = default;  // counts nothing
  explicit BodyHold(BodyMemory& memory) : memory_(&memory) {}
  BodyHold(BodyHold&& other) noexcept { *this = std::move(other); }
  BodyHold& operator=(BodyHold&& other) noexcept;
  ~BodyHold() { release(); }

  // Takes room for bytes that have arrived. Errors: kResourceExhausted when there is none now,
  // kTooLarge for a body that would never find any. Both give back all that was held.
  Status grow(std::uint64_t bytes);
  void release();
  // Another one, empty, that takes from the same memory.
  BodyHold beside() const { return memory_ == nullptr ? BodyHold() : BodyHold(*memory_); }
  // Whether grow() found no room.
  bool refused() const { return refused_; }

 private:
  BodyMemory* memory_ = nullptr;
  std::uint64_t held_ = 0;
  bool refused_ = false;
};

}  // namespace strata::http
