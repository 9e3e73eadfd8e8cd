#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/metrics.hpp"
#include "doors/http/router.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"

namespace strata::http {

// The one way of every request on every port: route, authenticate, authorize, call, account. Makes
// the only Authorized there is.
class Pipeline {
 public:
  // `router` has all its routes by now; `bodies` is the same for all ports.
  Pipeline(const Router& router, const kernel::Identity& identity, BodyMemory& bodies,
           const Clock& clock, Random& random, metrics::Registry& metrics, std::string port_name);

  // What answers in place of `given`, for a request that was meant for another port. Set once,
  // before the port opens.
  using Strays = std::function<std::optional<Response>(const Request&, const Response& given)>;
  void on_stray(Strays strays) { strays_ = std::move(strays); }

  // Answers `request`; never fails. `request` must outlive the returned response's body.
  Task<Response> handle(Request& request);
  // An error before there was a request to route, in the form of the door that the path belongs to.
  Response refuse(const Error& error, const Request& request) const;

 private:
  static constexpr std::size_t kStatuses = 32;

  // What is counted of one route. A counter is looked up at the first answer of its status, so that
  // the text of all metrics names what happened and not all that could; then it is one load.
  struct Meter {
    std::string operation;
    std::array<std::atomic<metrics::Counter*>, kStatuses> answered{};
  };

  // What is known of a request when its answer is there.
  struct Outcome {
    const BoundRoute* bound = nullptr;  // null when no route fits
    std::string user;
  };

  Task<Response> run(Request& request, Outcome& outcome);
  void account(const Request& request, const Response& response, const Outcome& outcome,
               std::chrono::steady_clock::time_point began);
  metrics::Counter& counter(Meter& meter, int status);

  const Router& router_;
  const kernel::Identity& identity_;
  BodyMemory& bodies_;
  const Clock& clock_;
  Random& random_;
  std::string port_name_;
  metrics::Registry& metrics_;
  metrics::Histogram& latency_;
  Strays strays_;
  std::deque<Meter> meters_;  // by the route's index; the last one counts what fits no route
};

}  // namespace strata::http
