#include "base/json.hpp"
#include "platform/search/search.hpp"
#include "platform/tracking/rows.hpp"
#include "platform/tracking/tracking.hpp"
#include "platform/tracking/validate.hpp"

namespace strata::platform::tracking {

using kernel::Caller;
using kernel::LineageEdge;
using kernel::LineageNode;
using kernel::NodeRef;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::string_view kContext = "mlflow.data.context";
// What our own tools say about a dataset beyond MLflow's short digest: the node it was read from,
// and its full digest.
constexpr std::string_view kSourceNode = "strata.source";
constexpr std::string_view kFullDigest = "strata.digest";
constexpr std::size_t kMaxInputs = 1000;

std::string tag_value(const std::vector<KeyValue>& tags, std::string_view key) {
  for (const auto& tag : tags) {
    if (tag.key == key) return tag.value;
  }
  return "";
}

// The lake object or other node that a dataset says it was read from, without its version unless
// the tag names one.
std::optional<NodeRef> source_of(const DatasetInput& input) {
  if (const auto text = tag_value(input.tags, kSourceNode); !text.empty()) {
    if (auto ref = NodeRef::parse(text)) return std::move(*ref);
  }
  const auto source = parse_json(input.dataset.source);
  if (!source) return std::nullopt;
  for (const auto* field : {"uri", "url", "path"}) {
    const std::string uri = source->text(field);
    for (const std::string_view scheme : {"s3://", "s3a://"}) {
      if (uri.starts_with(scheme)) return NodeRef{"object", uri.substr(scheme.size()), ""};
    }
  }
  return std::nullopt;
}

NodeRef run_ref(std::string_view run_id) {
  return {"run", std::string(run_id), ""};
}
NodeRef logged_ref(std::string_view model_id) {
  return {"logged_model", std::string(model_id), ""};
}
NodeRef dataset_ref(const Dataset& dataset) {
  return {"dataset", dataset.name, dataset.digest};
}

Result<std::string> upsert_dataset(Writer& writer, Random& random, const ProjectId& project,
                                   std::int64_t experiment, const Dataset& dataset) {
  auto found = writer.first(
      "SELECT id FROM datasets WHERE project = ? AND experiment_id = ? AND name = ? AND digest = ?",
      {project.str(), experiment, dataset.name, dataset.digest});
  if (!found) return std::move(found).error();
  if (*found) return (*found)->text(0);
  const std::string id = random.hex(16);
  STRATA_TRY(
      writer.execute("INSERT INTO datasets (id, project, experiment_id, name, digest, source_type, "
                     "source, schema, "
                     "profile) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     {id, project.str(), experiment, dataset.name, dataset.digest,
                      dataset.source_type, dataset.source, dataset.schema, dataset.profile}));
  return id;
}

LineageNode dataset_node(const DatasetInput& input, const Caller& caller, Instant now) {
  Json facts = Json::object({{"source_type", Json(input.dataset.source_type)},
                             {"source", Json(cut(input.dataset.source, 500))},
                             {"mlflow_digest", Json(input.dataset.digest)}});
  return {dataset_ref(input.dataset), tag_value(input.tags, kFullDigest), caller.user_name, now,
          std::move(facts)};
}

Status insert_run_model(Writer& writer, const ProjectId& project, std::string_view run_id,
                        std::string_view direction, std::string_view model_id, std::int64_t step) {
  auto known = load_logged_model(writer, project, model_id);
  if (!known) return std::move(known).error();
  return writer
      .execute(
          "INSERT INTO run_models (run_id, direction, model_id, step) VALUES (?, ?, ?, ?) ON "
          "CONFLICT DO NOTHING",
          {run_id, direction, model_id, step})
      .and_then([](auto) { return Status(); });
}

}  // namespace

Status Tracking::report_run(Writer& writer, const Caller& caller, const RunInfo& run,
                            const std::vector<KeyValue>& tags) {
  Json facts = Json::object({{"name", Json(run.name)}, {"experiment", Json(run.experiment_id)}});
  for (const auto& [tag, fact] : {std::pair("mlflow.source.git.commit", "commit"),
                                  {"mlflow.source.name", "source"},
                                  {"mlflow.user", "client_user"}}) {
    if (auto value = tag_value(tags, tag); !value.empty()) facts.set(fact, Json(std::move(value)));
  }
  LineageNode node{run_ref(run.id), "", caller.user_name, clock_.now(), std::move(facts)};
  STRATA_TRY(lineage_.report(writer, caller.project, node));
  if (caller.task.empty()) return {};
  const LineageEdge edge{{"task", caller.task, ""}, node.ref, "ran", clock_.now()};
  return lineage_.report(writer, caller.project, edge);
}

Task<Status> Tracking::log_inputs(const Caller& caller, std::string run_id,
                                  std::vector<DatasetInput> datasets,
                                  std::vector<std::string> model_ids) {
  if (datasets.size() > kMaxInputs || model_ids.size() > kMaxInputs) {
    co_return invalid(
        "datasets",
        fmt::format("At most {} datasets and models can be logged at once", kMaxInputs));
  }
  std::vector<NodeRef> sources(datasets.size());
  for (std::size_t i = 0; i < datasets.size(); ++i) {
    STRATA_CO_TRY(check_dataset(datasets[i], i));
    const auto source = source_of(datasets[i]);
    if (!source) continue;
    sources[i] = *source;
    // Without a version the newest state is meant: what a reader of "s3://bucket/key" gets just
    // now.
    if (!source->version.empty()) continue;
    auto node = co_await lineage_.find(caller.project, *source);
    sources[i] = node ? node->ref : NodeRef{};
  }
  auto log = [&](Writer& writer) -> Status {
    auto run = load_active_run(writer, caller.project, run_id);
    if (!run) return std::move(run).error();
    STRATA_TRY(write_inputs(writer, caller, *run, datasets, sources));
    for (const auto& model : model_ids) {
      STRATA_TRY(insert_run_model(writer, caller.project, run_id, "input", model, 0));
      STRATA_TRY(
          lineage_.report(writer, caller.project,
                          LineageEdge{logged_ref(model), run_ref(run_id), "read", clock_.now()}));
    }
    return {};
  };
  co_return co_await records_.write(log);
}

Status Tracking::write_inputs(Writer& writer, const Caller& caller, const RunInfo& run,
                              const std::vector<DatasetInput>& inputs,
                              const std::vector<NodeRef>& sources) {
  const auto experiment = *experiment_number(run.experiment_id);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const DatasetInput& input = inputs[i];
    auto id = upsert_dataset(writer, random_, caller.project, experiment, input.dataset);
    if (!id) return std::move(id).error();
    Json tags = Json::object();
    for (const auto& tag : input.tags)
      tags.set(tag.key, Json(tag.value));
    const std::string context = tag_value(input.tags, kContext);
    STRATA_TRY(writer.execute(
        "INSERT INTO run_datasets (run_id, dataset_id, context, tags) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (run_id, dataset_id) DO NOTHING",
        {run.id, *id, context.empty() ? kernel::SqlValue() : kernel::SqlValue(context),
         tags.dump()}));
    const auto node = dataset_node(input, caller, clock_.now());
    STRATA_TRY(lineage_.report(writer, caller.project, node));
    const bool trains = context.empty() || context.starts_with("train");
    STRATA_TRY(lineage_.report(
        writer, caller.project,
        LineageEdge{node.ref, run_ref(run.id), trains ? "trained" : "read", clock_.now()}));
    if (sources[i].kind.empty()) continue;
    STRATA_TRY(lineage_.report(writer, caller.project,
                               LineageEdge{sources[i], node.ref, "read", clock_.now()}));
  }
  return {};
}

Task<Status> Tracking::log_outputs(const Caller& caller, std::string run_id,
                                   std::vector<ModelOutput> models) {
  if (models.size() > kMaxInputs)
    co_return invalid("models", fmt::format("At most {} models can be logged at once", kMaxInputs));
  auto log = [&](Writer& writer) -> Status {
    auto run = load_active_run(writer, caller.project, run_id);
    if (!run) return std::move(run).error();
    for (const auto& output : models) {
      STRATA_TRY(
          insert_run_model(writer, caller.project, run_id, "output", output.model_id, output.step));
      STRATA_TRY(lineage_.report(
          writer, caller.project,
          LineageEdge{run_ref(run_id), logged_ref(output.model_id), "logged", clock_.now()}));
    }
    return {};
  };
  co_return co_await records_.write(log);
}

Task<Result<std::vector<DatasetSummary>>> Tracking::search_datasets(
    const Caller& caller, std::vector<std::string> experiment_ids) {
  constexpr std::size_t kMaxExperiments = 20;
  constexpr std::int64_t kMaxSummaries = 1000;
  if (experiment_ids.empty()) {
    co_return invalid("experiment_ids",
                      "SearchDatasets request must specify at least one experiment_id.");
  }
  if (experiment_ids.size() > kMaxExperiments) {
    co_return invalid(
        "experiment_ids",
        fmt::format("SearchDatasets request cannot specify more than {} experiment_ids. "
                    "Received {} experiment_ids.",
                    kMaxExperiments, experiment_ids.size()));
  }
  kernel::SqlArgs args = {caller.project.str()};
  for (const auto& id : experiment_ids) {
    auto number = experiment_number(id);
    if (!number) co_return std::move(number).error();
    args.emplace_back(*number);
  }
  args.emplace_back(kMaxSummaries);
  const std::string sql = fmt::format(
      "SELECT DISTINCT d.experiment_id, d.name, d.digest, i.context FROM datasets d JOIN "
      "run_datasets i ON i.dataset_id = d.id "
      "WHERE d.project = ? AND d.experiment_id IN ({}) ORDER BY d.name, d.digest, i.context LIMIT "
      "?",
      search::placeholders(experiment_ids.size()));
  auto find = [&](Reader& reader) -> Result<std::vector<DatasetSummary>> {
    auto rows = reader.query(sql, args);
    if (!rows) return std::move(rows).error();
    std::vector<DatasetSummary> found;
    for (const auto& row : *rows) {
      found.push_back({std::to_string(row.integer(0)), row.text(1), row.text(2), row.text(3)});
    }
    return found;
  };
  co_return co_await records_.read(find);
}

}  // namespace strata::platform::tracking
