#include "doors/http/body_memory.hpp"

#include <fmt/format.h>

namespace strata::http {

BodyMemory::BodyMemory(std::uint64_t bytes, metrics::Registry& metrics)
    : bytes_(bytes),
      gauge_(metrics.gauge("strata_http_body_memory_bytes",
                           "Memory that bodies of requests take, of limits.body_memory.")) {}

std::uint64_t BodyMemory::bytes_for(std::uint64_t size) const {
  return size <= kSmall ? bytes_ : bytes_ - bytes_ / 8;
}

bool BodyMemory::take(std::uint64_t bytes, std::uint64_t most) {
  auto taken = taken_.load();
  do {
    if (taken > most || bytes > most - taken) return false;
  } while (!taken_.compare_exchange_weak(taken, taken + bytes));
  gauge_.add(static_cast<std::int64_t>(bytes));
  return true;
}

void BodyMemory::give_back(std::uint64_t bytes) {
  taken_ -= bytes;
  gauge_.add(-static_cast<std::int64_t>(bytes));
}

BodyHold& BodyHold::operator=(BodyHold&& other) noexcept {
  release();
  memory_ = other.memory_;
  held_ = std::exchange(other.held_, 0);
  refused_ = other.refused_;
  return *this;
}

Status BodyHold::grow(std::uint64_t bytes) {
  if (memory_ == nullptr) return {};
  const std::uint64_t size = held_ + bytes;
  const std::uint64_t most = memory_->bytes_for(size);
  if (memory_->take(bytes, most)) {
    held_ = size;
    return {};
  }
  release();
  if (size > most) {
    return Error(Code::kTooLarge, fmt::format("the body is larger than the {} bytes of memory that "
                                              "this server has for it (limits.body_memory)",
                                              most));
  }
  refused_ = true;
  return Error(Code::kResourceExhausted,
               fmt::format("bodies of other requests take the {} bytes of memory that this server "
                           "has for them (limits.body_memory); try again in a moment",
                           memory_->bytes()));
}

void BodyHold::release() {
  if (held_ > 0) memory_->give_back(std::exchange(held_, 0));
}

}  // namespace strata::http
