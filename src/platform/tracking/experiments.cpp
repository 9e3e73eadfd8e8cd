#include "base/text.hpp"
#include "platform/search/search.hpp"
#include "platform/tracking/rows.hpp"
#include "platform/tracking/tracking.hpp"
#include "platform/tracking/validate.hpp"
#include "wire/mlflow/mlflow_artifact.hpp"

namespace strata::platform::tracking {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

const search::Schema& experiment_schema() {
  static const search::Schema schema = [] {
    search::Schema s;
    s.subject = wire::mlflow::Subject::kExperiments;
    s.from = "experiments e";
    s.attributes = {{"name", "e.name"},
                    {"experiment_id", "e.id"},
                    {"creation_time", "e.created_ms"},
                    {"last_update_time", "e.updated_ms"}};
    s.keyed = {{wire::mlflow::Entity::kTag,
                {"experiment_tags", "kv.project = e.project AND kv.experiment_id = e.id"}}};
    s.tie_breakers = {{"experiment_id", true}};
    return s;
  }();
  return schema;
}

// Ids are numbers in records but quoted texts in filters, so these clauses are handled apart.
Status filter_by_id(search::Query& query) {
  Status fault;
  query.take_clauses([&](const wire::mlflow::Clause& clause) {
    if (clause.entity != wire::mlflow::Entity::kAttribute || clause.key != "experiment_id")
      return false;
    std::vector<std::string> ids;
    if (const auto* one = std::get_if<std::string>(&clause.value)) ids = {*one};
    if (const auto* list = std::get_if<std::vector<std::string>>(&clause.value)) ids = *list;
    kernel::SqlArgs numbers;
    for (const auto& id : ids) {
      auto number = experiment_number(id);
      if (number) {
        numbers.emplace_back(*number);
      } else {
        fault = std::move(number).error();
      }
    }
    const bool negative = clause.comparator == wire::mlflow::Comparator::kNotEqual ||
                          clause.comparator == wire::mlflow::Comparator::kNotIn;
    query.where(fmt::format("e.id {} ({})", negative ? "NOT IN" : "IN",
                            search::placeholders(numbers.size())),
                std::move(numbers));
    return true;
  });
  return fault;
}

Status insert_experiment(Writer& writer, const Caller& caller, std::int64_t id,
                         const std::string& name, const std::string& location, std::int64_t now) {
  const std::string place = location.empty() ? fmt::format("mlflow-artifacts:/{}", id) : location;
  auto added = writer.execute(
      "INSERT INTO experiments (project, id, name, artifact_location, deleted, created_ms, "
      "updated_ms, owner) "
      "VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
      {caller.project.str(), id, name, place, now, now, caller.user_name});
  if (added) return {};
  if (added.error().code == Code::kAlreadyExists) {
    return Error(
        Code::kAlreadyExists,
        fmt::format("Experiment(name={}) already exists. A deleted experiment keeps its name; "
                    "restore it or choose another name",
                    name));
  }
  return std::move(added).error();
}

Status upsert_experiment_tag(Writer& writer, const ProjectId& project, std::int64_t id,
                             const KeyValue& tag) {
  return writer
      .execute(
          "INSERT INTO experiment_tags (project, experiment_id, key, value) VALUES (?, ?, ?, ?) "
          "ON CONFLICT (project, experiment_id, key) DO UPDATE SET value = excluded.value",
          {project.str(), id, tag.key, tag.value})
      .and_then([](auto) { return Status(); });
}

}  // namespace

Tracking::Tracking(kernel::Records& records, kernel::Audit& audit, kernel::EventBus& events,
                   kernel::Lineage& lineage, ArtifactStore& artifacts, const Clock& clock,
                   Random& random)
    : records_(records),
      audit_(audit),
      events_(events),
      lineage_(lineage),
      artifacts_(artifacts),
      clock_(clock),
      random_(random) {}

Task<Status> Tracking::ensure_default_experiment(const Caller& caller) {
  {
    const std::lock_guard lock(mutex_);
    if (ready_projects_.contains(caller.project.str())) co_return Status();
  }
  auto insert = [&](Writer& writer) -> Status {
    auto found = writer.first("SELECT 1 FROM experiments WHERE project = ? AND id = 0",
                              {caller.project.str()});
    if (!found) return std::move(found).error();
    if (*found) return {};
    return insert_experiment(writer, caller, 0, "Default", "", now_ms());
  };
  auto done = co_await records_.write(insert);
  if (done) {
    const std::lock_guard lock(mutex_);
    ready_projects_.insert(caller.project.str());
  }
  co_return done;
}

Task<Result<std::string>> Tracking::create_experiment(const Caller& caller, std::string name,
                                                      std::string artifact_location,
                                                      std::vector<KeyValue> tags) {
  STRATA_CO_TRY(check_experiment_name(name));
  if (!artifact_location.empty()) {
    STRATA_CO_TRY(wire::mlflow::check_artifact_uri(artifact_location, "artifact_location"));
    while (artifact_location.ends_with('/'))
      artifact_location.pop_back();
  }
  STRATA_CO_TRY(check_tags(tags, kMaxExperimentTagValue, false));
  STRATA_CO_TRY(co_await ensure_default_experiment(caller));
  auto create = [&](Writer& writer) -> Result<std::string> {
    auto newest =
        writer.first("SELECT MAX(id) FROM experiments WHERE project = ?", {caller.project.str()});
    if (!newest) return std::move(newest).error();
    const std::int64_t id =
        (*newest)->integer(0) + 1;  // rows are never removed, so no id comes twice
    STRATA_TRY(insert_experiment(writer, caller, id, name, artifact_location, now_ms()));
    for (const auto& tag : tags)
      STRATA_TRY(upsert_experiment_tag(writer, caller.project, id, tag));
    STRATA_TRY(audit_.record(writer, caller, "experiment.create", fmt::format("experiment:{}", id),
                             Json::object({{"name", Json(name)}})));
    STRATA_TRY(events_.publish(writer, caller.project, "experiment.created",
                               fmt::format("experiment:{}", id),
                               Json::object({{"name", Json(name)}})));
    return std::to_string(id);
  };
  co_return co_await records_.write(create);
}

Task<Result<Experiment>> Tracking::experiment(const Caller& caller, std::string id) {
  STRATA_CO_TRY(co_await ensure_default_experiment(caller));
  auto load = [&](Reader& reader) -> Result<Experiment> {
    auto found = load_experiment(reader, caller.project, id);
    if (found) STRATA_TRY(load_experiment_tags(reader, caller.project, *found));
    return found;
  };
  co_return co_await records_.read(load);
}

Task<Result<Experiment>> Tracking::experiment_by_name(const Caller& caller, std::string name) {
  STRATA_CO_TRY(co_await ensure_default_experiment(caller));
  auto load = [&](Reader& reader) -> Result<Experiment> {
    auto row =
        reader.first(fmt::format("SELECT {} FROM experiments e WHERE e.project = ? AND e.name = ?",
                                 kExperimentColumns),
                     {caller.project.str(), name});
    if (!row) return std::move(row).error();
    if (!*row) return not_found(fmt::format("Could not find experiment with name '{}'", name));
    Experiment found = experiment_of(**row);
    STRATA_TRY(load_experiment_tags(reader, caller.project, found));
    return found;
  };
  co_return co_await records_.read(load);
}

Task<Result<Page<Experiment>>> Tracking::search_experiments(const Caller& caller,
                                                            SearchRequest request) {
  if (request.max_results < 1 || request.max_results > kMaxSearchResults) {
    co_return invalid(
        "max_results",
        fmt::format("Invalid value {} for parameter 'max_results' supplied: It must be between "
                    "1 and {}",
                    request.max_results, kMaxSearchResults));
  }
  STRATA_CO_TRY(co_await ensure_default_experiment(caller));
  if (request.order_by.empty()) request.order_by = {"creation_time DESC", "experiment_id ASC"};
  auto query =
      search::Query::make(experiment_schema(), request.filter, request.order_by, request.page_token,
                          fmt::format("{}", static_cast<int>(request.view)));
  if (!query) co_return std::move(query).error();
  STRATA_CO_TRY(filter_by_id(*query));
  query->where("e.project = ?", {caller.project.str()});
  if (request.view != View::kAll) query->where("e.deleted = ?", {request.view == View::kDeleted});
  auto find = [&](Reader& reader) -> Result<Page<Experiment>> {
    auto found = query->run(reader, kExperimentColumns, request.max_results);
    if (!found) return std::move(found).error();
    Page<Experiment> page{{}, std::move(found->next_page_token)};
    for (const auto& row : found->rows) {
      page.items.push_back(experiment_of(row));
      STRATA_TRY(load_experiment_tags(reader, caller.project, page.items.back()));
    }
    return page;
  };
  co_return co_await records_.read(find);
}

Task<Status> Tracking::mark_experiment(const Caller& caller, std::string id, bool deleted) {
  STRATA_CO_TRY(co_await ensure_default_experiment(caller));
  auto mark = [&](Writer& writer) -> Status {
    auto found = load_experiment(writer, caller.project, id);
    if (!found) return std::move(found).error();
    if (found->deleted == deleted) {
      return not_found(
          fmt::format("No {} experiment with id={} exists", deleted ? "active" : "deleted", id));
    }
    auto number = experiment_number(id);
    STRATA_TRY(writer.execute(
        "UPDATE experiments SET deleted = ?, updated_ms = ? WHERE project = ? AND id = ?",
        {deleted, now_ms(), caller.project.str(), *number}));
    STRATA_TRY(writer.execute("UPDATE runs SET deleted = ? WHERE project = ? AND experiment_id = ?",
                              {deleted, caller.project.str(), *number}));
    return audit_.record(writer, caller, deleted ? "experiment.delete" : "experiment.restore",
                         "experiment:" + id);
  };
  co_return co_await records_.write(mark);
}

Task<Status> Tracking::delete_experiment(const Caller& caller, std::string id) {
  co_return co_await mark_experiment(caller, std::move(id), true);
}

Task<Status> Tracking::restore_experiment(const Caller& caller, std::string id) {
  co_return co_await mark_experiment(caller, std::move(id), false);
}

Task<Status> Tracking::rename_experiment(const Caller& caller, std::string id, std::string name) {
  STRATA_CO_TRY(check_experiment_name(name));
  auto rename = [&](Writer& writer) -> Status {
    auto found = load_experiment(writer, caller.project, id);
    if (!found) return std::move(found).error();
    if (found->deleted) return invalid("experiment_id", "Cannot rename a non-active experiment.");
    auto changed = writer.execute(
        "UPDATE experiments SET name = ?, updated_ms = ? WHERE project = ? AND id = ?",
        {name, now_ms(), caller.project.str(), *experiment_number(id)});
    if (changed) return {};
    if (changed.error().code != Code::kAlreadyExists) return std::move(changed).error();
    return Error(Code::kAlreadyExists, fmt::format("Experiment(name={}) already exists", name));
  };
  co_return co_await records_.write(rename);
}

Task<Status> Tracking::set_experiment_tag(const Caller& caller, std::string id, KeyValue tag) {
  std::vector<KeyValue> tags = {std::move(tag)};
  STRATA_CO_TRY(check_tags(tags, kMaxExperimentTagValue, false));
  STRATA_CO_TRY(co_await ensure_default_experiment(caller));
  auto set = [&](Writer& writer) -> Status {
    auto found = load_experiment(writer, caller.project, id);
    if (!found) return std::move(found).error();
    if (found->deleted) {
      return invalid(
          "experiment_id",
          fmt::format("The experiment {} must be in the 'active' state. Current state is deleted.",
                      id));
    }
    return upsert_experiment_tag(writer, caller.project, *experiment_number(id), tags.front());
  };
  co_return co_await records_.write(set);
}

Task<Status> Tracking::delete_experiment_tag(const Caller& caller, std::string id,
                                             std::string key) {
  auto drop = [&](Writer& writer) -> Status {
    auto found = load_experiment(writer, caller.project, id);
    if (!found) return std::move(found).error();
    auto gone = writer.execute(
        "DELETE FROM experiment_tags WHERE project = ? AND experiment_id = ? AND key = ?",
        {caller.project.str(), *experiment_number(id), key});
    if (!gone) return std::move(gone).error();
    if (*gone == 0)
      return not_found(fmt::format("No tag with name: {} in experiment with id {}", key, id));
    return {};
  };
  co_return co_await records_.write(drop);
}

}  // namespace strata::platform::tracking
