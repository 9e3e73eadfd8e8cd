#pragma once

#include <string>

#include "base/metrics.hpp"
#include "doors/http/router.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"

namespace strata::http {

// The one way of every request on every port: route, authenticate, authorize, call, account. Makes
// the only Authorized there is.
class Pipeline {
 public:
  Pipeline(const Router& router, const kernel::Identity& identity, const Clock& clock,
           Random& random, metrics::Registry& metrics, std::string port_name);

  // Answers `request`; never fails. `request` must outlive the returned response's body.
  Task<Response> handle(Request& request);
  // An error before there was a request to route, in the form of the door that the path belongs to.
  Response refuse(const Error& error, const Request& request) const;

 private:
  Task<Response> run(Request& request, const Door*& door, std::string& operation,
                     std::string& user);
  void account(const Request& request, const Response& response, const std::string& operation,
               const std::string& user, std::chrono::steady_clock::time_point began);

  const Router& router_;
  const kernel::Identity& identity_;
  const Clock& clock_;
  Random& random_;
  std::string port_name_;
  metrics::Registry& metrics_;
  metrics::Histogram& latency_;
};

}  // namespace strata::http
