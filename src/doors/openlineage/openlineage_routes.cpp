#include "doors/openlineage/openlineage_routes.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::doors::openlineage {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using platform::external::Dataset;
using platform::external::ExternalLineage;
using platform::external::Identifier;
using platform::external::Job;
using platform::external::Run;
namespace ol = wire::openlineage;

namespace {

constexpr Limits kEvent{.body = 4U << 20U, .deadline = std::chrono::seconds(30)};
constexpr Limits kBatch{.body = 16U << 20U, .deadline = std::chrono::seconds(60)};
constexpr std::size_t kMostInBatch = 1000;
constexpr std::int64_t kListed = 100, kMostListed = 1000;

Json id_json(const Identifier& id) {
  return Json::object({{"namespace", id.space}, {"name", id.name}});
}

Json ids_json(const std::vector<Identifier>& ids) {
  Json out = Json::array();
  for (const auto& id : ids)
    out.push(id_json(id));
  return out;
}

Json time_json(const std::optional<Instant>& time) {
  return time ? Json(to_rfc3339(*time)) : Json();
}

Json run_json(const Run& run) {
  return Json::object({{"id", run.id},
                       {"ref", "external_run:" + run.id},
                       {"state", ol::run_state_name(run.state)},
                       {"started", time_json(run.started)},
                       {"ended", time_json(run.ended)},
                       {"error", run.error},
                       {"parent", run.parent},
                       {"sender", run.sender},
                       {"inputs", ids_json(run.inputs)},
                       {"outputs", ids_json(run.outputs)},
                       {"facets", run.facets}});
}

Json job_json(const Job& job) {
  Json out = id_json(job.id);
  out.set("seen", to_rfc3339(job.seen));
  out.set("newest", job.newest ? run_json(*job.newest) : Json());
  out.set("inputs", ids_json(job.inputs));
  out.set("outputs", ids_json(job.outputs));
  return out;
}

Json dataset_json(const Dataset& dataset) {
  Json out = id_json(dataset.id);
  out.set("joins", dataset.joins);
  out.set("seen", to_rfc3339(dataset.seen));
  out.set("readers", ids_json(dataset.readers));
  out.set("writers", ids_json(dataset.writers));
  out.set("facets", dataset.facets);
  return out;
}

template <class T>
Json list_json(const std::vector<T>& all, Json (*one)(const T&)) {
  Json out = Json::array();
  for (const auto& each : all)
    out.push(one(each));
  return out;
}

Result<int> limit_of(const http::Request& request) {
  const auto limit = query_integer(request, "limit", kListed, 1, kMostListed);
  if (!limit) return limit.error();
  return static_cast<int>(*limit);
}

Task<Result<Json>> take_one(const Authorized& call, ExternalLineage& external) {
  const auto body = co_await call.read_unpacked_body();
  if (!body) co_return body.error();
  const auto json = parse_json(*body);
  if (!json) co_return json.error();
  auto event = ol::read_event(*json);
  if (!event) co_return std::move(event).error();
  std::vector<ol::Event> events;
  events.push_back(*std::move(event));
  const auto changed = co_await external.accept(call.caller(), std::move(events));
  if (!changed) co_return changed.error();
  co_return Json::object({{"changed", *changed}});
}

// The events that were refused, each with its place in the batch.
class Refused {
 public:
  void add(std::size_t index, const Error& error) {
    list_.push(Json::object({{"index", index},
                             {"reason", error.to_string()},
                             {"field", error.field},
                             {"retriable", error.retry}}));
  }
  Json answer(std::size_t received) {
    const auto failed = list_.size();
    return Json::object({{"status", failed == 0 ? "success" : "partial_success"},
                         {"summary", Json::object({{"received", received},
                                                   {"successful", received - failed},
                                                   {"failed", failed}})},
                         {"failed_events", std::move(list_)}});
  }

 private:
  Json list_ = Json::array();
};

Result<Json> read_batch(std::string_view body) {
  auto json = parse_json(body);
  if (!json) return json;
  if (!json->is_array())
    return invalid("", fmt::format("a batch is a list of events, not {}", json->type_name()));
  if (json->size() > kMostInBatch) {
    return invalid("", fmt::format("a batch of {} events; at most {} are taken at once",
                                   json->size(), kMostInBatch));
  }
  return json;
}

// All in one commit; one by one where a single one of them cannot be taken.
Task<Result<Json>> take_batch(const Authorized& call, ExternalLineage& external) {
  const auto body = co_await call.read_unpacked_body();
  if (!body) co_return body.error();
  const auto batch = read_batch(*body);
  if (!batch) co_return batch.error();
  Refused refused;
  std::vector<ol::Event> events;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < batch->size(); ++i) {
    auto event = ol::read_event(batch->as_array()[i]);
    Status fits = event ? external.check(*event) : Status(event.error());
    if (!fits) {
      refused.add(i, fits.error());
      continue;
    }
    events.push_back(*std::move(event));
    places.push_back(i);
  }
  const auto all = co_await external.accept(call.caller(), events);
  if (!all && all.error().code != Code::kInvalidArgument) co_return all.error();
  for (std::size_t i = 0; !all && i < events.size(); ++i) {
    std::vector<ol::Event> one(1, events[i]);
    const auto taken = co_await external.accept(call.caller(), std::move(one));
    if (!taken) refused.add(places[i], taken.error());
  }
  co_return refused.answer(batch->size());
}

Task<Result<Json>> list_jobs(const Authorized& call, ExternalLineage& external) {
  const auto limit = limit_of(call.request());
  if (!limit) co_return limit.error();
  std::string search(call.request().query_value("search").value_or(""));
  const auto jobs = co_await external.jobs(call.caller(), std::move(search), *limit);
  if (!jobs) co_return jobs.error();
  co_return Json::object({{"jobs", list_json(*jobs, &job_json)}});
}

Task<Result<Json>> list_datasets(const Authorized& call, ExternalLineage& external) {
  const auto limit = limit_of(call.request());
  if (!limit) co_return limit.error();
  std::string search(call.request().query_value("search").value_or(""));
  const auto datasets = co_await external.datasets(call.caller(), std::move(search), *limit);
  if (!datasets) co_return datasets.error();
  co_return Json::object({{"datasets", list_json(*datasets, &dataset_json)}});
}

Task<Result<Json>> list_runs(const Authorized& call, ExternalLineage& external) {
  const auto limit = limit_of(call.request());
  if (!limit) co_return limit.error();
  Identifier job;
  for (const std::string_view name : {"namespace", "name"}) {
    const auto text = call.request().query_value(name);
    if (!text || text->empty())
      co_return invalid(std::string(name), fmt::format("{}: is required, that of the job", name));
    (name == "name" ? job.name : job.space) = *text;
  }
  const auto runs = co_await external.runs(call.caller(), std::move(job), *limit);
  if (!runs) co_return runs.error();
  co_return Json::object({{"runs", list_json(*runs, &run_json)}});
}

using Operation = Task<Result<Json>> (*)(const Authorized&, ExternalLineage&);

Task<Response> answer(const Authorized& call, ExternalLineage& external, Operation operation,
                      const http::ErrorForm& error_form) {
  const auto done = co_await operation(call, external);
  if (!done) co_return error_form(done.error(), call.request());
  co_return Response::json(*done);
}

}  // namespace

std::vector<Route> openlineage_routes(ExternalLineage& external, http::ErrorForm error_form) {
  const auto by = [&external, form = std::move(error_form)](Operation operation) {
    return [&external, operation, form](const Authorized& call) {
      return answer(call, external, operation, form);
    };
  };
  return {
      {Method::kPost,
       "/api/v1/lineage",
       Permission::kTrackingWrite,
       kEvent,
       by(&take_one),
       {"sendLineageEvent", "One event of OpenLineage 2-0-2: of a run, a job or a dataset",
        "lineage", R"({"type": "object"})"}},
      {Method::kPost,
       "/api/v1/lineage/batch",
       Permission::kTrackingWrite,
       kBatch,
       by(&take_batch),
       {"sendLineageEvents", "Up to 1,000 events of OpenLineage; says which ones it refused",
        "lineage", R"({"type": "array", "items": {"type": "object"}})"}},
      {Method::kGet,
       "/api/v1/lineage/jobs",
       Permission::kLineageRead,
       {},
       by(&list_jobs),
       {"listExternalJobs", "Jobs that run elsewhere, with their newest run", "lineage", "", "",
        "search:string:a part of the namespace or name;limit:integer:at most 1000"}},
      {Method::kGet,
       "/api/v1/lineage/runs",
       Permission::kLineageRead,
       {},
       by(&list_runs),
       {"listExternalRuns", "Runs of one such job, the newest first", "lineage", "", "",
        "namespace:string:of the job;name:string:of the job;limit:integer:at most 1000"}},
      {Method::kGet,
       "/api/v1/lineage/datasets",
       Permission::kLineageRead,
       {},
       by(&list_datasets),
       {"listExternalDatasets", "What such jobs read and wrote, with its facets", "lineage", "", "",
        "search:string:a part of the namespace or name;limit:integer:at most 1000"}},
  };
}

}  // namespace strata::doors::openlineage
