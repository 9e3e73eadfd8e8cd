#include "doors/scoring/scoring.hpp"

namespace strata::doors::scoring {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::deployment::Endpoints;

namespace {

constexpr Limits kSmall{.body = 64U << 10U, .deadline = std::chrono::seconds(10)};
constexpr Limits kInvocation{.body = kMaxBody, .deadline = std::chrono::minutes(2)};

struct Names {
  std::string_view mlflow;
  std::string_view amazon;
};

Names names_of(int status) {
  switch (status) {
    case 401:
      return {"UNAUTHENTICATED", "MissingAuthenticationTokenException"};
    case 403:
      return {"PERMISSION_DENIED", "AccessDeniedException"};
    case 404:
      return {"RESOURCE_DOES_NOT_EXIST", "ValidationError"};
    case 429:
      return {"REQUEST_LIMIT_EXCEEDED", "ThrottlingException"};
    case 503:
      return {"TEMPORARILY_UNAVAILABLE", "ServiceUnavailable"};
    case 504:
      return {"DEADLINE_EXCEEDED", "ModelError"};
    default:
      break;
  }
  if (status >= 500) return {"INTERNAL_ERROR", "InternalFailure"};
  return {"BAD_REQUEST", "ValidationError"};
}

Task<Response> ping(const Authorized& call, Endpoints& endpoints) {
  const auto model = endpoints.find(call.caller().project, call.param("name"));
  if (!model) co_return error_response(model.error());
  co_return Response::text(200, "\n");
}

}  // namespace

namespace {

Response respond(const Error& error, int status) {
  const Names names = names_of(status);
  Response response = Response::json(
      Json::object({{"error_code", names.mlflow}, {"message", error.to_string()}}), status);
  response.headers.set("x-amzn-ErrorType", std::string(names.amazon));
  if (error.retry) response.headers.set("Retry-After", "1");
  if (status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"strata\"");
  return response;
}

}  // namespace

Response error_response(const Error& error) {
  return respond(error, http::status_of(error.code));
}

Response unanswered(const Error& error) {
  return error.code == Code::kDeadlineExceeded ? respond(error, 504) : error_response(error);
}

Response ScoringDoor::error(const Error& error, const http::Request&) const {
  return error_response(error);
}

std::vector<Route> ScoringDoor::routes() {
  std::vector<Route> routes;
  routes.emplace_back(
      Method::kPost, "/endpoints/{name}/invocations", Permission::kPredict, kInvocation,
      [this](const Authorized& call) { return invoke(call, endpoints_); },
      http::Doc{"invokeEndpoint",
                "Run the model on a data frame or tensors, as mlflow and SageMaker clients do",
                "inference"});
  routes.emplace_back(
      Method::kGet, "/endpoints/{name}/ping", Permission::kPredict, kSmall,
      [this](const Authorized& call) { return ping(call, endpoints_); },
      http::Doc{"pingEndpoint", "200 when the endpoint answers", "inference"});
  return routes;
}

}  // namespace strata::doors::scoring
