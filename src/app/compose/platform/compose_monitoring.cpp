#include "app/compose/platform/compose_monitoring.hpp"

#include "app/compose/compose_warehouse.hpp"
#include "doors/monitoring/monitoring_routes.hpp"
#include "platform/monitoring/monitoring.hpp"

namespace strata::app {

using platform::monitoring::Monitoring;

namespace {

class MonitoringPart final : public Part {
 public:
  explicit MonitoringPart(Monitoring::Ports ports) : monitoring_(ports) {}
  Monitoring& monitoring() { return monitoring_; }
  Status start() override {
    monitoring_.start();
    return {};
  }

 private:
  Monitoring monitoring_;
};

}  // namespace

Result<std::unique_ptr<Part>> make_monitoring_part(Core& core, doors::rest::RestDoor& rest,
                                                   platform::predictions::PredictionLog& log,
                                                   platform::deployment::Endpoints& endpoints,
                                                   WarehousePart& warehouse) {
  STRATA_TRY(core.records.migrate(Monitoring::migrations()));
  const Monitoring::Ports ports{core.records,
                                core.identity,
                                core.audit,
                                core.events,
                                core.clock,
                                core.pool,
                                core.loops,
                                core.scope,
                                core.metrics,
                                log,
                                endpoints,
                                [&warehouse](const kernel::Caller& caller) {
                                  return warehouse.of(caller);
                                }};
  auto part = std::make_unique<MonitoringPart>(ports);
  STRATA_TRY(part->monitoring().prepare());
  rest.add(doors::monitoring::monitoring_routes(part->monitoring(), &doors::rest::error_response));
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
