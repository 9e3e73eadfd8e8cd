#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "platform/search/search.hpp"
#include "platform/tracking/rows.hpp"
#include "platform/tracking/tracking.hpp"
#include "platform/tracking/validate.hpp"

namespace strata::platform::tracking {

using kernel::Caller;
using kernel::LineageEdge;
using kernel::LineageNode;
using kernel::Reader;
using kernel::Writer;
using wire::mlflow::Entity;

namespace {

constexpr std::string_view kVersionsTag = "mlflow.modelVersions";
constexpr std::int64_t kMaxModelsPerPage = 50;

Status check_model_name(std::string_view name) {
  if (name.find_first_of("/:.%\"'") == std::string_view::npos)
    return check_length(name, kMaxName, "name");
  return invalid(
      "name",
      fmt::format(
          "Invalid model name ('{}') provided. Model name must be a non-empty string and cannot "
          "contain the following characters: / : . % \" '",
          name));
}

// The list of versions with each once: the stock client adds the version that the registration has
// noted already, with its number as a text or as a number.
std::string versions_once(const std::string& value) {
  const auto listed = parse_json(value);
  if (!listed || !listed->is_array()) return value;
  std::set<std::pair<std::string, std::string>> seen;
  Json versions = Json::array();
  for (const auto& one : listed->as_array()) {
    const Json* name = one.is_object() ? one.find("name") : nullptr;
    const Json* number = one.is_object() ? one.find("version") : nullptr;
    if (name != nullptr && number != nullptr) {
      const auto text = [](const Json& json) {
        return json.is_string() ? json.as_string() : json.dump();
      };
      if (!seen.emplace(text(*name), text(*number)).second) continue;
    }
    versions.push(one);
  }
  return versions.dump();
}

Status upsert_tag(Writer& writer, std::string_view model_id, const KeyValue& tag) {
  return writer
      .execute(
          "INSERT INTO logged_model_tags (model_id, key, value) VALUES (?, ?, ?) "
          "ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value",
          {model_id, tag.key, tag.value})
      .and_then([](auto) { return Status(); });
}

Status insert_params(Writer& writer, std::string_view model_id,
                     const std::vector<KeyValue>& params) {
  for (const auto& param : params) {
    auto added =
        writer.execute("INSERT INTO logged_model_params (model_id, key, value) VALUES (?, ?, ?)",
                       {model_id, param.key, cut(param.value, kMaxParamValue)});
    if (added) continue;
    if (added.error().code != Code::kAlreadyExists) return std::move(added).error();
    return invalid("params", fmt::format("Param with key='{}' was already logged for model ID='{}'",
                                         param.key, model_id));
  }
  return {};
}

Status check_pairs(const std::vector<KeyValue>& pairs, std::string_view what) {
  for (const auto& pair : pairs) {
    if (pair.key.empty())
      return invalid(std::string(what), fmt::format("Missing key in '{}'", what));
    STRATA_TRY(check_length(pair.key, kMaxKey, what));
  }
  return {};
}

const search::Schema& logged_model_schema() {
  static const search::Schema schema = [] {
    search::Schema s;
    s.subject = wire::mlflow::Subject::kLoggedModels;
    s.from = "logged_models e";
    s.attributes = {{"name", "e.name"},
                    {"model_id", "e.id"},
                    {"model_type", "e.model_type"},
                    {"status", "e.status"},
                    {"source_run_id", "e.source_run_id"},
                    {"experiment_id", "e.experiment_id"},
                    {"creation_timestamp", "e.created_ms"},
                    {"last_updated_timestamp", "e.updated_ms"}};
    s.keyed = {{Entity::kMetric, {"logged_model_metrics", "kv.model_id = e.id"}},
               {Entity::kParam, {"logged_model_params", "kv.model_id = e.id"}},
               {Entity::kTag, {"logged_model_tags", "kv.model_id = e.id"}}};
    s.tie_breakers = {{"creation_timestamp", true}, {"model_id", false}};
    return s;
  }();
  return schema;
}

search::Sql any_dataset(const std::vector<DatasetScope>& datasets) {
  search::Sql sql;
  for (const auto& dataset : datasets) {
    sql.add(sql.text.empty() ? "(" : " OR (");
    sql.add("kv.dataset_name = ?", {dataset.name});
    if (!dataset.digest.empty()) sql.add(" AND kv.dataset_digest = ?", {dataset.digest});
    sql.add(")");
  }
  return sql;
}

// Metrics count only where they were measured on one of the datasets; without a metric in the
// filter, any such metric will do.
void scope_to_datasets(search::Query& query, const std::vector<DatasetScope>& datasets) {
  if (datasets.empty()) return;
  const search::Sql scope = any_dataset(datasets);
  bool metrics = false;
  query.take_clauses([&](const wire::mlflow::Clause& clause) {
    if (clause.entity != Entity::kMetric) return false;
    metrics = true;
    const bool differs = clause.comparator == wire::mlflow::Comparator::kNotEqual;
    search::Sql condition;
    condition.add(fmt::format("EXISTS (SELECT 1 FROM logged_model_metrics kv WHERE kv.model_id = "
                              "e.id AND kv.key = ? AND "
                              "(kv.value {} ?{}) AND (",
                              wire::mlflow::comparator_name(clause.comparator),
                              differs ? " OR kv.value IS NULL" : ""),
                  {clause.key});
    if (const auto* whole = std::get_if<std::int64_t>(&clause.value))
      condition.args.emplace_back(*whole);
    if (const auto* real = std::get_if<double>(&clause.value)) condition.args.emplace_back(*real);
    condition.add(scope.text + "))", scope.args);
    query.where(condition.text, std::move(condition.args));
    return true;
  });
  if (metrics) return;
  query.where(
      fmt::format(
          "EXISTS (SELECT 1 FROM logged_model_metrics kv WHERE kv.model_id = e.id AND ({}))",
          scope.text),
      scope.args);
}

// A model may hold a metric several times, per run and dataset; it sorts by the newest that the
// order asks for.
void narrow_orders(search::Query& query, const std::vector<LoggedModelOrder>& orders) {
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (!orders[i].field.starts_with("metrics.")) continue;
    search::Sql inner;
    inner.add("n.model_id = e.id AND n.key = kv.key");
    if (!orders[i].dataset.name.empty())
      inner.add(" AND n.dataset_name = ?", {orders[i].dataset.name});
    if (!orders[i].dataset.digest.empty())
      inner.add(" AND n.dataset_digest = ?", {orders[i].dataset.digest});
    query.narrow_order(i,
                       fmt::format("kv.rowid = (SELECT n.rowid FROM logged_model_metrics n WHERE "
                                   "{} ORDER BY n.timestamp_ms "
                                   "DESC, n.step DESC, n.run_id LIMIT 1)",
                                   inner.text),
                       std::move(inner.args));
  }
}

}  // namespace

Task<Result<LoggedModel>> Tracking::create_logged_model(const Caller& caller,
                                                        LoggedModelDraft draft) {
  STRATA_CO_TRY(check_model_name(draft.name));
  STRATA_CO_TRY(check_pairs(draft.params, "params"));
  STRATA_CO_TRY(check_pairs(draft.tags, "tags"));
  STRATA_CO_TRY(co_await ensure_default_experiment(caller));
  const std::string id = "m-" + random_.hex(16);
  const std::string name = draft.name.empty() ? "model-" + id.substr(2, 8) : draft.name;
  auto create = [&](Writer& writer) -> Result<LoggedModel> {
    auto experiment = load_experiment(writer, caller.project, draft.experiment_id);
    if (!experiment) return std::move(experiment).error();
    if (experiment->deleted) {
      return invalid(
          "experiment_id",
          fmt::format("The experiment {} must be in the 'active' state. Current state is deleted.",
                      draft.experiment_id));
    }
    const std::int64_t now = now_ms();
    STRATA_TRY(writer.execute(
        "INSERT INTO logged_models (id, project, experiment_id, name, model_type, status, "
        "source_run_id, artifact_uri, owner, "
        "created_ms, updated_ms, deleted) VALUES (?, ?, ?, ?, ?, 'PENDING', ?, ?, ?, ?, ?, 0)",
        {id, caller.project.str(), *experiment_number(draft.experiment_id), name, draft.model_type,
         draft.source_run_id,
         fmt::format("{}/models/{}/artifacts", experiment->artifact_location, id), caller.user_name,
         now, now}));
    STRATA_TRY(insert_params(writer, id, draft.params));
    for (const auto& tag : draft.tags)
      STRATA_TRY(upsert_tag(writer, id, tag));
    LineageNode node{{"logged_model", id, ""},
                     "",
                     caller.user_name,
                     clock_.now(),
                     Json::object({{"name", Json(name)}})};
    STRATA_TRY(lineage_.report(writer, caller.project, node));
    if (!draft.source_run_id.empty() &&
        load_run_info(writer, caller.project, draft.source_run_id)) {
      LineageEdge edge{{"run", draft.source_run_id, ""}, node.ref, "logged", clock_.now()};
      STRATA_TRY(lineage_.report(writer, caller.project, edge));
    }
    return load_logged_model(writer, caller.project, id);
  };
  co_return co_await records_.write(create);
}

Task<Result<LoggedModel>> Tracking::logged_model(const Caller& caller, std::string id) {
  auto load = [&](Reader& reader) {
    return load_logged_model(reader, caller.project, id);
  };
  co_return co_await records_.read(load);
}

Task<Result<LoggedModel>> Tracking::finalize_logged_model(const Caller& caller, std::string id,
                                                          std::string status) {
  if (status != "READY" && status != "FAILED") {
    co_return bad_value("status", status,
                        "A model is finalized as LOGGED_MODEL_READY or LOGGED_MODEL_UPLOAD_FAILED");
  }
  auto finalize = [&](Writer& writer) -> Result<LoggedModel> {
    auto model = load_logged_model(writer, caller.project, id);
    if (!model) return model;
    STRATA_TRY(writer.execute("UPDATE logged_models SET status = ?, updated_ms = ? WHERE id = ?",
                              {status, now_ms(), id}));
    return load_logged_model(writer, caller.project, id);
  };
  co_return co_await records_.write(finalize);
}

Task<Status> Tracking::delete_logged_model(const Caller& caller, std::string id) {
  auto drop = [&](Writer& writer) -> Status {
    auto model = load_logged_model(writer, caller.project, id);
    if (!model) return std::move(model).error();
    STRATA_TRY(writer.execute("UPDATE logged_models SET deleted = 1, updated_ms = ? WHERE id = ?",
                              {now_ms(), id}));
    return audit_.record(writer, caller, "logged_model.delete", "logged_model:" + id);
  };
  co_return co_await records_.write(drop);
}

Task<Result<LoggedModel>> Tracking::set_logged_model_tags(const Caller& caller, std::string id,
                                                          std::vector<KeyValue> tags) {
  STRATA_CO_TRY(check_pairs(tags, "tags"));
  auto set = [&](Writer& writer) -> Result<LoggedModel> {
    auto model = load_logged_model(writer, caller.project, id);
    if (!model) return model;
    for (auto& tag : tags) {
      if (tag.key == kVersionsTag) tag.value = versions_once(tag.value);
      STRATA_TRY(upsert_tag(writer, id, tag));
    }
    return load_logged_model(writer, caller.project, id);
  };
  co_return co_await records_.write(set);
}

Task<Status> Tracking::delete_logged_model_tag(const Caller& caller, std::string id,
                                               std::string key) {
  auto drop = [&](Writer& writer) -> Status {
    auto model = load_logged_model(writer, caller.project, id);
    if (!model) return std::move(model).error();
    auto gone =
        writer.execute("DELETE FROM logged_model_tags WHERE model_id = ? AND key = ?", {id, key});
    if (!gone) return std::move(gone).error();
    if (*gone == 0)
      return not_found(fmt::format("No tag with key '{}' found for model with ID '{}'.", key, id));
    return {};
  };
  co_return co_await records_.write(drop);
}

Task<Status> Tracking::log_logged_model_params(const Caller& caller, std::string id,
                                               std::vector<KeyValue> params) {
  STRATA_CO_TRY(check_pairs(params, "params"));
  auto log = [&](Writer& writer) -> Status {
    auto model = load_logged_model(writer, caller.project, id);
    if (!model) return std::move(model).error();
    return insert_params(writer, id, params);
  };
  co_return co_await records_.write(log);
}

Task<Result<Page<LoggedModel>>> Tracking::search_logged_models(const Caller& caller,
                                                               LoggedModelSearch search) {
  if (search.max_results < 1 || search.max_results > kMaxModelsPerPage) {
    co_return invalid(
        "max_results",
        fmt::format("Invalid value {} for parameter 'max_results' supplied: It must be between "
                    "1 and {}",
                    search.max_results, kMaxModelsPerPage));
  }
  std::vector<std::string> orders;
  std::string scope = join(search.experiment_ids, ",");
  for (const auto& order : search.order_by) {
    const std::size_t dot = order.field.find('.');
    const std::string field =
        dot == std::string::npos
            ? order.field
            : fmt::format("{}.\"{}\"", order.field.substr(0, dot), order.field.substr(dot + 1));
    orders.push_back(fmt::format("{} {}", field, order.ascending ? "ASC" : "DESC"));
    scope += fmt::format("|{}/{}", order.dataset.name, order.dataset.digest);
    if (order.dataset.name.empty() && !order.dataset.digest.empty()) {
      co_return invalid(
          "order_by",
          "`dataset_digest` can only be specified if `dataset_name` is also specified.");
    }
  }
  for (const auto& dataset : search.datasets) {
    if (dataset.name.empty())
      co_return invalid("datasets", "`dataset_name` in the `datasets` clause must be specified.");
    scope += fmt::format(";{}/{}", dataset.name, dataset.digest);
  }
  auto query =
      search::Query::make(logged_model_schema(), search.filter, orders, search.page_token, scope);
  if (!query) co_return std::move(query).error();
  scope_to_datasets(*query, search.datasets);
  narrow_orders(*query, search.order_by);
  kernel::SqlArgs experiments;
  for (const auto& id : search.experiment_ids) {
    auto number = experiment_number(id);
    if (!number) co_return std::move(number).error();
    experiments.emplace_back(*number);
  }
  if (experiments.empty()) co_return Page<LoggedModel>{};
  query->where("e.project = ? AND e.deleted = 0", {caller.project.str()});
  query->where(fmt::format("e.experiment_id IN ({})", search::placeholders(experiments.size())),
               std::move(experiments));
  auto find = [&](Reader& reader) -> Result<Page<LoggedModel>> {
    auto found = query->run(reader, kLoggedModelColumns, search.max_results);
    if (!found) return std::move(found).error();
    Page<LoggedModel> page{{}, std::move(found->next_page_token)};
    for (const auto& row : found->rows)
      page.items.push_back(logged_model_of(row));
    STRATA_TRY(load_logged_model_data(reader, page.items));
    return page;
  };
  co_return co_await records_.read(find);
}

Result<LoggedModel> Tracking::find_logged_model(Reader& reader, const ProjectId& project,
                                                std::string_view id) const {
  return load_logged_model(reader, project, id);
}

Status Tracking::note_registration(Writer& writer, std::string_view model_id, std::string_view name,
                                   std::int64_t version) {
  auto row = writer.first("SELECT value FROM logged_model_tags WHERE model_id = ? AND key = ?",
                          {model_id, kVersionsTag});
  if (!row) return std::move(row).error();
  Json versions = Json::array();
  if (*row) {
    if (auto old = parse_json((*row)->text(0)); old && old->is_array()) versions = std::move(*old);
  }
  versions.push(Json::object({{"name", Json(name)}, {"version", Json(version)}}));
  return upsert_tag(writer, model_id, {std::string(kVersionsTag), versions.dump()});
}

}  // namespace strata::platform::tracking
