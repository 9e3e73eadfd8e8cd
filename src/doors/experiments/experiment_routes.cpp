#include "doors/experiments/experiment_routes.hpp"

#include "base/text.hpp"

namespace strata::doors::experiments {

using http::Authorized;
using http::Doc;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::experiments::Experiment;
using platform::experiments::Experiments;

namespace {

constexpr int kPage = 100;
constexpr std::string_view kStopSchema = R"({
  "type": "object", "required": ["reason"], "additionalProperties": false,
  "properties": {"reason": {"type": "string", "minLength": 1, "maxLength": 500}}})";
constexpr std::string_view kAfterQuery = "page_token:string:where the page before ended";

Json experiment_json(const Experiment& experiment) {
  Json out = experiment.frozen;
  out.set("state", experiment.stopped ? "stopped" : "running");
  out.set("digest", experiment.digest);
  out.set("by", experiment.started_by);
  out.set("started", to_rfc3339(experiment.started));
  out.set("stopped", experiment.stopped ? Json(to_rfc3339(*experiment.stopped)) : Json());
  out.set("stopped_by", experiment.stopped_by);
  out.set("reason", experiment.reason);
  return out;
}

struct Service {
  Experiments& experiments;
  http::ErrorForm error_form;

  Response answer(const Authorized& call, const Result<Experiment>& found, int status = 200) const {
    if (!found) return error_form(found.error(), call.request());
    return Response::json(experiment_json(*found), status);
  }
};

Task<Response> start(const Authorized& call, const Service& service) {
  auto body = co_await call.read_json();
  if (!body) co_return service.error_form(body.error(), call.request());
  const auto made = co_await service.experiments.start(call.caller(), *std::move(body));
  co_return service.answer(call, made, 201);
}

Task<Response> stop(const Authorized& call, const Service& service) {
  const auto body = co_await call.read_json();
  if (!body) co_return service.error_form(body.error(), call.request());
  const auto done =
      co_await service.experiments.stop(call.caller(), call.param("name"), body->text("reason"));
  co_return service.answer(call, done);
}

Task<Response> find(const Authorized& call, const Service& service) {
  const auto found = co_await service.experiments.find(call.caller(), call.param("name"));
  co_return service.answer(call, found);
}

Task<Response> list(const Authorized& call, const Service& service) {
  std::int64_t before = 0;
  if (const auto token = call.request().query_value("page_token"); token && !token->empty()) {
    const auto number = to_int(*token);
    if (!number || *number < 1)
      co_return service.error_form(invalid("page_token", "page_token: is none that this list gave"),
                                   call.request());
    before = *number;
  }
  const auto found = co_await service.experiments.list(call.caller(), before, kPage);
  if (!found) co_return service.error_form(found.error(), call.request());
  Json items = Json::array();
  for (const Experiment& one : *found)
    items.push(experiment_json(one));
  const bool more = found->size() == static_cast<std::size_t>(kPage);
  co_return Response::json(Json::object(
      {{"experiments", std::move(items)},
       {"next_page_token", more ? Json(std::to_string(found->back().started.micros)) : Json()}}));
}

Task<Response> report(const Authorized& call, const Service& service) {
  const auto found = co_await service.experiments.find(call.caller(), call.param("name"));
  if (!found) co_return service.error_form(found.error(), call.request());
  auto made = co_await service.experiments.report(call.caller(), call.param("name"));
  if (!made) co_return service.error_form(made.error(), call.request());
  made->set("experiment", experiment_json(*found));
  co_return Response::json(*made);
}

Doc doc(std::string_view operation, std::string_view summary, std::string_view schema = {},
        std::string_view query = {}) {
  return Doc{.operation = operation,
             .summary = summary,
             .tag = "experiments",
             .request_schema = schema,
             .query_parameters = query};
}

}  // namespace

std::vector<Route> experiment_routes(Experiments& experiments, http::ErrorForm error_form) {
  std::vector<Route> routes;
  const Service service{experiments, std::move(error_form)};
  const auto add = [&](Method method, const char* path, Permission permission, auto operation,
                       Doc words) {
    routes.emplace_back(
        method, path, permission, Limits{},
        [service, operation](const Authorized& call) { return operation(call, service); }, words);
  };
  add(Method::kPost, "/api/v1/experiments", Permission::kFlagWrite, &start,
      doc("startExperiment", "Freeze a plan and start to decide about a rule of a flag",
          platform::experiments::experiment_schema()));
  add(Method::kGet, "/api/v1/experiments", Permission::kFlagRead, &list,
      doc("listFlagExperiments", "Experiments on flags, newest first", {}, kAfterQuery));
  add(Method::kGet, "/api/v1/experiments/{name}", Permission::kFlagRead, &find,
      doc("getFlagExperiment", "One experiment with its frozen plan"));
  add(Method::kPost, "/api/v1/experiments/{name}/stop", Permission::kFlagWrite, &stop,
      doc("stopExperiment", "Take no more units; reports go on", kStopSchema));
  add(Method::kGet, "/api/v1/experiments/{name}/report", Permission::kFlagRead, &report,
      doc("reportExperiment", "What the data say now, in words and numbers"));
  return routes;
}

}  // namespace strata::doors::experiments
