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
     "detail: {any}, hash: string"},
    {"AuditEntries", "entries: AuditEntry[]"},
    {"AuditHead", "sequence: integer, hash: string"},
    {"AuditFinding", "kind: string, sequence: integer, message: string"},
    {"AuditCheck", "sound: boolean, entries: integer, head: AuditHead, finding: AuditFinding|null"},
    {"Event", "sequence: integer, time: string, type: string, subject: string, data: {any}"},
    {"Events", "events: Event[]"},
    {"MonitorReference", "kind: string, source: string, rows: integer, made: string"},
    {"MonitorSettings",
     "reference: string|null, window: string, threshold: number, minimum_rows: integer, "
     "false_alarms: number"},
    {"Monitor",
     "endpoint: string, reference: MonitorReference|null, settings: MonitorSettings, "
     "alarms: string[]"},
    {"Monitors", "monitors: Monitor[]"},
    {"BinCounts", "label: string, reference: integer, current: integer"},
    {"MonitoredFeature",
     "name: string, kind: string, alarm?: boolean, defined: boolean, reason?: string, "
     "reference_rows?: integer, current_rows?: integer, psi?: number, jensen_shannon?: number, "
     "chi_squared?: number, degrees_of_freedom?: number, p_value?: number, "
     "kolmogorov_smirnov?: number|null, kolmogorov_smirnov_p_value?: number, "
     "wasserstein?: number|null, missing_reference?: number, missing_current?: number, "
     "unseen?: number, mean_reference?: number|null, mean_current?: number|null, "
     "bins?: BinCounts[]"},
    {"MonitorReport",
     "endpoint: string, reference: MonitorReference|null, settings: MonitorSettings, "
     "alarms: string[], version: string|null, since: string, until: string, rows: integer, "
     "failed: integer, features: MonitoredFeature[]"},
    {"MonitorStep",
     "time: string, defined: boolean, reason?: string, reference_rows: integer, "
     "current_rows: integer, psi?: number, p_value?: number, missing_current?: number, "
     "mean_reference?: number|null, mean_current?: number|null"},
    {"MonitorSeries",
     "endpoint: string, feature: string, version: string|null, step_seconds: integer, "
     "steps: MonitorStep[]"},
    {"ComparedColumns", "columns: MonitoredFeature[]"},
    {"LabelsTaken", "labels: integer, created: string"},
    {"QualityFigures",
     "mae?: number, rmse?: number, bias?: number, r2?: number|null, accuracy?: number|null, "
     "precision?: number|null, recall?: number|null, f1?: number|null, log_loss?: number, "
     "brier?: number, roc_auc?: number|null, roc_auc_error?: number, "
     "calibration_error?: number|null, classes?: integer"},
    {"LabelledVersion", "version: string, rows: integer, labelled: integer"},
    {"MaturedFigures",
     "rows: integer, labelled: integer, share: number|null, metrics: QualityFigures|null"},
    {"ReliabilityBin",
     "from: number, to: number, rows: integer, score: number|null, observed: number|null"},
    {"LabelAge", "age_s: integer, rows: integer, labelled: integer, share: number"},
    {"PerformanceStep",
     "time: string, rows: integer, labelled: integer, share: number|null, mature: boolean, "
     "metrics: QualityFigures|null, estimated: QualityFigures|null"},
    {"Performance",
     "endpoint: string, version: string|null, versions: LabelledVersion[], since: string, "
     "until: string, output: string|null, label: string, threshold: number, kind: string|null, "
     "rows: integer, labelled: integer, share: number|null, metrics: QualityFigures|null, "
     "estimated: QualityFigures|null, matured: MaturedFigures, "
     "reliability: ReliabilityBin[]|null, mature_after_s: integer|null, maturity: LabelAge[], "
     "step_s: integer, steps: PerformanceStep[]"},
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
     "time: string, approved_by: string|null, request: integer|null, override: AliasOverride|null"},
    {"ModelSide", "model: string, version: integer, digest: string, package_digest: string"},
    {"ModelChange", "section: string, change: string, name: string, a: any, b: any"},
    {"ModelDiff",
     "a: ModelSide, b: ModelSide, equal: boolean, same_files: boolean, hidden: string[], "
     "changes: ModelChange[]"},
    {"AliasOverride", "reason: string, questions: any"},
    {"Protection",
     "alias: string, approvers: string[], questions: boolean, protected_by: string, time: string"},
    {"Protections", "protections: Protection[]"},
    {"AliasRequest",
     "id: integer, model: string, alias: string, action: string, from: integer|null, "
     "to: integer|null, digest: string, requested_by: string, time: string, expires: string, "
     "state: string, decided_by: string|null, decided: string|null, reason: string|null, "
     "override: AliasOverride|null, settings: any"},
    {"AliasRequests", "requests: AliasRequest[]"},
    {"Model",
     "name: string, description: string, owner: string, team: string, created: string, "
     "updated: string, latest_version: integer|null, aliases: {integer}, tags: {string}, "
     "versions?: ModelVersion[], alias_history?: AliasMove[]"},
    {"Models", "models: Model[], next_page_token: string|null"},
    {"ModelFile", "path: string, size: integer, sha256: string"},
    {"ModelFiles", "digest: string, package_digest: string, files: ModelFile[]"},
    {"OpenDependency", "file: string, line: integer|null, text: string, why: string"},
    {"Dependencies",
     "from: string, lock: string[], lock_digest: string, complete: boolean, open: "
     "OpenDependency[]"},
    {"PackageField", "name: string, type: string, required?: boolean, shape?: integer[]"},
    {"PackageParam", "name: string, type: string, list: boolean"},
    {"PackageSignature", "inputs: PackageField[], outputs: PackageField[], params: PackageParam[]"},
    {"PackageRuntime", "python: string|null, flavors: string[], mlflow_version: string|null"},
    {"PackageHardware", "accelerator: string|null, disk_bytes: integer"},
    {"PackageManifest",
     "format: string, digest: string, package_digest: string, files: ModelFile[], signature: "
     "PackageSignature|null, dependencies: Dependencies|null, runtime: PackageRuntime, hardware: "
     "PackageHardware, problems: string[]"},
    {"ModelPackage",
     "name: string, version: integer, manifest_digest: string, served_by: string|null, manifest: "
     "PackageManifest"},
    {"ModelImport", "import: integer"},
    {"ImportedVersion", "name: string, version: integer, digest: string, package_digest: string"},
    {"ModelSignature",
     "state: string, signer: string|null, reason: string|null, added_by: string|null, added: "
     "string|null, bundle: object|null"},
    {"TrustedKey",
     "name: string, kind: string, fingerprint: string, subject: string|null, pem: string, "
     "added_by: string, added: string"},
    {"Trust", "required: boolean, keys: TrustedKey[]"},
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
     "why: string|null, processes: ModelProcesses|null, loaded: string, moved_by: string|null, "
     "micros_per_row: number"},
    {"Replicas", "least: integer, most: integer, idle_seconds: integer"},
    {"ModelProcesses",
     "wanted: integer, starting: integer, idle: integer, busy: integer, waiting: integer, "
     "ended: integer, last_end: string|null, memory_bytes: integer, memory_limit_bytes: integer"},
    {"ModelOutput", "output: string"},
    {"SignatureField", "name: string, type: string, required?: boolean, shape?: string"},
    {"Signature", "inputs: SignatureField[], outputs: SignatureField[]"},
    {"RequestCounts", "since: string, answered: integer, refused: integer, failed: integer"},
    {"Endpoint",
     "name: string, model: string, owner: string, created: string, state: string, "
     "wanted_version: string, error: string|null, overdue_runs: integer, replicas: Replicas, "
     "live: LiveModel|null, signature: Signature|null, requests: RequestCounts"},
    {"Endpoints", "endpoints: Endpoint[]"},
    {"PredictionRow", "row: integer, inputs: any, outputs: any"},
    {"Prediction",
     "id: string, time: string, endpoint: string, model: string, version: string, "
     "digest: string, deployment: integer, latency_us: integer, status: string, "
     "route: string, "
     "row_count: integer, rows: PredictionRow[]"},
    {"Predictions",
     "predictions: Prediction[], unreadable_files: integer, next_page_token: string|null"},
    {"Flag",
     "name: string, version: integer, state: string, description: string, default: any, "
     "rules: any[], digest: string, by: string, reason: string, updated: string, "
     "deleted?: boolean"},
    {"Flags", "flags: Flag[], next_page_token: string|null"},
    {"FlagVersions", "versions: Flag[]"},
    {"FlagPart",
     "name: string, version: integer, definition: any, digest: string, by: string, "
     "reason: string, updated: string, deleted?: boolean"},
    {"FlagGroups", "groups: FlagPart[], next_page_token: string|null"},
    {"FlagHoldouts", "holdouts: FlagPart[], next_page_token: string|null"},
    {"FlagKey",
     "id: string, key: string, name: string, remote: boolean, by: string, created: string, "
     "revoked: string|null"},
    {"FlagKeys", "keys: FlagKey[]"},
    {"FlagEvaluation",
     "value: any, on: boolean, off: boolean, source: string, ruleId: string, experiment?: any, "
     "experimentResult?: any"},
    {"FlagExperiment",
     "name: string, flag: string, flag_version: integer, experiment: string, attribute: string, "
     "hypothesis: string, state: string, plan: any, metrics: any[], digest: string, by: string, "
     "started: string, stopped: string|null, stopped_by: string, reason: string"},
    {"FlagExperiments", "experiments: FlagExperiment[], next_page_token: string|null"},
    {"ReportUnits", "total: integer, multi_exposed: integer, arms: any[]"},
    {"ReportMetric", "name: string, matured: integer, immature: integer, sql: string"},
    {"ExperimentReport",
     "experiment: FlagExperiment, summary: string[], decision: any, units: ReportUnits, "
     "metrics: ReportMetric[], warnings: string[]"},
    {"FeatureColumn", "name: string, type: string"},
    {"ServedFeature", "view: string, name: string, type: string"},
    {"FeatureItem",
     "kind: string, name: string, version: string, number: integer, owner: string, "
     "description: string, updated: string, updated_by: string, equal_to: string[], "
     "definition: {any}"},
    {"FeatureItems", "items: FeatureItem[], features: string[], next: string|null"},
    {"FeatureVersion",
     "version: string, number: integer, created: string, created_by: string, plan: {any}"},
    {"FeatureDefinition",
     "kind: string, name: string, version: string, number: integer, owner: string, "
     "description: string, updated: string, updated_by: string, equal_to: string[], "
     "definition: {any}, features: ServedFeature[], keys: FeatureColumn[], "
     "request: FeatureColumn[], readers: string[], versions: FeatureVersion[]"},
    {"FeatureChange",
     "kind: string, name: string, change: string, version: string, previous: string, "
     "changed_features: string[], removed_features: string[], equal_to: string[], "
     "services: string[], models: string[]"},
    {"FeatureChanges", "changes: FeatureChange[]"},
    {"FeaturePush", "sequence: integer, repeated: boolean"},
    {"FeatureValues",
     "view: string, name: string, type: string, values: any[], statuses: string[], "
     "event_times: any[]"},
    {"FeatureVectors",
     "version: string, time: string, sequence: integer, features: FeatureValues[]"},
    {"ReleaseStep", "percent: number, sample: integer"},
    {"ReleasePlan",
     "endpoint: string, model: string, alias: string, version: string, digest: string, "
     "live: string, live_digest: string, shadow_sample: integer, steps: ReleaseStep[], "
     "limits: {number}, drain_seconds: integer"},
    {"ReleaseGate", "gate: string, verdict: string, reason: string, numbers: {any}"},
    {"PlannedRelease", "plan: ReleasePlan, gates: ReleaseGate[]"},
    {"ReleaseFinding",
     "metric: string, unit: string, control: number, candidate: number, effect: number, "
     "limit: number, p_value: number, needed: number, requests_control: number, "
     "requests_candidate: number, within: boolean"},
    {"ReleaseEdge",
     "number: integer, time: string, actor: string, event: string, from: string, to: string, "
     "percent: number, reason: string, evidence: any"},
    {"Release",
     "id: string, endpoint: string, model: string, version: string, live: string, stage: string, "
     "percent: number, paused: boolean, held: string|null, actor: string, created: string, "
     "updated: string, plan: ReleasePlan, gates: ReleaseGate[], findings: ReleaseFinding[], "
     "shadows_dropped: integer, edges: ReleaseEdge[]"},
    {"Releases", "releases: Release[], next_page_token: string|null"},
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
    {"getAuditHead", R"({"$ref":"#/components/schemas/AuditHead"})"},
    {"verifyAudit", R"({"$ref":"#/components/schemas/AuditCheck"})"},
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
    {"getModelPackage", R"({"$ref":"#/components/schemas/ModelPackage"})"},
    {"beginModelImport", R"({"$ref":"#/components/schemas/ModelImport"})"},
    {"putImportedFile", R"({"$ref":"#/components/schemas/ModelFile"})"},
    {"finishModelImport", R"({"$ref":"#/components/schemas/ImportedVersion"})"},
    {"getModelSignature", R"({"$ref":"#/components/schemas/ModelSignature"})"},
    {"putModelSignature", R"({"$ref":"#/components/schemas/ModelSignature"})"},
    {"getTrust", R"({"$ref":"#/components/schemas/Trust"})"},
    {"requireSignatures", R"({"$ref":"#/components/schemas/Trust"})"},
    {"trustKey", R"({"$ref":"#/components/schemas/Trust"})"},
    {"distrustKey", R"({"$ref":"#/components/schemas/Trust"})"},
    {"setModelAlias", R"({"$ref":"#/components/schemas/ModelVersion"})"},
    {"explainModel", R"({"$ref":"#/components/schemas/Explanation"})"},
    {"diffModels", R"({"$ref":"#/components/schemas/ModelDiff"})"},
    {"protectModelAlias", R"({"$ref":"#/components/schemas/Protection"})"},
    {"listProtections", R"({"$ref":"#/components/schemas/Protections"})"},
    {"listAliasRequests", R"({"$ref":"#/components/schemas/AliasRequests"})"},
    {"approveAliasRequest", R"({"$ref":"#/components/schemas/AliasRequest"})"},
    {"refuseAliasRequest", R"({"$ref":"#/components/schemas/AliasRequest"})"},
    {"setModelOwner", R"({"$ref":"#/components/schemas/ModelOwner"})"},
    {"listMonitors", R"({"$ref":"#/components/schemas/Monitors"})"},
    {"getMonitor", R"({"$ref":"#/components/schemas/MonitorReport"})"},
    {"getMonitorSeries", R"({"$ref":"#/components/schemas/MonitorSeries"})"},
    {"changeMonitor", R"({"$ref":"#/components/schemas/Monitor"})"},
    {"compareColumns", R"({"$ref":"#/components/schemas/ComparedColumns"})"},
    {"pushLabels", R"({"$ref":"#/components/schemas/LabelsTaken"})"},
    {"getPerformance", R"({"$ref":"#/components/schemas/Performance"})"},
    {"createEndpoint", R"({"$ref":"#/components/schemas/Endpoint"})"},
    {"listEndpoints", R"({"$ref":"#/components/schemas/Endpoints"})"},
    {"getEndpoint", R"({"$ref":"#/components/schemas/Endpoint"})"},
    {"scaleEndpoint", R"({"$ref":"#/components/schemas/Endpoint"})"},
    {"readEndpointOutput", R"({"$ref":"#/components/schemas/ModelOutput"})"},
    {"listPredictions", R"({"$ref":"#/components/schemas/Predictions"})"},
    {"getPrediction", R"({"$ref":"#/components/schemas/Prediction"})"},
    {"listFlags", R"({"$ref":"#/components/schemas/Flags"})"},
    {"getFlag", R"({"$ref":"#/components/schemas/Flag"})"},
    {"setFlag", R"({"$ref":"#/components/schemas/Flag"})"},
    {"deleteFlag", R"({"$ref":"#/components/schemas/Flag"})"},
    {"setFlagState", R"({"$ref":"#/components/schemas/Flag"})"},
    {"listFlagVersions", R"({"$ref":"#/components/schemas/FlagVersions"})"},
    {"evaluateFlag", R"({"$ref":"#/components/schemas/FlagEvaluation"})"},
    {"listFlagGroups", R"({"$ref":"#/components/schemas/FlagGroups"})"},
    {"getFlagGroup", R"({"$ref":"#/components/schemas/FlagPart"})"},
    {"setFlagGroup", R"({"$ref":"#/components/schemas/FlagPart"})"},
    {"deleteFlagGroup", R"({"$ref":"#/components/schemas/FlagPart"})"},
    {"listFlagHoldouts", R"({"$ref":"#/components/schemas/FlagHoldouts"})"},
    {"getFlagHoldout", R"({"$ref":"#/components/schemas/FlagPart"})"},
    {"setFlagHoldout", R"({"$ref":"#/components/schemas/FlagPart"})"},
    {"deleteFlagHoldout", R"({"$ref":"#/components/schemas/FlagPart"})"},
    {"listFlagKeys", R"({"$ref":"#/components/schemas/FlagKeys"})"},
    {"createFlagKey", R"({"$ref":"#/components/schemas/FlagKey"})"},
    {"revokeFlagKey", R"({"$ref":"#/components/schemas/FlagKey"})"},
    {"startExperiment", R"({"$ref":"#/components/schemas/FlagExperiment"})"},
    {"listFlagExperiments", R"({"$ref":"#/components/schemas/FlagExperiments"})"},
    {"getFlagExperiment", R"({"$ref":"#/components/schemas/FlagExperiment"})"},
    {"stopExperiment", R"({"$ref":"#/components/schemas/FlagExperiment"})"},
    {"reportExperiment", R"({"$ref":"#/components/schemas/ExperimentReport"})"},
    {"planFeatures", R"({"$ref":"#/components/schemas/FeatureChanges"})"},
    {"applyFeatures", R"({"$ref":"#/components/schemas/FeatureChanges"})"},
    {"listFeatures", R"({"$ref":"#/components/schemas/FeatureItems"})"},
    {"getFeature", R"({"$ref":"#/components/schemas/FeatureDefinition"})"},
    {"pushFeatures", R"({"$ref":"#/components/schemas/FeaturePush"})"},
    {"getOnlineFeatures", R"({"$ref":"#/components/schemas/FeatureVectors"})"},
    {"getHistoricalFeatures", R"({"$ref":"#/components/schemas/FeatureVectors"})"},
    {"startRelease", R"({"$ref":"#/components/schemas/Release"})"},
    {"planRelease", R"({"$ref":"#/components/schemas/PlannedRelease"})"},
    {"listReleases", R"({"$ref":"#/components/schemas/Releases"})"},
    {"getRelease", R"({"$ref":"#/components/schemas/Release"})"},
    {"pauseRelease", R"({"$ref":"#/components/schemas/Release"})"},
    {"resumeRelease", R"({"$ref":"#/components/schemas/Release"})"},
    {"promoteRelease", R"({"$ref":"#/components/schemas/Release"})"},
    {"overrideReleaseGates", R"({"$ref":"#/components/schemas/Release"})"},
    {"rollBackRelease", R"({"$ref":"#/components/schemas/Release"})"},
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
