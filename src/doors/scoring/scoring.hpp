#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/deployment/deployment.hpp"

namespace strata::doors::scoring {

// Proves who sent a request that is signed with AWS Signature Version 4. May read request.body,
// which it then replaces by one that gives the same bytes.
using SignatureCheck =
    std::function<Task<Result<kernel::Caller>>(http::Request&, const kernel::Identity&)>;

// MLflow's scoring protocol and SageMaker's runtime for each endpoint: POST
// /endpoints/{name}/invocations and GET /endpoints/{name}/ping. Errors are {"error_code",
// "message"} with the x-amzn-ErrorType header that AWS clients read.
class ScoringDoor final : public http::Door {
 public:
  // Without `signatures` only tokens are accepted.
  ScoringDoor(platform::deployment::Endpoints& endpoints, SignatureCheck signatures)
      : endpoints_(endpoints),
        signatures_(std::move(signatures)) {}
  std::vector<http::Route> routes() override;
  http::Response error(const Error& error, const http::Request& request) const override;
  Task<Result<kernel::Caller>> authenticate(http::Request& request,
                                            const kernel::Identity& identity) override;

 private:
  platform::deployment::Endpoints& endpoints_;
  SignatureCheck signatures_;
};

http::Response error_response(const Error& error);

// POST /endpoints/{name}/invocations
Task<http::Response> invoke(const http::Authorized& call,
                            platform::deployment::Endpoints& endpoints);

// {"predictions": ...} in the form that mlflow's own server gives for this kind of model.
std::string predictions_json(const platform::deployment::Contract& contract, std::size_t rows,
                             std::span<const wire::Tensor> outputs);

}  // namespace strata::doors::scoring
