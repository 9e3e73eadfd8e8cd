#include "app/compose/compose_workflow.hpp"

#include <array>
#include <cstdlib>

#include "app/data_dir.hpp"
#include "doors/rest/flow_routes.hpp"
#include "resources/workflow/workflow.hpp"

namespace strata::app {
namespace {

using platform::tracking::Tracking;
using resources::workflow::Environment;
using resources::workflow::Ports;
using resources::workflow::Workflows;
using storage::compute::Compute;

// What a step sees of the server's own environment; nothing that is secret or about the server.
constexpr std::array<const char*, 20> kInherited = {
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "NO_PROXY",
    "AWS_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
};

// `strata` itself is found by every step, behind what the server's own PATH has.
Environment inherited(const std::string& executable) {
  Environment out;
  for (const char* const name : kInherited) {
    if (const char* const value = std::getenv(name)) out.emplace_back(name, value);
  }
  const auto path = std::ranges::find(out, "PATH", &Environment::value_type::first);
  const std::string own = executable.substr(0, executable.rfind('/'));
  if (path == out.end()) {
    out.emplace_back("PATH", "/usr/local/bin:/usr/bin:/bin:" + own);
  } else {
    path->second += ":" + own;
  }
  return out;
}

// What a step is given to reach this server: the same names as `strata env` prints.
Result<Environment> environment_of(const std::string& data, const kernel::IssuedToken& issued) {
  const auto endpoints = read_endpoints(data);
  if (!endpoints) {
    return Error(Code::kUnavailable, "the server's addresses are not known yet");
  }
  return client_environment(*endpoints,
                            {issued.token, issued.info.access_key_id, issued.secret_access_key});
}

class WorkflowPart final : public FlowPart {
 public:
  explicit WorkflowPart(Core& core)
      : workflows_(Ports{.data = core.paths.data,
                         .executable = core.paths.executable,
                         .records = core.records,
                         .identity = core.identity,
                         .audit = core.audit,
                         .events = core.events,
                         .lineage = core.lineage,
                         .clock = core.clock,
                         .random = core.random,
                         .files = core.files,
                         .pool = core.pool,
                         .loops = core.loops,
                         .scope = core.scope,
                         .client_environment =
                             [&core](const kernel::IssuedToken& issued) {
                               return environment_of(core.paths.data, issued);
                             },
                         .inherited = inherited(core.paths.executable),
                         .running_per_user = core.limits.running_per_user}) {}

  Workflows& workflows() override { return workflows_; }
  Status start() override { return workflows_.start(); }
  void drain() override { workflows_.drain(); }
  void stop() override { workflows_.stop(); }

 private:
  Workflows workflows_;
};

// The step that logged the run, as its lineage tells; nothing when none did.
Task<Result<std::string>> task_of(Core& core, const kernel::Caller& caller, std::string run) {
  const kernel::NodeRef start{"run", run, ""};
  const auto graph =
      co_await core.lineage.walk(caller.project, start, kernel::Direction::kUpstream);
  if (!graph) co_return graph.error();
  for (const auto& edge : graph->edges) {
    if (edge.relation == "ran" && edge.from.kind == "task" && edge.to == start)
      co_return edge.from.name;
  }
  co_return std::string();
}

// What the step reserves, for the time of the run.
Task<Result<doors::rest::RunCost>> find_run_cost(Core& core, const Compute& node,
                                                 Tracking& tracking, Workflows& workflows,
                                                 kernel::Caller caller, std::string id) {
  const auto run = co_await tracking.run(caller, id);
  if (!run) co_return run.error();
  doors::rest::RunCost found;
  found.from = Instant::from_millis(run->info.start_ms);
  if (run->info.end_ms) found.to = Instant::from_millis(*run->info.end_ms);
  auto task = co_await task_of(core, caller, id);
  if (!task) co_return task.error();
  found.task = *std::move(task);
  const auto slash = found.task.find('/');
  if (slash == std::string::npos) co_return found;
  const std::string flow_run_id = found.task.substr(0, slash);
  const auto flow_run = co_await workflows.run_info(caller, flow_run_id);
  if (!flow_run) co_return flow_run.error();
  for (const auto& step : flow_run->run.tasks) {
    if (step.plan.step != found.task.substr(slash + 1)) continue;
    const auto& wants = step.plan.resources;
    const storage::compute::Reservation reserved{static_cast<double>(wants.cpu_millis) / 1000,
                                                 static_cast<std::uint64_t>(wants.memory_bytes),
                                                 static_cast<double>(wants.gpus)};
    found.cost = node.cost_between(reserved, found.from, found.to);
  }
  co_return found;
}

}  // namespace

Result<std::unique_ptr<FlowPart>> make_workflow_part(Core& core, doors::rest::RestDoor& rest,
                                                     const Compute& node, Tracking& tracking) {
  STRATA_TRY(core.records.migrate(Workflows::migrations()));
  auto part = std::make_unique<WorkflowPart>(core);
  rest.add(doors::rest::flow_routes(part->workflows(), node));
  Workflows* const workflows = &part->workflows();
  const auto cost = [&core, &node, &tracking, workflows](const kernel::Caller& caller,
                                                         std::string run) {
    return find_run_cost(core, node, tracking, *workflows, caller, std::move(run));
  };
  rest.add(doors::rest::run_cost_routes(cost));
  return std::unique_ptr<FlowPart>(std::move(part));
}

}  // namespace strata::app
