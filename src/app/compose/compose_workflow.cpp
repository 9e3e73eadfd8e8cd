#include "app/compose/compose_workflow.hpp"

#include <array>
#include <cstdlib>

#include "app/data_dir.hpp"
#include "doors/rest/flow_routes.hpp"
#include "resources/workflow/workflow.hpp"

namespace strata::app {
namespace {

using resources::workflow::Environment;
using resources::workflow::Ports;
using resources::workflow::Workflows;

// What a step sees of the server's own environment; nothing that is secret or about the server.
constexpr std::array<const char*, 16> kInherited = {
    "PATH",          "HOME",         "USER",        "LOGNAME", "SHELL",       "LANG",
    "LC_ALL",        "LC_CTYPE",     "TZ",          "TMPDIR",  "VIRTUAL_ENV", "LD_LIBRARY_PATH",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "NO_PROXY"};

Environment inherited() {
  Environment out;
  for (const char* const name : kInherited) {
    if (const char* const value = std::getenv(name)) out.emplace_back(name, value);
  }
  return out;
}

// What a step is given to reach this server: the same names as `strata env` prints.
Result<Environment> environment_of(Files& files, const std::string& data,
                                   const kernel::IssuedToken& issued) {
  const auto endpoints = read_endpoints(files, data);
  if (!endpoints) {
    return Error(Code::kUnavailable, "the server's addresses are not known yet");
  }
  return client_environment(*endpoints,
                            {issued.token, issued.info.access_key_id, issued.secret_access_key});
}

class WorkflowPart final : public Part {
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
                               return environment_of(core.files, core.paths.data, issued);
                             },
                         .inherited = inherited(),
                         .running_per_user = core.limits.running_per_user}) {}

  Workflows& workflows() { return workflows_; }
  Status start() override { return workflows_.start(); }
  void drain() override { workflows_.drain(); }
  void stop() override { workflows_.stop(); }

 private:
  Workflows workflows_;
};

}  // namespace

Result<std::unique_ptr<Part>> make_workflow_part(Core& core, doors::rest::RestDoor& rest) {
  // A server that was killed left its addresses behind; no step must be sent there.
  STRATA_TRY(core.files.remove(core.paths.run() + "/endpoints.json"));
  STRATA_TRY(core.records.migrate(Workflows::migrations()));
  auto part = std::make_unique<WorkflowPart>(core);
  rest.add(doors::rest::flow_routes(part->workflows()));
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
