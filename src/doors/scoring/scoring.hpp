#pragma once

#include <cstdint>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/deployment/deployment.hpp"

namespace strata::doors::scoring {

// The most that a request may bring. A cell takes 16 bytes in memory and at least 2 in the body, so
// this bounds both.
inline constexpr std::uint64_t kMaxBody = 16U << 20U;

// MLflow's scoring protocol and SageMaker's runtime for each endpoint: POST
// /endpoints/{name}/invocations and GET /endpoints/{name}/ping. Errors are {"error_code",
// "message"} with the x-amzn-ErrorType header that AWS clients read.
class ScoringDoor final : public http::Door {
 public:
  explicit ScoringDoor(platform::deployment::Endpoints& endpoints) : endpoints_(endpoints) {}
  std::vector<http::Route> routes() override;
  std::string_view protocol() const override { return "MLflow scoring and SageMaker Runtime"; }
  http::Response error(const Error& error, const http::Request& request) const override;
  Task<Result<kernel::Caller>> authenticate(http::Request& request,
                                            const kernel::Identity& identity) override;

 private:
  platform::deployment::Endpoints& endpoints_;
};

http::Response error_response(const Error& error);
// The same for a prediction that failed: a model that took too long is the server's fault (504),
// where a body that came too slowly is the client's (408).
http::Response unanswered(const Error& error);

// POST /endpoints/{name}/invocations
Task<http::Response> invoke(const http::Authorized& call,
                            platform::deployment::Endpoints& endpoints);

// {"predictions": ...} in the form that mlflow's own server gives for this kind of model.
std::string predictions_json(const platform::inference::Contract& contract, std::size_t rows,
                             std::span<const wire::Tensor> outputs);
// One line for each row without a header, as SageMaker's clients read it. Each output must have a
// first dimension of `rows`.
std::string predictions_csv(std::size_t rows, std::span<const wire::Tensor> outputs);

}  // namespace strata::doors::scoring
