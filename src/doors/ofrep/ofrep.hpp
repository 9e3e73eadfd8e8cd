#pragma once

#include "doors/http/http.hpp"
#include "platform/experiments/experiments.hpp"

namespace strata::doors::ofrep {

// The OpenFeature Remote Evaluation Protocol 0.3: one flag, or all of them, for a context. The
// targetingKey is the attribute "id", unless the context has one of its own, so that assignments
// are those of GrowthBook's SDKs. Evaluating one flag is an exposure to the experiment that decided
// it, and recorded before the answer; evaluating all is not. Callers send a token, or a client key
// of the project, as bearer token or in X-API-Key.
// Spec: https://github.com/open-feature/protocol, service/openapi.yaml.
class OfrepDoor final : public http::Door {
 public:
  OfrepDoor(platform::experiments::Flags& flags, platform::experiments::Exposures& exposures)
      : flags_(flags),
        exposures_(exposures) {}
  std::vector<http::Route> routes() override;
  std::string_view protocol() const override { return "OFREP"; }
  http::Response error(const Error& error, const http::Request& request) const override;
  Task<Result<kernel::Caller>> authenticate(http::Request& request,
                                            const kernel::Identity& identity) override;

 private:
  Task<http::Response> one(const http::Authorized& call);
  Task<http::Response> all(const http::Authorized& call);

  platform::experiments::Flags& flags_;
  platform::experiments::Exposures& exposures_;
};

}  // namespace strata::doors::ofrep
