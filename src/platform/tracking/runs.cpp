#include "base/text.hpp"
#include "platform/search/search.hpp"
#include "platform/tracking/metric_series.hpp"
#include "platform/tracking/rows.hpp"
#include "platform/tracking/tracking.hpp"
#include "platform/tracking/validate.hpp"

namespace strata::platform::tracking {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::string_view kRunName = "mlflow.runName";
constexpr std::array<std::string_view, 5> kStatuses = {"RUNNING", "SCHEDULED", "FINISHED", "FAILED",
                                                       "KILLED"};

bool is_final(std::string_view status) {
  return status == "FINISHED" || status == "FAILED" || status == "KILLED";
}

// "amber-heron-417": easier to say and to remember than an id.
std::string random_name(Random& random) {
  static constexpr std::array<std::string_view, 16> kColours = {
      "amber", "azure", "coral", "crimson", "golden", "green",  "indigo", "ivory",
      "jade",  "lilac", "olive", "rosy",    "ruby",   "silver", "teal",   "violet"};
  static constexpr std::array<std::string_view, 16> kBirds = {
      "crane", "dove", "eagle",  "falcon", "finch",  "heron", "ibis",  "jay",
      "kite",  "lark", "martin", "owl",    "plover", "robin", "swift", "wren"};
  const auto draw = random.u64();
  return fmt::format("{}-{}-{}", kColours[draw % 16], kBirds[(draw >> 4) % 16], (draw >> 8) % 1000);
}

const std::string* find_tag(const std::vector<KeyValue>& tags, std::string_view key) {
  for (const auto& tag : tags) {
    if (tag.key == key) return &tag.value;
  }
  return nullptr;
}

Result<std::string> name_of(const RunDraft& draft, Random& random) {
  const auto* tag = find_tag(draft.tags, kRunName);
  if (tag != nullptr && !tag->empty() && !draft.name.empty() && draft.name != *tag) {
    return invalid("run_name", fmt::format("Both 'run_name' argument and 'mlflow.runName' tag are "
                                           "specified, but with different values "
                                           "(run_name='{}', mlflow.runName='{}').",
                                           draft.name, *tag));
  }
  if (!draft.name.empty()) return draft.name;
  if (tag != nullptr && !tag->empty()) return *tag;
  return random_name(random);
}

const search::Schema& run_schema() {
  using wire::mlflow::Entity;
  static const search::Schema schema = [] {
    search::Schema s;
    s.subject = wire::mlflow::Subject::kRuns;
    s.from = "runs e";
    s.attributes = {{"run_id", "e.id"},
                    {"run_name", "e.name"},
                    {"user_id", "e.user_id"},
                    {"status", "e.status"},
                    {"start_time", "e.start_ms"},
                    {"end_time", "e.end_ms"},
                    {"artifact_uri", "e.artifact_uri"}};
    s.nullable = {"end_time"};
    s.keyed = {{Entity::kMetric, {"latest_metrics", "kv.run_id = e.id"}},
               {Entity::kParam, {"params", "kv.run_id = e.id"}},
               {Entity::kTag, {"run_tags", "kv.run_id = e.id"}}};
    constexpr std::string_view kInputs =
        "(SELECT i.run_id, {} AS value FROM run_datasets i JOIN datasets d ON d.id = i.dataset_id) "
        "kv";
    for (const auto& [key, column] :
         {std::pair("name", "d.name"), {"digest", "d.digest"}, {"context", "i.context"}}) {
      s.datasets.emplace(
          key, search::KeyedTable{fmt::format(fmt::runtime(kInputs), column), "kv.run_id = e.id"});
    }
    s.tie_breakers = {{"start_time", true}, {"run_id", false}};
    return s;
  }();
  return schema;
}

}  // namespace

Task<Result<Run>> Tracking::create_run(const Caller& caller, RunDraft draft) {
  STRATA_CO_TRY(check_tags(draft.tags, kMaxTagValue, true));
  auto name = name_of(draft, random_);
  if (!name) co_return std::move(name).error();
  STRATA_CO_TRY(check_length(*name, kMaxTagValue, "run_name"));
  STRATA_CO_TRY(co_await ensure_default_experiment(caller));
  if (draft.experiment_id.empty()) draft.experiment_id = "0";
  Run run;
  run.info.id = random_.hex(16);
  run.info.name = *name;
  run.info.user_id = draft.user_id.empty() ? caller.user_name : draft.user_id;
  run.info.owner = caller.user_name;
  run.info.status = "RUNNING";
  run.info.start_ms = draft.start_ms.value_or(now_ms());
  run.tags = std::move(draft.tags);
  std::erase_if(run.tags, [](const KeyValue& tag) { return tag.key == kRunName; });
  run.tags.push_back({std::string(kRunName), *name});
  auto create = [&](Writer& writer) -> Result<Run> {
    auto experiment = load_experiment(writer, caller.project, draft.experiment_id);
    if (!experiment) return std::move(experiment).error();
    if (experiment->deleted) {
      return invalid(
          "experiment_id",
          fmt::format("The experiment {} must be in the 'active' state. Current state is deleted.",
                      draft.experiment_id));
    }
    run.info.experiment_id = experiment->id;
    run.info.artifact_uri =
        fmt::format("{}/{}/artifacts", experiment->artifact_location, run.info.id);
    STRATA_TRY(insert_run(writer, caller, run));
    STRATA_TRY(events_.publish(writer, caller.project, "run.created", "run:" + run.info.id,
                               Json::object({{"name", Json(run.info.name)},
                                             {"experiment_id", Json(run.info.experiment_id)}})));
    return run;
  };
  co_return co_await records_.write(create);
}

Status Tracking::insert_run(Writer& writer, const Caller& caller, const Run& run) {
  const RunInfo& info = run.info;
  STRATA_TRY(writer.execute(
      "INSERT INTO runs (id, project, experiment_id, name, user_id, owner, status, start_ms, "
      "end_ms, artifact_uri, deleted) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, 0)",
      {info.id, caller.project.str(), *experiment_number(info.experiment_id), info.name,
       info.user_id, info.owner, info.status, info.start_ms, info.artifact_uri}));
  STRATA_TRY(report_run(writer, caller, info, run.tags));
  return write_tags(writer, caller, info, run.tags);
}

Task<Result<Run>> Tracking::run(const Caller& caller, std::string id) {
  auto load = [&](Reader& reader) -> Result<Run> {
    auto info = load_run_info(reader, caller.project, id);
    if (!info) return std::move(info).error();
    std::vector<Run> one(1);
    one.front().info = std::move(*info);
    STRATA_TRY(load_run_data(reader, one));
    return std::move(one.front());
  };
  co_return co_await records_.read(load);
}

Task<Result<RunInfo>> Tracking::update_run(const Caller& caller, std::string id, RunUpdate update) {
  if (update.status &&
      std::find(kStatuses.begin(), kStatuses.end(), *update.status) == kStatuses.end()) {
    co_return bad_value("status", *update.status,
                        "It is one of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED");
  }
  STRATA_CO_TRY(check_length(update.name, kMaxTagValue, "run_name"));
  auto change = [&](Writer& writer) -> Result<RunInfo> {
    auto info = load_active_run(writer, caller.project, id);
    if (!info) return info;
    const bool ends = update.status && is_final(*update.status) && !is_final(info->status);
    if (update.status) info->status = *update.status;
    if (update.end_ms) info->end_ms = update.end_ms;
    if (!update.name.empty()) {
      const std::vector<KeyValue> tags = {{std::string(kRunName), update.name}};
      STRATA_TRY(write_tags(writer, caller, *info, tags));
      info->name = update.name;
    }
    STRATA_TRY(writer.execute("UPDATE runs SET status = ?, end_ms = ? WHERE id = ?",
                              {info->status, info->end_ms, id}));
    if (!ends) return info;
    STRATA_TRY(fold_points(writer, id));
    STRATA_TRY(events_.publish(writer, caller.project, "run.finished", "run:" + id,
                               Json::object({{"status", Json(info->status)},
                                             {"name", Json(info->name)},
                                             {"experiment_id", Json(info->experiment_id)}})));
    return info;
  };
  co_return co_await records_.write(change);
}

Task<Status> Tracking::mark_run(const Caller& caller, std::string id, bool deleted) {
  auto mark = [&](Writer& writer) -> Status {
    auto info = load_run_info(writer, caller.project, id);
    if (!info) return std::move(info).error();
    const auto marked = writer.execute("UPDATE runs SET deleted = ? WHERE id = ? AND deleted <> ?",
                                       {deleted, id, deleted});
    if (!marked) return marked.error();
    if (*marked == 0) return {};
    return audit_.record(writer, caller, deleted ? "run.delete" : "run.restore", "run:" + id);
  };
  co_return co_await records_.write(mark);
}

Task<Status> Tracking::delete_run(const Caller& caller, std::string id) {
  co_return co_await mark_run(caller, std::move(id), true);
}

Task<Status> Tracking::restore_run(const Caller& caller, std::string id) {
  co_return co_await mark_run(caller, std::move(id), false);
}

Task<Result<Page<Run>>> Tracking::search_runs(const Caller& caller, SearchRequest request) {
  if (request.max_results < 1 || request.max_results > kMaxSearchResults) {
    co_return invalid(
        "max_results",
        fmt::format("Invalid value {} for parameter 'max_results' supplied: It must be between "
                    "1 and {}",
                    request.max_results, kMaxSearchResults));
  }
  auto query = search::Query::make(
      run_schema(), request.filter, request.order_by, request.page_token,
      fmt::format("{} {}", static_cast<int>(request.view), join(request.experiment_ids, ",")));
  if (!query) co_return std::move(query).error();
  kernel::SqlArgs experiments;
  for (const auto& id : request.experiment_ids) {
    auto number = experiment_number(id);
    if (!number) co_return std::move(number).error();
    experiments.emplace_back(*number);
  }
  if (experiments.empty()) co_return Page<Run>{};
  query->where("e.project = ?", {caller.project.str()});
  if (experiments.size() == 1) {
    query->where("e.experiment_id = ?", std::move(experiments));
  } else {
    const auto places = search::placeholders(experiments.size());
    query->where(fmt::format("e.experiment_id IN ({})", places), std::move(experiments));
  }
  if (request.view != View::kAll) query->where("e.deleted = ?", {request.view == View::kDeleted});
  auto find = [&](Reader& reader) -> Result<Page<Run>> {
    auto found = query->run(reader, kRunColumns, request.max_results);
    if (!found) return std::move(found).error();
    Page<Run> page{{}, std::move(found->next_page_token)};
    page.items.resize(found->rows.size());
    for (std::size_t i = 0; i < found->rows.size(); ++i)
      page.items[i].info = run_info_of(found->rows[i]);
    STRATA_TRY(load_run_data(reader, page.items));
    return page;
  };
  co_return co_await records_.read(find);
}

Result<RunInfo> Tracking::find_run(Reader& reader, const ProjectId& project,
                                   std::string_view id) const {
  return load_run_info(reader, project, id);
}

}  // namespace strata::platform::tracking
