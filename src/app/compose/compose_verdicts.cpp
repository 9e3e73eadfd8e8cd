#include "app/compose/compose_verdicts.hpp"

#include "doors/governance/diff_routes.hpp"
#include "doors/rest/explain_routes.hpp"
#include "platform/comparison/comparison.hpp"

namespace strata::app {

using platform::verdicts::Verdicts;

namespace {

// The questions about a version that are bad, by what holds now; asked as the server itself, so
// that it does not depend on what the caller may read.
Task<Result<Json>> bad_questions(Verdicts& verdicts, const kernel::Identity& identity,
                                 ProjectId project, std::string name, std::int64_t version) {
  auto own = identity.system_caller();
  own.project = project;
  const auto found = co_await verdicts.explain(own, name, std::to_string(version), std::nullopt);
  if (!found) co_return found.error();
  Json bad = Json::array();
  for (const auto& question : found->report["questions"].as_array()) {
    if (question.text("verdict") == "bad") bad.push(question);
  }
  co_return bad;
}

}  // namespace

Result<std::unique_ptr<VerdictsPart>> make_verdicts_part(
    Core& core, doors::rest::RestDoor& rest, storage::lake::Lake& lake,
    resources::workflow::Workflows& flows, platform::tracking::Tracking& tracking,
    platform::models::Models& models, std::unique_ptr<platform::signing::Signatures> signatures,
    platform::deployment::Endpoints& endpoints, platform::external::ExternalLineage& external) {
  STRATA_TRY(core.records.migrate(Verdicts::migrations()));
  const Verdicts::Ports ports{core.records, core.identity, core.events, core.lineage, core.clock,
                              core.loops,   core.scope,    lake,        flows,        tracking,
                              models,       *signatures,   endpoints,   external};
  auto part = std::make_unique<VerdictsPart>(core, ports, std::move(signatures));
  models.on_gate([&verdicts = part->verdicts(), &identity = core.identity](
                     const kernel::Caller& caller, std::string name, std::int64_t version) {
    return bad_questions(verdicts, identity, caller.project, std::move(name), version);
  });
  rest.add(doors::rest::explain_routes(part->verdicts(), models));
  rest.add(doors::governance::diff_routes(part->comparison(), &doors::rest::error_response));
  return part;
}

}  // namespace strata::app
