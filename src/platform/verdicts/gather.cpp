#include "platform/verdicts/gather.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "runtime/byte_source.hpp"
#include "wire/inference/mlmodel.hpp"

namespace strata::platform::verdicts {

using kernel::Caller;
using kernel::LineageNode;
using kernel::NodeRef;

namespace {

constexpr std::size_t kMaxDescription = 4 << 20;  // bytes of MLmodel or requirements.txt
constexpr std::size_t kMaxDescribed = 1000;
constexpr int kRunsLookedAt = 10;  // of a pipeline, for the newest end of a step

std::string tag_of(const std::vector<tracking::KeyValue>& tags, std::string_view key) {
  for (const auto& tag : tags) {
    if (tag.key == key) return tag.value;
  }
  return "";
}

// "name==1.2" names one version; a comment or an option names nothing.
std::vector<std::string> unpinned_of(std::string_view requirements) {
  std::vector<std::string> out;
  for (const auto& raw : split(std::string(requirements), '\n')) {
    const std::string line(trim(raw.substr(0, raw.find(" #"))));
    if (line.empty() || line.front() == '#' || line.starts_with("--")) continue;
    const std::string what(trim(std::string_view(line).substr(0, line.find(';'))));
    const auto pin = what.find("==");
    if (pin == std::string::npos || what.find('*', pin) != std::string::npos) out.push_back(what);
  }
  return out;
}

// MLflow's description of a table's columns.
std::vector<Column> columns_of_schema(const std::string& schema) {
  std::vector<Column> out;
  const auto json = parse_json(schema);
  if (!json || !(*json)["mlflow_colspec"].is_array()) return out;
  for (const auto& column : (*json)["mlflow_colspec"].as_array())
    out.push_back({column.text("name"), column.text("type")});
  return out;
}

std::vector<Column> columns_of_facts(const Json& columns) {
  std::vector<Column> out;
  if (!columns.is_array()) return out;
  for (const auto& column : columns.as_array())
    out.push_back({column.text("name"), column.text("type")});
  return out;
}

// "RUN/STEP", as tasks are named in the graph.
std::pair<std::string, std::string> task_parts(const std::string& name) {
  const auto slash = name.find('/');
  if (slash == std::string::npos) return {name, ""};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

}  // namespace

// What leads to the version, sorted.
struct Verdicts::Gatherer::Upstream {
  std::map<std::string, const LineageNode*> tables;   // by name, the newest state that was used
  std::map<std::string, const LineageNode*> objects;  // by name
  std::set<std::pair<std::string, std::string>> data_steps;  // (flow, step) that made data
  const LineageNode* training = nullptr;                     // the task that ran the training
};

Person Verdicts::Gatherer::person(const std::string& name) const {
  const auto user = ports_.identity.user(name);
  return {name, user.ok(), user.ok() && user->disabled};
}

OwnerFacts Verdicts::Gatherer::owner_of(const models::Model& model) const {
  OwnerFacts facts;
  facts.owner = person(model.owner);
  facts.team = model.team;
  const auto user = ports_.identity.user(model.owner);
  const auto team = ports_.identity.find_team(model.team);
  facts.in_team =
      (user && user->team == model.team) || (team && team->members.contains(model.owner));
  return facts;
}

Task<Status> Verdicts::Gatherer::add_mover(const Caller& caller, const std::string& alias,
                                           Facts& facts) {
  const auto moves = co_await ports_.models.alias_history(caller, facts.model);
  if (!moves) co_return moves.error();
  for (const auto& move : *moves) {
    if (move.alias != alias) continue;
    facts.owner.alias = alias;
    facts.owner.mover = person(move.actor);
    facts.owner.approved_by = move.approved_by;
    facts.owner.override_reason = move.override_of.text("reason");
    break;
  }
  co_return Status();
}

void Verdicts::Gatherer::add_replicas(const Caller& caller, const std::string& subject,
                                      Gathered& out) const {
  for (const auto& endpoint : ports_.endpoints.list(caller)) {
    const auto ref = deployment::ModelRef::parse(endpoint.model_ref);
    if (!ref || ref->name != out.facts.model) continue;
    out.subjects.insert("endpoint:" + endpoint.name);
    if (subject != (ref->alias.empty() ? ref->version : "@" + ref->alias)) continue;
    Replica replica;
    replica.endpoint = endpoint.name;
    replica.state = endpoint.state;
    replica.error = endpoint.error;
    if (endpoint.live) {
      replica.answers = true;
      replica.version = endpoint.live->identity->version;
      replica.package_digest = endpoint.live->identity->package_digest;
      replica.deployment = endpoint.live->identity->deployment;
    }
    out.facts.replicas.push_back(std::move(replica));
  }
}

Task<Status> Verdicts::Gatherer::add_signature(const Caller& caller, const models::Version& version,
                                               Gathered& out) {
  out.subjects.insert("signing:project");
  if (version.package_digest.empty()) co_return Status();
  const auto trust = co_await ports_.signatures.trust(caller);
  if (!trust) co_return trust.error();
  out.facts.signature.required = trust->required;
  const auto record = co_await ports_.signatures.signature(caller, version.name, version.version);
  if (!record) co_return record.error();
  out.facts.signature.check = record->check;
  co_return Status();
}

Task<Result<Verdicts::Gatherer::Described>> Verdicts::Gatherer::describe(
    const Caller& caller, const models::Version& version) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = described_.find(version.package_digest);
    if (known != described_.end()) co_return known->second;
  }
  Described said;
  if (version.package_digest.empty()) co_return said;
  const auto resolved = co_await ports_.models.resolve(
      caller, fmt::format("models:/{}/{}", version.name, version.version));
  if (!resolved) co_return resolved.error();
  for (const auto& file : resolved->files) {
    if (file.path != "MLmodel" && file.path != "requirements.txt") continue;
    if (file.size > kMaxDescription) continue;
    auto opened = co_await ports_.models.open(caller, *resolved, file);
    if (!opened) co_return std::move(opened).error();
    const auto text = co_await read_all(*opened->body, kMaxDescription);
    if (!text) co_return text.error();
    if (file.path == "requirements.txt") {
      said.has_requirements = true;
      said.unpinned = unpinned_of(*text);
      continue;
    }
    const auto described = wire::parse_mlmodel(*text);
    // One that cannot be read has no signature that anything could be compared with.
    if (!described || !described->inputs) continue;
    said.has_signature = true;
    for (const auto& column : described->inputs->columns)
      said.inputs.push_back({column.name, std::string(wire::column_type_name(column.type))});
  }
  const std::lock_guard lock(mutex_);
  if (described_.emplace(version.package_digest, said).second)
    described_order_.push_back(version.package_digest);
  if (described_order_.size() > kMaxDescribed) {
    described_.erase(described_order_.front());
    described_order_.pop_front();
  }
  co_return said;
}

Task<Status> Verdicts::Gatherer::add_run(const Caller& caller, const models::Version& version,
                                         Facts& facts) {
  facts.code.run_id = version.run_id;
  if (version.run_id.empty()) co_return Status();
  const auto run = co_await ports_.tracking.run(caller, version.run_id);
  if (!run && run.error().code == Code::kNotFound) co_return Status();
  if (!run) co_return run.error();
  facts.code.commit = tag_of(run->tags, "mlflow.source.git.commit");
  facts.code.dirty = to_lower(tag_of(run->tags, "mlflow.source.git.dirty")) == "true";
  facts.code.has_diff = !tag_of(run->tags, "mlflow.source.git.diff").empty();
  for (const auto& input : run->dataset_inputs) {
    const std::string context = tag_of(input.tags, "mlflow.data.context");
    if (!context.empty() && !context.starts_with("train")) continue;
    facts.features.training_sets.push_back(
        {input.dataset.name, columns_of_schema(input.dataset.schema)});
  }
  co_return Status();
}

Task<Status> Verdicts::Gatherer::add_tables(const Caller& caller, const Upstream& upstream,
                                            Gathered& out) {
  for (const auto& [name, node] : upstream.tables) {
    out.subjects.insert("table:" + name);
    TableFacts table;
    table.ref = node->ref.to_string();
    table.name = name;
    table.columns = columns_of_facts(node->facts["columns"]);
    table.rows = node->facts.integer("rows", -1);
    const auto dot = name.find('.');
    auto load = [&](kernel::Reader& reader) {
      return storage::warehouse::Warehouse::table_state(reader, caller.project, name.substr(0, dot),
                                                        name.substr(dot + 1));
    };
    const auto now = co_await ports_.records.read(load);
    if (!now) co_return now.error();
    if (!*now) continue;
    table.exists = !(*now)->dropped;
    if ((*now)->dropped) table.dropped = (*now)->info.updated;
    table.rows_now = (*now)->info.rows;
    for (const auto& column : (*now)->info.columns)
      table.columns_now.push_back({column.name, column.type});
    out.facts.data.tables.push_back(std::move(table));
  }
  co_return Status();
}

Task<Status> Verdicts::Gatherer::add_objects(const Caller& caller, const Upstream& upstream,
                                             Gathered& out) {
  for (const auto& [name, node] : upstream.objects) {
    const auto slash = name.find('/');
    if (slash == std::string::npos) continue;
    out.subjects.insert("lake:" + name);
    ObjectFacts object;
    object.ref = node->ref.to_string();
    object.name = name;
    const auto place =
        storage::lake::ObjectName::make(name.substr(0, slash), name.substr(slash + 1));
    if (!place) co_return place.error();
    const auto now = co_await ports_.lake.head(caller, *place, {});
    if (!now && now.error().code != Code::kNotFound) co_return now.error();
    object.exists = now.ok();
    if (now) object.size_now = now->info.size;
    out.facts.data.objects.push_back(std::move(object));
  }
  co_return Status();
}

// The jobs elsewhere that make those tables and objects.
Task<Status> Verdicts::Gatherer::add_external(const Caller& caller, const Upstream& upstream,
                                              Gathered& out) {
  std::vector<std::string> owned;
  for (const auto& [name, node] : upstream.tables)
    owned.push_back("table:" + name);
  for (const auto& [name, node] : upstream.objects)
    owned.push_back("lake:" + name);
  auto told =
      co_await ports_.external.upstream(caller.project, std::move(owned), out.facts.created);
  if (!told) co_return std::move(told).error();
  out.subjects.insert(told->subjects.begin(), told->subjects.end());
  out.facts.data.external = *std::move(told);
  co_return Status();
}

// How the newest run that came so far ended each of those steps.
Task<Status> Verdicts::Gatherer::add_steps(const Caller& caller, const Upstream& upstream,
                                           Gathered& out) {
  std::map<std::string, std::vector<StepFacts>> by_flow;
  for (const auto& [flow, step] : upstream.data_steps) {
    StepFacts facts;
    facts.flow = flow;
    facts.step = step;
    by_flow[flow].push_back(std::move(facts));
  }
  for (auto& [name, steps] : by_flow) {
    out.subjects.insert("flow:" + name);
    const auto flow = co_await ports_.flows.get(caller, name);
    if (!flow && flow.error().code != Code::kNotFound) co_return flow.error();
    const resources::workflow::Workflows::RunFilter filter{name, 0, kRunsLookedAt};
    const auto runs = co_await ports_.flows.runs(caller, filter);
    if (!runs) co_return runs.error();
    for (const auto& summary : *runs) {
      const auto run = co_await ports_.flows.run_info(caller, summary.run.id);
      if (!run) co_return run.error();
      for (auto& step : steps) {
        for (const auto& task : run->run.tasks) {
          if (task.plan.step != step.step) continue;
          const bool failed = task.state == resources::scheduler::TaskState::kFailed;
          const bool succeeded = task.state == resources::scheduler::TaskState::kSucceeded;
          if (!failed && !succeeded) continue;
          if (step.last_run.empty()) {
            step.last_run = run->run.id;
            step.last_state = failed ? "failed" : "succeeded";
          }
          if (succeeded && !step.succeeded && !task.attempts.empty())
            step.succeeded = task.attempts.back().finished;
        }
      }
    }
    for (auto& step : steps) {
      step.known = flow && flow->spec.step(step.step) != nullptr;
      if (flow) step.fresh = flow->spec.fresh;
      if (flow && flow->trigger_failure) step.trigger_error = flow->trigger_failure->error;
      out.facts.data.steps.push_back(std::move(step));
    }
  }
  co_return Status();
}

// Name and version of the pipeline. The graph knows them once the task has ended; a step that
// registers a model still runs then.
Task<Result<std::pair<std::string, std::string>>> Verdicts::Gatherer::pipeline_of(
    const Caller& caller, const LineageNode& task) {
  std::pair known(task.facts.text("flow"), task.facts.text("version"));
  if (!known.first.empty()) co_return known;
  const auto run = co_await ports_.flows.run_info(caller, task_parts(task.ref.name).first);
  if (!run && run.error().code != Code::kNotFound) co_return run.error();
  if (run) known = {run->flow, run->version};
  co_return known;
}

Task<Status> Verdicts::Gatherer::add_training_flow(const Caller& caller, const Upstream& upstream,
                                                   Gathered& out) {
  CodeFacts& code = out.facts.code;
  if (upstream.training == nullptr) co_return Status();
  const auto made_by = co_await pipeline_of(caller, *upstream.training);
  if (!made_by) co_return made_by.error();
  std::tie(code.flow, code.trained_version) = *made_by;
  if (code.flow.empty()) co_return Status();
  out.subjects.insert("flow:" + code.flow);
  const auto now = co_await ports_.flows.get(caller, code.flow);
  if (!now && now.error().code != Code::kNotFound) co_return now.error();
  code.flow_known = now.ok();
  if (!now) co_return Status();
  code.current_version = now->version;
  if (code.current_version == code.trained_version) co_return Status();
  const auto changes =
      co_await ports_.flows.code_changes(caller, code.flow, code.trained_version, now->version);
  if (!changes) co_return changes.error();
  code.same_code = !changes->steps && changes->files.empty();
  code.changed_files = changes->files;
  co_return Status();
}

Task<Status> Verdicts::Gatherer::add_upstream(const Caller& caller, Gathered& out) {
  const NodeRef start{"model", out.facts.model, std::to_string(out.facts.version)};
  const auto graph =
      co_await ports_.lineage.walk(caller.project, start, kernel::Direction::kUpstream);
  if (!graph) co_return graph.error();
  out.facts.data.truncated = graph->truncated;
  Upstream upstream;
  std::map<NodeRef, const LineageNode*> tasks;
  for (const auto& node : graph->nodes) {
    if (node.ref.kind == "task") tasks.emplace(node.ref, &node);
    auto* const known = node.ref.kind == "table"    ? &upstream.tables
                        : node.ref.kind == "object" ? &upstream.objects
                                                    : nullptr;
    if (known == nullptr) continue;
    const auto [at, fresh] = known->emplace(node.ref.name, &node);
    if (!fresh && node.time > at->second->time) at->second = &node;
  }
  for (const auto& edge : graph->edges) {
    const auto task = tasks.find(edge.from);
    if (task == tasks.end()) continue;
    if (edge.to.kind == "run") upstream.training = task->second;
    if (edge.to.kind != "query" && edge.to.kind != "object" && edge.to.kind != "table") continue;
    const auto made_by = co_await pipeline_of(caller, *task->second);
    if (!made_by) co_return made_by.error();
    if (!made_by->first.empty())
      upstream.data_steps.emplace(made_by->first, task_parts(edge.from.name).second);
  }
  STRATA_CO_TRY(co_await add_tables(caller, upstream, out));
  STRATA_CO_TRY(co_await add_objects(caller, upstream, out));
  STRATA_CO_TRY(co_await add_external(caller, upstream, out));
  STRATA_CO_TRY(co_await add_steps(caller, upstream, out));
  co_return co_await add_training_flow(caller, upstream, out);
}

Task<Result<Gathered>> Verdicts::Gatherer::gather(const Caller& caller, const models::Model& model,
                                                  std::string subject) {
  Gathered out;
  out.subjects.insert("model:" + model.name);
  Facts& facts = out.facts;
  facts.model = model.name;
  facts.subject = subject;
  facts.owner = owner_of(model);
  const bool by_alias = subject.starts_with('@');
  Result<models::Version> version = not_found("");
  if (by_alias) {
    version = co_await ports_.models.version_by_alias(caller, model.name, subject.substr(1));
    STRATA_CO_TRY(co_await add_mover(caller, subject.substr(1), facts));
  } else {
    const auto number = to_int(subject);
    if (!number) {
      co_return invalid("subject",
                        fmt::format("subject: '{}' is neither '@ALIAS' nor the number of "
                                    "a version",
                                    printable(subject)));
    }
    version = co_await ports_.models.version(caller, model.name, *number);
  }
  if (!version) co_return std::move(version).error();
  facts.version = version->version;
  facts.digest = version->digest;
  facts.package_digest = version->package_digest;
  facts.created = Instant::from_millis(version->created_ms);
  add_replicas(caller, subject, out);
  STRATA_CO_TRY(co_await add_signature(caller, *version, out));
  auto described = co_await describe(caller, *version);
  if (!described) co_return std::move(described).error();
  facts.features.has_signature = described->has_signature;
  facts.features.inputs = std::move(described->inputs);
  facts.code.has_requirements = described->has_requirements;
  facts.code.unpinned = std::move(described->unpinned);
  STRATA_CO_TRY(co_await add_run(caller, *version, facts));
  STRATA_CO_TRY(co_await add_upstream(caller, out));
  co_return out;
}

}  // namespace strata::platform::verdicts
