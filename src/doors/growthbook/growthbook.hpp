#pragma once

#include <atomic>
#include <memory>

#include "doors/http/http.hpp"
#include "platform/experiments/experiments.hpp"

namespace strata::doors::growthbook {

// How many event streams are open, of all keys together.
inline constexpr int kMaxStreams = 2000;

// What GrowthBook's SDKs ask an API host for: the features payload, its changes as server-sent
// events, remote evaluation, and the tracking of exposures and events. The client key in the path
// is all that a caller needs. Errors are {"status", "error"}.
class GrowthBookDoor final : public http::Door {
 public:
  // `draining` ends the streams.
  GrowthBookDoor(platform::experiments::Flags& flags, platform::experiments::Exposures& exposures,
                 const Clock& clock, const std::atomic<bool>& draining)
      : flags_(flags),
        exposures_(exposures),
        clock_(clock),
        draining_(draining) {}
  std::vector<http::Route> routes() override;
  std::string_view protocol() const override { return "GrowthBook SDK"; }
  http::Response error(const Error& error, const http::Request& request) const override;

 private:
  Task<http::Response> features(const http::Authorized& call);
  Task<http::Response> subscribe(const http::Authorized& call);
  Task<http::Response> evaluate(const http::Authorized& call);
  Task<http::Response> track(const http::Authorized& call);

  platform::experiments::Flags& flags_;
  platform::experiments::Exposures& exposures_;
  const Clock& clock_;
  const std::atomic<bool>& draining_;
  std::shared_ptr<std::atomic<int>> streams_ = std::make_shared<std::atomic<int>>(0);
};

// The answer that pages of any origin may read.
http::Response open_to_all(http::Response response);

// What a plug-in for tracking sent. Errors: kMalformed, kInvalidArgument naming the event.
Result<std::vector<platform::experiments::Tracked>> read_events(std::string_view body);

}  // namespace strata::doors::growthbook
