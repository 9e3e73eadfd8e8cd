#include "doors/growthbook/flag_stream.hpp"

#include <fmt/format.h>

namespace strata::doors::growthbook {

namespace {

constexpr std::chrono::seconds kHeartbeat{10};
// How late a ramp's step, a stop or a change between look and wait may be seen.
constexpr std::chrono::milliseconds kLook{1000};

}  // namespace

Task<Result<std::string_view>> FlagStream::next() {
  if (!begun_) {
    begun_ = true;
    spoke_ = clock_.steady();
    piece_ = "retry: 1000\n\n";
    co_return std::string_view(piece_);
  }
  while (!draining_.load() && flags_.key(key_.key).ok()) {
    const auto snapshot = flags_.snapshot(key_.project);
    const std::string id = snapshot->etag.substr(1, snapshot->etag.size() - 2);
    if (id != seen_) {
      seen_ = id;
      spoke_ = clock_.steady();
      piece_ = key_.remote
                   ? fmt::format("id: {}\nevent: features-updated\ndata: \n\n", id)
                   : fmt::format("id: {}\nevent: features\ndata: {}\n\n", id, snapshot->text);
      co_return std::string_view(piece_);
    }
    if (clock_.steady() - spoke_ >= kHeartbeat) {
      spoke_ = clock_.steady();
      piece_ = ": heartbeat\n\n";
      co_return std::string_view(piece_);
    }
    if (cancelled_) co_return Error(Code::kCancelled, "nobody listens any more");
    co_await flags_.changed().wait(kLook);
  }
  co_return std::string_view();
}

}  // namespace strata::doors::growthbook
