#include "doors/rest/flow_routes.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/rest/rest.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using resources::workflow::FlowRun;
using resources::workflow::FlowSummary;
using resources::workflow::TriggerFailure;
using resources::workflow::Workflows;
using storage::compute::Compute;
namespace scheduler = resources::scheduler;

namespace {

Json time_json(Instant t) {
  return t.micros == 0 ? Json() : Json(to_rfc3339(t));
}

Json texts(const std::vector<std::string>& values) {
  Json out = Json::array();
  for (const auto& value : values)
    out.push(value);
  return out;
}

Json failure_json(const std::optional<TriggerFailure>& failure) {
  if (!failure) return {};
  return Json::object(
      {{"time", time_json(failure->time)}, {"cause", failure->cause}, {"error", failure->error}});
}

Json flow_json(const FlowSummary& flow) {
  const Json spec = wire::flow_to_json(flow.spec);
  return Json::object({{"name", flow.name},
                       {"description", flow.description},
                       {"version", flow.version},
                       {"number", flow.number},
                       {"owner", flow.owner},
                       {"applied_by", flow.applied_by},
                       {"updated", time_json(flow.updated)},
                       {"steps", static_cast<std::int64_t>(flow.spec.steps.size())},
                       {"triggers", spec["triggers"]},
                       {"next_run", flow.next_run ? time_json(*flow.next_run) : Json()},
                       {"trigger_failure", failure_json(flow.trigger_failure)}});
}

// What has been spent so far. Different currencies are never added: where an administrator changed
// it in between, each has its own sum.
class Bill {
 public:
  void add(const storage::compute::Cost& cost) {
    if (!cost.currency.empty()) sums_[cost.currency] += cost.amount;
  }
  void write(Json& out) const {
    out.set("cost", sums_.size() == 1 ? Json(sums_.begin()->second) : Json());
    out.set("currency", sums_.size() == 1 ? Json(sums_.begin()->first) : Json());
    if (sums_.size() < 2) return;
    Json costs = Json::array();
    for (const auto& [currency, amount] : sums_)
      costs.push(Json::object({{"cost", amount}, {"currency", currency}}));
    out.set("costs", std::move(costs));
  }

 private:
  std::map<std::string, double> sums_;
};

// What an attempt kept from others, for as long as it ran.
storage::compute::Cost cost_of(const Compute& compute, const scheduler::Resources& resources,
                               const scheduler::Attempt& attempt) {
  storage::compute::Reservation reserved;
  reserved.cores = static_cast<double>(resources.cpu_millis) / 1000;
  reserved.memory_bytes = static_cast<std::uint64_t>(resources.memory_bytes);
  reserved.gpus = resources.gpus;
  return compute.cost_between(reserved, attempt.started, attempt.finished);
}

Json attempt_json(const scheduler::Attempt& attempt) {
  Json gpus = Json::array();
  for (const int gpu : attempt.gpus)
    gpus.push(gpu);
  Json out = Json::object({{"number", attempt.number},
                           {"state", scheduler::name_of(attempt.state)},
                           {"created", time_json(attempt.created)},
                           {"started", time_json(attempt.started)},
                           {"finished", time_json(attempt.finished)},
                           {"pid", attempt.pid > 0 ? Json(attempt.pid) : Json()},
                           {"gpus", std::move(gpus)}});
  const bool ended = attempt.state == scheduler::AttemptState::kEnded;
  out.set("exit_code", ended ? Json(attempt.exit.code) : Json());
  out.set("ending", ended ? Json(scheduler::name_of(attempt.exit.ending)) : Json());
  out.set("message", attempt.exit.message);
  out.set("usage", ended ? scheduler::usage_to_json(attempt.exit.usage) : Json());
  return out;
}

Json step_json(const FlowRun& info, std::size_t ordinal, const Compute& compute, Bill& total) {
  const scheduler::Task& task = info.run.tasks[ordinal];
  Json attempts = Json::array();
  Bill bill;
  for (const auto& attempt : task.attempts) {
    const auto cost = cost_of(compute, task.plan.resources, attempt);
    bill.add(cost);
    total.add(cost);
    Json one = attempt_json(attempt);
    Bill own;
    own.add(cost);
    own.write(one);
    attempts.push(std::move(one));
  }
  Json outputs = Json::array();
  for (const auto& output : info.outputs) {
    if (output.step != task.plan.step) continue;
    outputs.push(
        Json::object({{"name", output.name}, {"digest", output.digest}, {"size", output.size}}));
  }
  const std::string& waits = ordinal < info.why_waiting.size() ? info.why_waiting[ordinal] : "";
  Json out = Json::object(
      {{"step", task.plan.step},
       {"state", scheduler::name_of(task.state)},
       {"reason", waits.empty() ? task.reason : waits},
       {"needs", texts(task.plan.needs)},
       {"resources",
        Json::object({{"cpu", static_cast<double>(task.plan.resources.cpu_millis) / 1000},
                      {"memory", task.plan.resources.memory_bytes},
                      {"gpu", task.plan.resources.gpus}})},
       {"outputs", std::move(outputs)},
       {"attempts", std::move(attempts)}});
  bill.write(out);
  return out;
}

Json run_json(const FlowRun& info) {
  const scheduler::Run& run = info.run;
  return Json::object({{"id", run.id},
                       {"sequence", run.sequence},
                       {"flow", info.flow},
                       {"version", info.version},
                       {"state", scheduler::name_of(run.state)},
                       {"reason", run.reason},
                       {"cause", info.cause},
                       {"user", run.user},
                       {"params", info.params},
                       {"created", time_json(run.created)},
                       {"started", time_json(run.started)},
                       {"finished", time_json(run.finished)}});
}

// What all attempts used together; the memory is the largest of one.
Json usage_json(const scheduler::Run& run) {
  scheduler::Usage sum;
  for (const auto& task : run.tasks) {
    for (const auto& attempt : task.attempts) {
      sum.cpu_micros += attempt.exit.usage.cpu_micros;
      sum.wall_micros += attempt.exit.usage.wall_micros;
      sum.max_rss_bytes = std::max(sum.max_rss_bytes, attempt.exit.usage.max_rss_bytes);
    }
  }
  return scheduler::usage_to_json(sum);
}

Json full_run_json(const FlowRun& info, const Compute& compute) {
  Json out = run_json(info);
  Json steps = Json::array();
  Bill bill;
  for (std::size_t i = 0; i < info.run.tasks.size(); ++i)
    steps.push(step_json(info, i, compute, bill));
  out.set("steps", std::move(steps));
  bill.write(out);
  out.set("usage", usage_json(info.run));
  return out;
}

// A body that begins like JSON is JSON, whatever its media type says: curl sends forms by default.
Result<wire::FlowSpec> read_spec(const std::string& text, const std::string& name) {
  const wire::FlowReadOptions options{.file = name + ".yaml", .zone_known = &Workflows::zone_known};
  if (!trim(text).starts_with('{')) return wire::read_flow_yaml(text, options);
  const auto json = parse_json(text);
  if (!json) return json.error();
  return wire::read_flow_json(*json, options);
}

Task<Response> put_flow(const Authorized& call, Workflows& workflows) {
  const auto text = co_await call.read_body();
  if (!text) co_return error_response(text.error(), call.request());
  auto spec = read_spec(*text, call.param("name"));
  if (!spec) co_return error_response(spec.error(), call.request());
  if (spec->name != call.param("name")) {
    const Error other =
        invalid("name", fmt::format("the pipeline is called '{}', the address says '{}'",
                                    spec->name, call.param("name")));
    co_return error_response(other, call.request());
  }
  const bool dry_run = call.request().query_value("dry_run").value_or("false") == "true";
  const auto flow = co_await workflows.apply(call.caller(), *std::move(spec), dry_run);
  if (!flow) co_return error_response(flow.error(), call.request());
  co_return Response::json(flow_json(*flow));
}

Task<Response> list_flows(const Authorized& call, Workflows& workflows) {
  const auto flows = co_await workflows.list(call.caller());
  if (!flows) co_return error_response(flows.error(), call.request());
  Json list = Json::array();
  for (const auto& flow : *flows) {
    Json entry = flow_json(flow);
    Workflows::RunFilter newest;
    newest.flow = flow.name;
    newest.limit = 1;
    const auto runs = co_await workflows.runs(call.caller(), newest);
    if (!runs) co_return error_response(runs.error(), call.request());
    entry.set("last_run", runs->empty() ? Json() : run_json(runs->front()));
    list.push(std::move(entry));
  }
  co_return Response::json(Json::object({{"flows", std::move(list)}}));
}

Task<Response> get_flow(const Authorized& call, Workflows& workflows) {
  const std::string name = call.param("name");
  const auto flow = co_await workflows.get(call.caller(), name);
  if (!flow) co_return error_response(flow.error(), call.request());
  const auto versions = co_await workflows.versions(call.caller(), name);
  if (!versions) co_return error_response(versions.error(), call.request());
  Json answer = flow_json(*flow);
  answer.set("spec", wire::flow_to_json(flow->spec));
  Json list = Json::array();
  for (const auto& version : *versions) {
    list.push(Json::object({{"version", version.version},
                            {"number", version.number},
                            {"created", time_json(version.created)},
                            {"by", version.created_by}}));
  }
  answer.set("versions", std::move(list));
  co_return Response::json(answer);
}

Task<Response> delete_flow(const Authorized& call, Workflows& workflows) {
  const auto done = co_await workflows.remove(call.caller(), call.param("name"));
  if (!done) co_return error_response(done.error(), call.request());
  co_return Response::json(Json::object({{"deleted", call.param("name")}}));
}

Task<Response> add_package(const Authorized& call, Workflows& workflows) {
  auto body = co_await call.read_body();
  if (!body) co_return error_response(body.error(), call.request());
  const auto digest = co_await workflows.add_package(call.caller(), *std::move(body));
  if (!digest) co_return error_response(digest.error(), call.request());
  co_return Response::json(Json::object({{"package", *digest}}), 201);
}

Task<Response> start_run(const Authorized& call, Workflows& workflows, const Compute& compute) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  resources::workflow::RunRequest request;
  if (body->find("params") != nullptr) request.params = (*body)["params"];
  request.idempotency_key = body->text("idempotency_key");
  const auto run = co_await workflows.run(call.caller(), call.param("name"), request);
  if (!run) co_return error_response(run.error(), call.request());
  co_return Response::json(full_run_json(*run, compute), 201);
}

Task<Response> list_runs(const Authorized& call, Workflows& workflows) {
  const auto limit = query_integer(call.request(), "limit", 50, 1, 1000);
  const auto before = query_integer(call.request(), "before", 0, 0, INT64_MAX);
  if (!limit) co_return error_response(limit.error(), call.request());
  if (!before) co_return error_response(before.error(), call.request());
  Workflows::RunFilter filter;
  filter.flow = std::string(call.request().query_value("flow").value_or(""));
  filter.limit = static_cast<int>(*limit);
  filter.before = *before;
  const auto runs = co_await workflows.runs(call.caller(), filter);
  if (!runs) co_return error_response(runs.error(), call.request());
  Json list = Json::array();
  for (const auto& run : *runs)
    list.push(run_json(run));
  co_return Response::json(Json::object({{"runs", std::move(list)}}));
}

Task<Response> get_run(const Authorized& call, Workflows& workflows, const Compute& compute) {
  const auto run = co_await workflows.run_info(call.caller(), call.param("id"));
  if (!run) co_return error_response(run.error(), call.request());
  co_return Response::json(full_run_json(*run, compute));
}

Task<Response> cancel_run(const Authorized& call, Workflows& workflows, const Compute& compute) {
  const auto run = co_await workflows.cancel(call.caller(), call.param("id"));
  if (!run) co_return error_response(run.error(), call.request());
  co_return Response::json(full_run_json(*run, compute));
}

Task<Response> get_logs(const Authorized& call, Workflows& workflows) {
  const auto attempt = query_integer(call.request(), "attempt", 0, 0, 1'000'000);
  if (!attempt) co_return error_response(attempt.error(), call.request());
  Workflows::LogRequest request;
  request.run = call.param("id");
  request.step = std::string(call.request().query_value("step").value_or(""));
  request.attempt = static_cast<int>(*attempt);
  const auto follow = call.request().query_value("follow").value_or("false");
  request.follow = follow == "1" || follow == "true";
  auto source = co_await workflows.logs(call.caller(), request);
  if (!source) co_return error_response(source.error(), call.request());
  co_return Response::stream(*std::move(source), "text/plain; charset=utf-8");
}

Task<Response> get_output(const Authorized& call, Workflows& workflows) {
  const auto output = co_await workflows.output(call.caller(), call.param("id"), call.param("step"),
                                                call.param("name"));
  if (!output) co_return error_response(output.error(), call.request());
  Response response = Response::file({output->file, 0, output->size}, "application/octet-stream");
  response.headers.set("ETag", fmt::format("\"{}\"", output->digest));
  co_return response;
}

Task<Response> run_cost(const Authorized& call, FindRunCost find) {
  const auto found = co_await find(call.caller(), call.param("id"));
  if (!found) co_return error_response(found.error(), call.request());
  Json out = Json::object({{"run", call.param("id")},
                           {"task", found->task.empty() ? Json() : Json(found->task)},
                           {"started", time_json(found->from)},
                           {"finished", time_json(found->to)}});
  Bill bill;
  bill.add(found->cost);
  bill.write(out);
  co_return Response::json(out);
}

constexpr std::string_view kRunSchema =
    R"({"type":"object","additionalProperties":false,"properties":{
  "params":{"type":"object"},"idempotency_key":{"type":"string","minLength":1,"maxLength":200}}})";

// A handler of the service as the pipeline calls it.
struct Bind {
  Workflows* service;
  const Compute* node;
  http::Handler operator()(Task<Response> (*handler)(const Authorized&, Workflows&)) const {
    return [service = service, handler](const Authorized& call) {
      return handler(call, *service);
    };
  }
  http::Handler operator()(Task<Response> (*handler)(const Authorized&, Workflows&,
                                                     const Compute&)) const {
    return [service = service, node = node, handler](const Authorized& call) {
      return handler(call, *service, *node);
    };
  }
};

std::vector<Route> pipeline_routes(const Bind& to) {
  http::Limits package;
  package.body = 65 << 20;
  package.deadline = std::chrono::minutes(5);
  return {
      {Method::kGet,
       "/api/v1/flows",
       Permission::kFlowRead,
       {},
       to(&list_flows),
       {"listFlows", "All pipelines with their newest run", "flows"}},
      {Method::kPut,
       "/api/v1/flows/{name}",
       Permission::kFlowWrite,
       {},
       to(&put_flow),
       {"applyFlow", "Store a pipeline, written in YAML or JSON", "flows", "", "",
        "dry_run:boolean:only check it"}},
      {Method::kGet,
       "/api/v1/flows/{name}",
       Permission::kFlowRead,
       {},
       to(&get_flow),
       {"getFlow", "A pipeline with its text and versions", "flows"}},
      {Method::kDelete,
       "/api/v1/flows/{name}",
       Permission::kFlowWrite,
       {},
       to(&delete_flow),
       {"deleteFlow", "Remove a pipeline and its triggers; its runs stay", "flows"}},
      {Method::kPost,
       "/api/v1/flow-packages",
       Permission::kFlowWrite,
       package,
       to(&add_package),
       {"addFlowPackage", "Upload the source files of a pipeline as a tar archive", "flows"}},
  };
}

std::vector<Route> run_routes(const Bind& to) {
  return {
      {Method::kPost,
       "/api/v1/flows/{name}/runs",
       Permission::kFlowWrite,
       {},
       to(&start_run),
       {"startFlowRun", "Run a pipeline now", "flows", kRunSchema}},
      {Method::kGet,
       "/api/v1/flow-runs",
       Permission::kFlowRead,
       {},
       to(&list_runs),
       {"listFlowRuns", "Runs, newest first", "flows", "", "",
        "flow:string:only runs of this pipeline;limit:integer:runs to return;"
        "before:integer:only runs with a smaller sequence"}},
      {Method::kGet,
       "/api/v1/flow-runs/{id}",
       Permission::kFlowRead,
       {},
       to(&get_run),
       {"getFlowRun", "A run with its steps and attempts", "flows"}},
      {Method::kPost,
       "/api/v1/flow-runs/{id}/cancel",
       Permission::kFlowWrite,
       {},
       to(&cancel_run),
       {"cancelFlowRun", "Stop a run: its tasks get SIGTERM and ten seconds; 409 once it has ended",
        "flows"}},
      {Method::kGet,
       "/api/v1/flow-runs/{id}/logs",
       Permission::kFlowRead,
       {},
       to(&get_logs),
       {"getFlowRunLogs", "What the steps printed", "flows", "", "",
        "step:string:only this step;attempt:integer:only this attempt;follow:boolean:go on until "
        "the run has ended"}},
      {Method::kGet,
       "/api/v1/flow-runs/{id}/artifacts/{step}/{name}",
       Permission::kFlowRead,
       {},
       to(&get_output),
       {"getFlowRunArtifact", "An output of a step", "flows"}},
  };
}

}  // namespace

std::vector<Route> flow_routes(Workflows& workflows, const Compute& node) {
  const Bind to{&workflows, &node};
  std::vector<Route> routes = pipeline_routes(to);
  for (Route& route : run_routes(to))
    routes.push_back(std::move(route));
  return routes;
}

std::vector<Route> run_cost_routes(FindRunCost find) {
  std::vector<Route> routes;
  routes.emplace_back(
      Method::kGet, "/api/v1/runs/{id}/cost", Permission::kTrackingRead, http::Limits{},
      [find = std::move(find)](const Authorized& call) { return run_cost(call, find); },
      http::Doc{"getRunCost", "What an MLflow run inside of a pipeline's step has cost", "flows"});
  return routes;
}

}  // namespace strata::doors::rest
