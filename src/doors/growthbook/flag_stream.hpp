#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "platform/experiments/experiments.hpp"
#include "runtime/byte_source.hpp"

namespace strata::doors::growthbook {

// One of the places for open streams, given back at its end.
class StreamPlace {
 public:
  static std::optional<StreamPlace> take(std::shared_ptr<std::atomic<int>> taken, int most) {
    if (taken->fetch_add(1) < most) return StreamPlace(std::move(taken));
    taken->fetch_sub(1);
    return {};
  }
  StreamPlace(StreamPlace&&) noexcept = default;
  StreamPlace& operator=(StreamPlace&&) = delete;
  ~StreamPlace() {
    if (taken_) taken_->fetch_sub(1);
  }

 private:
  explicit StreamPlace(std::shared_ptr<std::atomic<int>> taken) : taken_(std::move(taken)) {}
  std::shared_ptr<std::atomic<int>> taken_;
};

// The changes of a project's flags as server-sent events: "features" with the whole payload, or
// "features-updated" where the key is for remote evaluation. Begins with what holds now, unless the
// client saw that already, so nothing is missed between a fetch and the stream. Ends when the key
// is revoked or the server stops.
class FlagStream final : public ByteSource {
 public:
  FlagStream(platform::experiments::Flags& flags, platform::experiments::ClientKey key,
             const Clock& clock, const std::atomic<bool>& draining, StreamPlace place,
             std::string seen)
      : flags_(flags),
        key_(std::move(key)),
        clock_(clock),
        draining_(draining),
        place_(std::move(place)),
        seen_(std::move(seen)) {}

  Task<Result<std::string_view>> next() override;
  void cancel() override { cancelled_ = true; }

 private:
  platform::experiments::Flags& flags_;
  platform::experiments::ClientKey key_;
  const Clock& clock_;
  const std::atomic<bool>& draining_;
  StreamPlace place_;
  std::string seen_;  // the id of what the client has: the payload's ETag without its quotes
  std::string piece_;
  std::chrono::steady_clock::time_point spoke_;
  bool begun_ = false, cancelled_ = false;
};

}  // namespace strata::doors::growthbook
