#include "doors/oip/oip.hpp"

#include <fmt/format.h>

namespace strata::doors::oip {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::deployment::Endpoints;

namespace {

constexpr Limits kSmall{.body = 64U << 10U, .deadline = std::chrono::seconds(10)};
constexpr Limits kInference{.body = 64U << 20U, .deadline = std::chrono::minutes(2)};

Task<Response> healthy(const Authorized&) {
  co_return Response::json(Json::object({{"live", true}, {"ready", true}}));
}

}  // namespace

Response error_response(const Error& error) {
  Response response =
      Response::json(Json::object({{"error", error.to_string()}}), http::status_of(error.code));
  if (response.status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"strata\"");
  if (error.retry) response.headers.set("Retry-After", "1");
  return response;
}

Response OipDoor::error(const Error& error, const http::Request&) const {
  return error_response(error);
}

std::vector<Route> OipDoor::routes() {
  using Operation = Task<Response> (*)(const Authorized&, Endpoints&);
  std::vector<Route> routes;
  const auto add = [&](Method method, std::string pattern, Permission permission, Limits limits,
                       Operation operation, http::Doc doc) {
    routes.emplace_back(
        method, std::move(pattern), permission, limits,
        [this, operation](const Authorized& call) { return operation(call, endpoints_); }, doc);
  };
  for (const auto* path : {"/v2/health/live", "/v2/health/ready"}) {
    routes.emplace_back(Method::kGet, path, Permission::kPublic, kSmall, &healthy);
  }
  routes.emplace_back(
      Method::kGet, "/v2", Permission::kPublic, kSmall, &server_metadata,
      http::Doc{"oipServerMetadata", "Name, version and extensions of the inference server",
                "inference"});
  add(Method::kGet, "/v2/models", Permission::kEndpointRead, kSmall, &list_models,
      {"oipListModels", "Names of all endpoints", "inference"});
  add(Method::kGet, "/v2/models/stats", Permission::kEndpointRead, kSmall, &all_statistics,
      {"oipAllStatistics", "How many requests each model answered", "inference"});
  add(Method::kPost, "/v2/repository/index", Permission::kEndpointRead, kSmall, &repository_index,
      {"oipRepositoryIndex", "All endpoints with their live version and state", "inference"});
  for (const auto* verb : {"load", "unload"}) {
    add(Method::kPost, fmt::format("/v2/repository/models/{{name}}/{}", verb),
        Permission::kEndpointRead, kInference, &refuse_to_move, {});
  }
  for (const bool versioned : {false, true}) {
    const std::string model =
        versioned ? "/v2/models/{name}/versions/{version}" : "/v2/models/{name}";
    const auto doc = [&](std::string_view operation, std::string_view summary) {
      return versioned ? http::Doc{} : http::Doc{operation, summary, "inference"};
    };
    add(Method::kGet, model, Permission::kEndpointRead, kSmall, &model_metadata,
        doc("oipModelMetadata", "Inputs, outputs, version and digest of a model"));
    add(Method::kGet, model + "/ready", Permission::kEndpointRead, kSmall, &model_ready,
        doc("oipModelReady", "200 when the model answers"));
    add(Method::kGet, model + "/config", Permission::kEndpointRead, kSmall, &model_config,
        doc("oipModelConfig", "The model's configuration in Triton's form"));
    add(Method::kGet, model + "/stats", Permission::kEndpointRead, kSmall, &model_statistics,
        doc("oipModelStatistics", "How many requests the model answered"));
    add(Method::kPost, model + "/infer", Permission::kPredict, kInference, &infer,
        doc("oipInfer", "Run the model"));
  }
  return routes;
}

}  // namespace strata::doors::oip
