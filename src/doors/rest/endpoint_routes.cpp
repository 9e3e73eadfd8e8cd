#include "doors/rest/endpoint_routes.hpp"

#include "doors/rest/rest.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Doc;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::deployment::EndpointInfo;
using platform::deployment::Endpoints;
using platform::deployment::LiveModel;
using platform::deployment::Replicas;
using platform::predictions::Prediction;

namespace {

constexpr std::int64_t kMaxWaitSeconds = 20;
constexpr std::string_view kScaleSchema = R"({
  "type": "object", "required": ["least", "most"], "additionalProperties": false,
  "properties": {
    "least": {"type": "integer", "minimum": 0, "maximum": 16},
    "most": {"type": "integer", "minimum": 1, "maximum": 16},
    "idle_seconds": {"type": "integer", "minimum": 1, "maximum": 604800}
  }})";
constexpr std::string_view kCreateSchema = R"({
  "type": "object", "required": ["name", "model"], "additionalProperties": false,
  "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 63},
    "model": {"type": "string", "description": "models:/NAME@ALIAS or models:/NAME/VERSION"},
    "replicas": {
      "type": "object", "additionalProperties": false,
      "properties": {
        "least": {"type": "integer", "minimum": 0, "maximum": 16},
        "most": {"type": "integer", "minimum": 1, "maximum": 16},
        "idle_seconds": {"type": "integer", "minimum": 1, "maximum": 604800}
      }}
  }})";

Json replicas_json(const Replicas& replicas) {
  return Json::object({{"least", replicas.least},
                       {"most", replicas.most},
                       {"idle_seconds", replicas.idle.count()}});
}

Replicas replicas_from(const Json& body) {
  Replicas replicas;
  replicas.least = static_cast<int>(body.integer("least", replicas.least));
  replicas.most = static_cast<int>(body.integer("most", std::max(1, replicas.least)));
  replicas.idle = std::chrono::seconds(body.integer("idle_seconds", replicas.idle.count()));
  return replicas;
}

Json processes_json(const LiveModel& live) {
  const auto* processes = live.runner->processes();
  if (processes == nullptr) return {};
  const auto info = processes->info();
  return Json::object({{"wanted", info.wanted},
                       {"starting", info.starting},
                       {"idle", info.idle},
                       {"busy", info.busy},
                       {"waiting", info.waiting},
                       {"ended", info.ended},
                       {"last_end", info.last_end.empty() ? Json() : Json(info.last_end)},
                       {"memory_bytes", info.memory_bytes},
                       {"memory_limit_bytes", info.memory_limit_mb << 20U}});
}

Json live_json(const LiveModel& live) {
  const auto& identity = *live.identity;
  return Json::object({{"model", identity.model},
                       {"version", identity.version},
                       {"digest", identity.digest},
                       {"deployment", identity.deployment},
                       {"flavor", live.flavor},
                       {"why", live.why.empty() ? Json() : Json(live.why)},
                       {"processes", processes_json(live)},
                       {"loaded", to_rfc3339(live.loaded)},
                       {"moved_by", live.moved_by.empty() ? Json() : Json(live.moved_by)},
                       {"micros_per_row", live.micros_per_row}});
}

Json signature_json(const LiveModel& live) {
  Json inputs = Json::array();
  const auto& contract = live.binding->contract();
  for (const auto& column : contract.columns) {
    inputs.push(Json::object({{"name", column.name},
                              {"type", wire::column_type_name(column.type)},
                              {"required", column.required}}));
  }
  const auto tensor_json = [](const wire::TensorSpec& spec) {
    return Json::object({{"name", spec.name},
                         {"type", wire::element_name(spec.type)},
                         {"shape", wire::show_shape(spec.shape)}});
  };
  for (const auto& tensor : contract.tensors)
    inputs.push(tensor_json(tensor));
  Json outputs = Json::array();
  for (const auto& tensor : contract.outputs)
    outputs.push(tensor_json(tensor));
  return Json::object({{"inputs", inputs}, {"outputs", outputs}});
}

Json endpoint_json(const EndpointInfo& info) {
  Json out = Json::object({{"name", info.name},
                           {"model", info.model_ref},
                           {"owner", info.owner},
                           {"created", to_rfc3339(info.created)},
                           {"state", platform::deployment::state_name(info.state)},
                           {"wanted_version", info.wanted_version},
                           {"error", info.error.empty() ? Json() : Json(info.error)},
                           {"overdue_runs", info.overdue_runs},
                           {"replicas", replicas_json(info.replicas)},
                           {"live", info.live ? live_json(*info.live) : Json()},
                           {"signature", info.live ? signature_json(*info.live) : Json()}});
  out.set("requests", Json::object({{"since", to_rfc3339(info.counted_from)},
                                    {"answered", info.answered},
                                    {"refused", info.refused},
                                    {"failed", info.failed}}));
  return out;
}

Json prediction_json(const Prediction& prediction) {
  Json rows = Json::array();
  for (const auto& row : prediction.rows) {
    rows.push(Json::object({{"row", row.row}, {"inputs", row.inputs}, {"outputs", row.outputs}}));
  }
  return Json::object({{"id", prediction.id},
                       {"time", to_rfc3339(prediction.time)},
                       {"endpoint", prediction.endpoint},
                       {"model", prediction.model},
                       {"version", prediction.version},
                       {"digest", prediction.digest},
                       {"deployment", prediction.deployment},
                       {"latency_us", prediction.latency_us},
                       {"status", prediction.status},
                       {"route", prediction.route},
                       {"row_count", prediction.row_count},
                       {"rows", rows}});
}

Task<Response> create_endpoint(const Authorized& call, Endpoints& endpoints) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto made = co_await endpoints.create(
      call.caller(), body->text("name"), body->text("model"), replicas_from((*body)["replicas"]));
  if (!made) co_return error_response(made.error(), call.request());
  co_return Response::json(endpoint_json(*made), 201);
}

Task<Response> list_endpoints(const Authorized& call, Endpoints& endpoints) {
  Json list = Json::array();
  for (const auto& info : endpoints.list(call.caller()))
    list.push(endpoint_json(info));
  co_return Response::json(Json::object({{"endpoints", list}}));
}

Task<Response> get_endpoint(const Authorized& call, Endpoints& endpoints) {
  const auto wait = query_integer(call.request(), "wait", 0, 0, kMaxWaitSeconds);
  if (!wait) co_return error_response(wait.error(), call.request());
  const auto info =
      co_await endpoints.settled(call.caller(), call.param("name"), std::chrono::seconds(*wait));
  if (!info) co_return error_response(info.error(), call.request());
  co_return Response::json(endpoint_json(*info));
}

Task<Response> scale_endpoint(const Authorized& call, Endpoints& endpoints) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const auto scaled =
      co_await endpoints.scale(call.caller(), call.param("name"), replicas_from(*body));
  if (!scaled) co_return error_response(scaled.error(), call.request());
  co_return Response::json(endpoint_json(*scaled));
}

Task<Response> read_output(const Authorized& call, Endpoints& endpoints) {
  const auto info = endpoints.get(call.caller(), call.param("name"));
  if (!info) co_return error_response(info.error(), call.request());
  const auto* processes = info->live ? info->live->runner->processes() : nullptr;
  co_return Response::json(
      Json::object({{"output", processes == nullptr ? std::string() : processes->output()}}));
}

Task<Response> delete_endpoint(const Authorized& call, Endpoints& endpoints) {
  const auto removed = co_await endpoints.remove(call.caller(), call.param("name"));
  if (!removed) co_return error_response(removed.error(), call.request());
  co_return Response::json(Json::object({{"deleted", call.param("name")}}));
}

Task<Response> list_predictions(const Authorized& call, Endpoints& endpoints, BlockingPool& pool) {
  const auto limit = query_integer(call.request(), "limit", 20, 1, 1000);
  if (!limit) co_return error_response(limit.error(), call.request());
  const auto from = call.request().query_value("page_token").value_or("");
  auto read = [&] {
    return endpoints.predictions().newest(call.caller().project.str(), call.param("name"),
                                          static_cast<std::size_t>(*limit), from);
  };
  const auto predictions = co_await pool.run(read);
  if (!predictions) co_return error_response(predictions.error(), call.request());
  Json list = Json::array();
  for (const auto& prediction : predictions->predictions)
    list.push(prediction_json(prediction));
  co_return Response::json(Json::object(
      {{"predictions", list},
       {"unreadable_files", predictions->unreadable_files},
       {"next_page_token", predictions->next.empty() ? Json() : Json(predictions->next)}}));
}

Task<Response> get_prediction(const Authorized& call, Endpoints& endpoints, BlockingPool& pool) {
  auto read = [&] {
    return endpoints.predictions().find(call.caller().project.str(), call.param("id"));
  };
  const auto prediction = co_await pool.run(read);
  if (!prediction) co_return error_response(prediction.error(), call.request());
  co_return Response::json(prediction_json(*prediction));
}

}  // namespace

std::vector<Route> endpoint_routes(Endpoints& endpoints, BlockingPool& pool) {
  const auto with = [&endpoints](auto operation) {
    return [&endpoints, operation](const Authorized& call) {
      return operation(call, endpoints);
    };
  };
  const auto reading = [&endpoints, &pool](auto operation) {
    return [&endpoints, &pool, operation](const Authorized& call) {
      return operation(call, endpoints, pool);
    };
  };
  std::vector<Route> routes;
  routes.emplace_back(
      Method::kPost, "/api/v1/endpoints", Permission::kEndpointWrite, Limits{},
      with(&create_endpoint),
      Doc{.operation = "createEndpoint",
          .summary = "Serve what a model reference names, and follow it when it moves",
          .tag = "endpoints",
          .request_schema = kCreateSchema});
  routes.emplace_back(Method::kGet, "/api/v1/endpoints", Permission::kEndpointRead, Limits{},
                      with(&list_endpoints),
                      Doc{.operation = "listEndpoints",
                          .summary = "All endpoints with their state",
                          .tag = "endpoints"});
  routes.emplace_back(Method::kGet, "/api/v1/endpoints/{name}", Permission::kEndpointRead, Limits{},
                      with(&get_endpoint),
                      Doc{.operation = "getEndpoint",
                          .summary = "One endpoint: what it follows, what answers and why not",
                          .tag = "endpoints",
                          .query_parameters = "wait:integer:answer when no model is being loaded, "
                                              "after so many seconds at the latest"});
  routes.emplace_back(Method::kPut, "/api/v1/endpoints/{name}/replicas", Permission::kEndpointWrite,
                      Limits{}, with(&scale_endpoint),
                      Doc{.operation = "scaleEndpoint",
                          .summary = "How many processes a model in Python may have",
                          .tag = "endpoints",
                          .request_schema = kScaleSchema});
  routes.emplace_back(Method::kGet, "/api/v1/endpoints/{name}/output", Permission::kEndpointRead,
                      Limits{}, with(&read_output),
                      Doc{.operation = "readEndpointOutput",
                          .summary = "What the processes of its model wrote last",
                          .tag = "endpoints"});
  routes.emplace_back(Method::kDelete, "/api/v1/endpoints/{name}", Permission::kEndpointWrite,
                      Limits{}, with(&delete_endpoint),
                      Doc{.operation = "deleteEndpoint",
                          .summary = "Stop serving; the predictions stay in the log",
                          .tag = "endpoints"});
  routes.emplace_back(Method::kGet, "/api/v1/endpoints/{name}/predictions",
                      Permission::kEndpointRead, Limits{}, reading(&list_predictions),
                      Doc{.operation = "listPredictions",
                          .summary = "The newest predictions of an endpoint",
                          .tag = "endpoints",
                          .query_parameters = "limit:integer:at most so many requests, fewer when "
                                              "their values are large;"
                                              "page_token:string:where the page before ended"});
  routes.emplace_back(
      Method::kGet, "/api/v1/predictions/{id}", Permission::kEndpointRead, Limits{},
      reading(&get_prediction),
      Doc{.operation = "getPrediction",
          .summary =
              "One prediction by its id: when, by which model, from what and with which result",
          .tag = "endpoints"});
  return routes;
}

}  // namespace strata::doors::rest
