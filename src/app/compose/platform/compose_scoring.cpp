#include "app/compose/platform/compose_scoring.hpp"

#include "doors/scorings/scoring_routes.hpp"
#include "platform/scoring/scoring.hpp"

namespace strata::app {

namespace {

using platform::scoring::Scorings;

class ScoringPart final : public Part {
 public:
  ScoringPart(Core& core, Scorings::Ports ports)
      : scorings_(std::move(ports), core.paths.data + "/scoring") {}
  Scorings& scorings() { return scorings_; }
  Status start() override { return scorings_.start(); }
  void drain() override { scorings_.stop(); }
  void stop() override { scorings_.stop(); }

 private:
  Scorings scorings_;
};

}  // namespace

Result<std::unique_ptr<Part>> make_scoring_part(Core& core, doors::rest::RestDoor& rest,
                                                platform::deployment::Endpoints& endpoints,
                                                WarehousePart& warehouses) {
  STRATA_TRY(core.records.migrate(Scorings::migrations()));
  Scorings::Ports ports{core.records,
                        core.identity,
                        core.audit,
                        core.events,
                        core.lineage,
                        core.clock,
                        core.random,
                        core.files,
                        core.pool,
                        core.loops,
                        core.scope,
                        endpoints,
                        [&warehouses](const kernel::Caller& caller) {
                          return warehouses.of(caller);
                        }};
  auto part = std::make_unique<ScoringPart>(core, std::move(ports));
  rest.add(doors::scorings::scoring_routes(part->scorings(), &doors::rest::error_response));
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
