#include "app/compose/compose_verdicts.hpp"

#include "doors/rest/explain_routes.hpp"

namespace strata::app {

namespace {

using platform::verdicts::Verdicts;

class VerdictsPart final : public Part {
 public:
  VerdictsPart(Core& core, Verdicts::Ports ports) : core_(core), verdicts_(ports) {}
  Verdicts& verdicts() { return verdicts_; }
  Status start() override { return verdicts_.start(); }
  void stop() override {
    core_.scope.request_stop();
    core_.events.changed().notify_all();  // wakes the watch, which then sees that it shall end
  }

 private:
  Core& core_;
  Verdicts verdicts_;
};

}  // namespace

Result<std::unique_ptr<Part>> make_verdicts_part(Core& core, doors::rest::RestDoor& rest,
                                                 storage::lake::Lake& lake,
                                                 resources::workflow::Workflows& flows,
                                                 platform::tracking::Tracking& tracking,
                                                 platform::models::Models& models,
                                                 platform::deployment::Endpoints& endpoints) {
  STRATA_TRY(core.records.migrate(Verdicts::migrations()));
  const Verdicts::Ports ports{core.records, core.identity, core.events, core.lineage,
                              core.clock,   core.loops,    core.scope,  lake,
                              flows,        tracking,      models,      endpoints};
  auto part = std::make_unique<VerdictsPart>(core, ports);
  rest.add(doors::rest::explain_routes(part->verdicts(), models));
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
