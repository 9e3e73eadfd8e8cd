#include "doors/rest/answers.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace strata::doors::rest {

namespace {

// In this form each type is a list of members: "name: type", "?" behind a name that may be absent,
// "|" between types of which it is one, "[]" behind one that comes in a list. A type is string,
// integer, number, boolean, null, object, any, map of a type ("{number}"), or the name of another.
struct Type {
  std::string_view name;
  std::string_view members;
};

constexpr Type kTypes[] = {
    {"Me",
     "user: string, team: string, project: string, scope: string|null, expires: string|null, "
     "permissions: string[], data: string|null"},
    {"Member", "kind: string, name: string, role: string"},
    {"Project",
     "name: string, created: string, members: Member[], role?: string, current?: boolean"},
    {"Projects", "projects: Project[]"},
    {"Team", "name: string, created: string, members: string[]"},
    {"Teams", "teams: Team[]"},
    {"User",
     "id: string, name: string, team: string, role: string, disabled: boolean, created: string"},
    {"Token",
     "id: string, user: string, access_key_id: string, scope: string, project?: string, "
     "created: string, expires: string|null, revoked: string|null"},
    {"IssuedToken",
     "id: string, user: string, access_key_id: string, scope: string, project?: string, "
     "created: string, expires: string|null, revoked: string|null, token: string, "
     "secret_access_key: string"},
    {"AuditEntry",
     "sequence: integer, time: string, project: string, actor: string, action: string, target: "
     "string, "
     "detail: {any}"},
    {"AuditEntries", "entries: AuditEntry[]"},
    {"Event", "sequence: integer, time: string, type: string, subject: string, data: {any}"},
    {"Events", "events: Event[]"},
    {"Users", "users: User[]"},
    {"Tokens", "tokens: Token[]"},
    {"Disk", "device: string, holds: string, total_bytes: integer, free_bytes: integer"},
    {"Gpu", "name: string"},
    {"Measured",
     "memory_gb_s: number|null, disk_write_gb_s: number|null, disk_read_gb_s: number|null, "
     "fdatasync_p50_us: number|null, fdatasync_p99_us: number|null, "
     "fp32_gflops_per_core: number|null, fp64_gflops_per_core: number|null, time: string"},
    {"Price", "per_hour: number, currency: string"},
    {"Node",
     "name: string, cpu: string, cores: integer, isa: string[], memory_bytes: integer, "
     "numa_nodes: integer, disks: Disk[], gpus: Gpu[], measured: Measured|null, price: Price|null"},
    {"Nodes", "nodes: Node[]"},
    {"Bucket", "name: string, created: string, objects: integer, bytes: integer, owner: string"},
    {"Buckets", "buckets: Bucket[]"},
    {"LakeObject",
     "key: string, size: integer, etag: string, digest: string, modified: string, "
     "content_type: string, owner?: string"},
    {"LakeObjects", "prefixes: string[], objects: LakeObject[], cursor: string|null"},
    {"SqlColumn", "name: string, type: string"},
    {"SqlResult",
     "columns: SqlColumn[], rows: any[][], row_count: integer, truncated: boolean, "
     "statement: string, elapsed_ms: number, query_id: string"},
    {"SqlTable",
     "schema: string, name: string, kind: string, rows: integer|null, columns: SqlColumn[], "
     "version: integer, updated: string|null, owner: string"},
    {"SqlTables", "tables: SqlTable[]"},
    {"Failure", "code: string, message: string"},
    {"SqlQuery",
     "id: string, user: string, sql: string, statement: string, state: string, started: string, "
     "elapsed_ms: number, rows: integer, bytes: integer, cpu_ms: number, cost: number, "
     "currency?: string|null, progress?: number, error?: Failure"},
    {"SqlQueries", "queries: SqlQuery[]"},
    {"FlowTrigger",
     "cron?: string, timezone?: string, event?: string, bucket?: string, prefix?: string"},
    {"FlowParameter", "type: string, default?: any, description?: string"},
    {"FlowStep", "needs?: string[], command?: string|string[], python?: string"},
    {"FlowSpec", "parameters?: {FlowParameter}, steps: {FlowStep}, triggers?: FlowTrigger[]"},
    {"FlowVersion", "version: string, number: integer, created: string|null, by: string"},
    {"TriggerFailure", "time: string, cause: string, error: string"},
    {"Flow",
     "name: string, description: string, version: string, number: integer, owner: string, "
     "applied_by: string, "
     "updated: string|null, steps: integer, triggers: FlowTrigger[], next_run: string|null, "
     "trigger_failure: TriggerFailure|null, last_run?: FlowRun|null, spec?: FlowSpec, versions?: "
     "FlowVersion[]"},
    {"Flows", "flows: Flow[]"},
    {"Usage", "cpu_seconds: number, max_rss_bytes: integer, wall_seconds: number"},
    {"Money", "cost: number, currency: string"},
    {"Attempt",
     "number: integer, state: string, created: string|null, started: string|null, "
     "finished: string|null, pid: integer|null, gpus: integer[], exit_code: integer|null, "
     "ending: string|null, message: string, usage: Usage|null, cost?: number|null, "
     "currency?: string|null"},
    {"RunCost",
     "run: string, task: string|null, started: string|null, finished: string|null, "
     "cost?: number|null, currency?: string|null, costs?: Money[]"},
    {"StepResources", "cpu: number, memory: integer, gpu: integer"},
    {"StepOutput", "name: string, digest: string, size: integer"},
    {"RunStep",
     "step: string, state: string, reason: string, needs: string[], resources: StepResources, "
     "outputs: StepOutput[], attempts: Attempt[], cost?: number|null, currency?: string|null"},
    {"FlowRun",
     "id: string, sequence: integer, flow: string, version: string, state: string, "
     "reason: string, cause: string, user: string, params: {any}, created: string|null, "
     "started: string|null, finished: string|null, steps?: RunStep[], usage?: Usage, "
     "cost?: number|null, currency?: string|null, costs?: Money[]"},
    {"FlowRuns", "runs: FlowRun[]"},
    {"ModelVersion",
     "name: string, version: integer, digest: string, package_digest: string, owner: string, "
     "team: string, description: string, status: string, status_message: string, stage: string, "
     "source: string, run_id: string, model_id: string, created: string, updated: string, "
     "aliases: string[], tags: {string}, metrics?: {number}"},
    {"AliasMove",
     "alias: string, from: integer|null, to: integer|null, digest: string, actor: string, "
     "time: string"},
    {"Model",
     "name: string, description: string, owner: string, team: string, created: string, "
     "updated: string, latest_version: integer|null, aliases: {integer}, tags: {string}, "
     "versions?: ModelVersion[], alias_history?: AliasMove[]"},
    {"Models", "models: Model[], next_page_token: string|null"},
    {"ModelFile", "path: string, size: integer, sha256: string"},
    {"ModelFiles", "digest: string, package_digest: string, files: ModelFile[]"},
    {"ModelOwner", "name: string, owner: string, team: string"},
    {"Evidence", "verdict: string, code: string, text: string, refs: string[]"},
    {"Question", "question: string, text: string, verdict: string, evidence: Evidence[]"},
    {"Answered",
     "endpoint: string, deployment: integer, version: string, digest: string, "
     "package_digest: string, since: string, moved_by: string|null"},
    {"Explanation",
     "model: string, subject: string, version: integer, digest: string, package_digest: string, "
     "questions: Question[], at: string|null, since: string|null, answered: Answered[]"},
    {"LiveModel",
     "model: string, version: string, digest: string, deployment: integer, flavor: string, "
     "loaded: string, moved_by: string|null, micros_per_row: number"},
    {"SignatureField", "name: string, type: string, required?: boolean, shape?: string"},
    {"Signature", "inputs: SignatureField[], outputs: SignatureField[]"},
    {"RequestCounts", "since: string, answered: integer, refused: integer, failed: integer"},
    {"Endpoint",
     "name: string, model: string, owner: string, created: string, state: string, "
     "wanted_version: string, error: string|null, overdue_runs: integer, live: LiveModel|null, "
     "signature: Signature|null, requests: RequestCounts"},
    {"Endpoints", "endpoints: Endpoint[]"},
    {"PredictionRow", "row: integer, inputs: any, outputs: any"},
    {"Prediction",
     "id: string, time: string, endpoint: string, model: string, version: string, "
     "digest: string, deployment: integer, latency_us: integer, status: string, "
     "row_count: integer, rows: PredictionRow[]"},
    {"Predictions",
     "predictions: Prediction[], unreadable_files: integer, next_page_token: string|null"},
    {"LineageNode",
     "ref: string, kind: string, name: string, version: string, digest: string, owner: string, "
     "time: string, facts: {any}"},
    {"LineageEdge", "from: string, to: string, relation: string, time: string"},
    {"LineageGraph", "nodes: LineageNode[], edges: LineageEdge[], truncated: boolean"},
};

// Operations and the types of their answers. What is not here answers bytes, text or nothing much.
constexpr std::pair<std::string_view, std::string_view> kAnswers[] = {
    {"getMe", R"({"$ref":"#/components/schemas/Me"})"},
    {"getRunCost", R"({"$ref":"#/components/schemas/RunCost"})"},
    {"listProjects", R"({"$ref":"#/components/schemas/Projects"})"},
    {"createProject", R"({"$ref":"#/components/schemas/Project"})"},
    {"setProjectMember", R"({"$ref":"#/components/schemas/Project"})"},
    {"removeProjectMember", R"({"$ref":"#/components/schemas/Project"})"},
    {"listTeams", R"({"$ref":"#/components/schemas/Teams"})"},
    {"createTeam", R"({"$ref":"#/components/schemas/Team"})"},
    {"addToTeam", R"({"$ref":"#/components/schemas/Team"})"},
    {"removeFromTeam", R"({"$ref":"#/components/schemas/Team"})"},
    {"listUsers", R"({"$ref":"#/components/schemas/Users"})"},
    {"createUser", R"({"$ref":"#/components/schemas/User"})"},
    {"disableUser", R"({"$ref":"#/components/schemas/User"})"},
    {"enableUser", R"({"$ref":"#/components/schemas/User"})"},
    {"listTokens", R"({"$ref":"#/components/schemas/Tokens"})"},
    {"createToken", R"({"$ref":"#/components/schemas/IssuedToken"})"},
    {"listAudit", R"({"$ref":"#/components/schemas/AuditEntries"})"},
    {"getTimeline", R"({"$ref":"#/components/schemas/AuditEntries"})"},
    {"listEvents", R"({"$ref":"#/components/schemas/Events"})"},
    {"listNodes", R"({"$ref":"#/components/schemas/Nodes"})"},
    {"setNodePrice", R"({"$ref":"#/components/schemas/Node"})"},
    {"measureNode", R"({"$ref":"#/components/schemas/Node"})"},
    {"listBuckets", R"({"$ref":"#/components/schemas/Buckets"})"},
    {"createBucket", R"({"$ref":"#/components/schemas/Bucket"})"},
    {"listObjects", R"({"$ref":"#/components/schemas/LakeObjects"})"},
    {"uploadObject", R"({"$ref":"#/components/schemas/LakeObject"})"},
    {"runSql", R"({"$ref":"#/components/schemas/SqlResult"})"},
    {"listTables", R"({"$ref":"#/components/schemas/SqlTables"})"},
    {"listQueries", R"({"$ref":"#/components/schemas/SqlQueries"})"},
    {"getQuery", R"({"$ref":"#/components/schemas/SqlQuery"})"},
    {"listFlows", R"({"$ref":"#/components/schemas/Flows"})"},
    {"applyFlow", R"({"$ref":"#/components/schemas/Flow"})"},
    {"getFlow", R"({"$ref":"#/components/schemas/Flow"})"},
    {"startFlowRun", R"({"$ref":"#/components/schemas/FlowRun"})"},
    {"listFlowRuns", R"({"$ref":"#/components/schemas/FlowRuns"})"},
    {"getFlowRun", R"({"$ref":"#/components/schemas/FlowRun"})"},
    {"cancelFlowRun", R"({"$ref":"#/components/schemas/FlowRun"})"},
    {"listModels", R"({"$ref":"#/components/schemas/Models"})"},
    {"getModel", R"({"$ref":"#/components/schemas/Model"})"},
    {"listModelFiles", R"({"$ref":"#/components/schemas/ModelFiles"})"},
    {"setModelAlias", R"({"$ref":"#/components/schemas/ModelVersion"})"},
    {"explainModel", R"({"$ref":"#/components/schemas/Explanation"})"},
    {"setModelOwner", R"({"$ref":"#/components/schemas/ModelOwner"})"},
    {"createEndpoint", R"({"$ref":"#/components/schemas/Endpoint"})"},
    {"listEndpoints", R"({"$ref":"#/components/schemas/Endpoints"})"},
    {"getEndpoint", R"({"$ref":"#/components/schemas/Endpoint"})"},
    {"listPredictions", R"({"$ref":"#/components/schemas/Predictions"})"},
    {"getPrediction", R"({"$ref":"#/components/schemas/Prediction"})"},
    {"why", R"({"$ref":"#/components/schemas/LineageGraph"})"},
    {"impact", R"({"$ref":"#/components/schemas/LineageGraph"})"},
};

Json schema_of(std::string_view type) {
  if (type.contains('|')) {
    Json choices = Json::array();
    for (const auto& choice : split(type, '|'))
      choices.push(schema_of(choice));
    return Json::object({{"anyOf", choices}});
  }
  if (type.ends_with("[]")) {
    return Json::object({{"type", "array"}, {"items", schema_of(type.substr(0, type.size() - 2))}});
  }
  if (type.starts_with('{')) {
    return Json::object(
        {{"type", "object"}, {"additionalProperties", schema_of(type.substr(1, type.size() - 2))}});
  }
  if (type == "any") return Json::object();
  const bool named = type.front() >= 'A' && type.front() <= 'Z';
  if (named) return Json::object({{"$ref", "#/components/schemas/" + std::string(type)}});
  return Json::object({{"type", type}});
}

Json schema_of(const Type& type) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const auto& member : split(type.members, ',')) {
    const std::size_t colon = member.find(':');
    std::string_view name = trim(std::string_view(member).substr(0, colon));
    const bool optional = name.ends_with('?');
    if (optional) name.remove_suffix(1);
    properties.set(std::string(name), schema_of(trim(std::string_view(member).substr(colon + 1))));
    if (!optional) required.push(name);
  }
  return Json::object({{"type", "object"}, {"required", required}, {"properties", properties}});
}

}  // namespace

Json answer_types() {
  Json types = Json::object();
  for (const Type& type : kTypes)
    types.set(std::string(type.name), schema_of(type));
  return types;
}

std::string_view answer_of(std::string_view operation) {
  const auto* const found =
      std::ranges::find(kAnswers, operation, &std::pair<std::string_view, std::string_view>::first);
  return found == std::end(kAnswers) ? std::string_view() : found->second;
}

}  // namespace strata::doors::rest
