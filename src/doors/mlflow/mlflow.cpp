#include "doors/mlflow/mlflow.hpp"

#include "doors/mlflow/fields.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Method;
using http::Request;
using http::Response;
using http::Route;
using kernel::Permission;

namespace {

constexpr std::string_view kRoots[] = {"/api", "/ajax-api"};
// The newest protocol that we speak; clients refuse trace export to servers older than 3.4.
constexpr std::string_view kVersion = "3.17.2";

struct Form {
  int status;
  std::string_view code;
};

Form form_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kChecksumMismatch:
      return {400, "INVALID_PARAMETER_VALUE"};
    case Code::kAlreadyExists:
      return {400, "RESOURCE_ALREADY_EXISTS"};
    case Code::kMalformed:
      return {400, "BAD_REQUEST"};
    case Code::kUnsupportedMediaType:
      return {415, "BAD_REQUEST"};
    case Code::kQuotaExceeded:
      return {403, "PERMISSION_DENIED"};
    case Code::kUnauthenticated:
    case Code::kExpired:
    case Code::kSignatureMismatch:
    case Code::kClockSkew:
      return {401, "UNAUTHENTICATED"};
    case Code::kPermissionDenied:
      return {403, "PERMISSION_DENIED"};
    case Code::kNotFound:
      return {404, "RESOURCE_DOES_NOT_EXIST"};
    case Code::kMethodNotAllowed:
      return {405, "ENDPOINT_NOT_FOUND"};
    case Code::kConflict:
    case Code::kPreconditionFailed:
      return {409, "RESOURCE_CONFLICT"};
    case Code::kTooLarge:
      return {413, "BAD_REQUEST"};
    case Code::kUnsupported:
      return {501, "NOT_IMPLEMENTED"};
    case Code::kNoSpace:
      return {507, "RESOURCE_EXHAUSTED"};
    case Code::kDeadlineExceeded:
    case Code::kCancelled:
    case Code::kUnavailable:
    case Code::kResourceExhausted:
      return {503, "TEMPORARILY_UNAVAILABLE"};
    case Code::kDataLoss:
      return {500, "DATA_LOSS"};
    case Code::kNotModified:
      return {304, "BAD_REQUEST"};
    case Code::kInternal:
      break;
  }
  return {500, "INTERNAL_ERROR"};
}

}  // namespace

Response MlflowDoor::error(const Error& error, const Request&) const {
  const Form form = form_of(error.code);
  Response response = Response::json(
      Json::object({{"error_code", Json(form.code)}, {"message", Json(error.message)}}),
      form.status);
  if (form.status == 401) response.headers.set("www-authenticate", "Basic realm=\"mlflow\"");
  return response;
}

http::Handler MlflowDoor::handler_of(Call call) {
  return [this, call](const Authorized& request) -> Task<Response> {
    auto fields = co_await Fields::read(request);
    if (!fields) co_return error(fields.error(), request.request());
    auto answer = co_await call(*fields, request, services_);
    if (!answer) co_return error(answer.error(), request.request());
    co_return Response::json(*answer);
  };
}

void MlflowDoor::add_calls(std::vector<Route>& routes, const std::vector<CallRow>& rows) {
  for (const auto root : kRoots) {
    for (const auto& row : rows) {
      routes.emplace_back(row.method, fmt::format("{}/2.0/mlflow{}", root, row.path),
                          row.permission, http::Limits{.body = row.body}, handler_of(row.call));
    }
  }
}

void MlflowDoor::add_probe_routes(std::vector<Route>& routes) {
  const auto text = [](std::string_view body) -> http::Handler {
    return [body](const Authorized&) -> Task<Response> {
      co_return Response::text(200, std::string(body));
    };
  };
  routes.emplace_back(Method::kGet, "/health", Permission::kPublic, http::Limits{}, text("OK"));
  routes.emplace_back(Method::kGet, "/version", Permission::kPublic, http::Limits{},
                      text(kVersion));
  for (const auto root : kRoots) {
    routes.emplace_back(
        Method::kGet, fmt::format("{}/3.0/mlflow/server-info", root), Permission::kPublic,
        http::Limits{}, [](const Authorized&) -> Task<Response> {
          co_return Response::json(Json::object({{"store_type", Json("SqlStore")},
                                                 {"workspaces_enabled", Json(false)},
                                                 {"trace_archival_enabled", Json(false)},
                                                 {"multipart_uploads_enabled", Json(false)},
                                                 {"multipart_downloads_enabled", Json(false)}}));
        });
  }
}

// What MLflow has and we have not: clients take the answer as a missing feature and go on.
void MlflowDoor::add_refusals(std::vector<Route>& routes) {
  const http::Handler refuse = [this](const Authorized& request) -> Task<Response> {
    const Error refusal(
        Code::kUnsupported,
        fmt::format("{} {} is not offered by this server. It tracks experiments, runs, artifacts "
                    "and models.",
                    http::method_name(request.request().method), request.request().path));
    co_return error(refusal, request.request());
  };
  const auto add = [&](const std::string& pattern) {
    for (const auto method :
         {Method::kGet, Method::kPost, Method::kPut, Method::kPatch, Method::kDelete}) {
      routes.emplace_back(method, pattern, Permission::kSignedIn, http::Limits{}, refuse);
    }
  };
  constexpr std::string_view kAreas[] = {"2.0/mlflow/traces",
                                         "2.0/mlflow/webhooks",
                                         "3.0/mlflow/traces",
                                         "3.0/mlflow/datasets",
                                         "3.0/mlflow/scorers",
                                         "3.0/mlflow/issues",
                                         "3.0/mlflow/gateway",
                                         "3.0/mlflow/jobs",
                                         "3.0/mlflow/workspaces",
                                         "3.0/mlflow/label-schemas",
                                         "3.0/mlflow/review-queues",
                                         "3.0/mlflow/assessments",
                                         "3.0/mlflow/prompt-optimization",
                                         "2.0/mlflow/upload-artifact"};
  for (const auto root : kRoots) {
    for (const auto area : kAreas) {
      add(fmt::format("{}/{}", root, area));
      add(fmt::format("{}/{}/{{rest+}}", root, area));
    }
  }
  for (const auto* other : {"/v1/traces", "/graphql"}) {
    routes.emplace_back(Method::kPost, other, Permission::kSignedIn, http::Limits{}, refuse);
  }
}

std::vector<Route> MlflowDoor::routes() {
  std::vector<Route> routes;
  add_probe_routes(routes);
  for (const auto& family :
       {experiment_calls(), run_calls(), log_calls(), metric_calls(), logged_model_calls(),
        registered_model_calls(), model_version_calls()}) {
    add_calls(routes, family);
  }
  add_artifact_routes(routes);
  add_refusals(routes);
  return routes;
}

}  // namespace strata::doors::mlflow
