#include "app/compose/platform/compose_monitoring.hpp"

#include "app/compose/compose_warehouse.hpp"
#include "base/log.hpp"
#include "doors/monitoring/monitoring_routes.hpp"
#include "platform/labels/labels.hpp"
#include "platform/monitoring/monitoring.hpp"
#include "platform/monitoring/performance.hpp"

namespace strata::app {

using platform::labels::Labels;
using platform::monitoring::Monitoring;
using platform::monitoring::Performance;
using storage::warehouse::Warehouse;

namespace {

class MonitoringPart final : public Part {
 public:
  MonitoringPart(Monitoring::Ports ports, Labels::Ports label_ports, std::string folder)
      : monitoring_(ports),
        labels_(label_ports, std::move(folder)),
        performance_({ports.clock, ports.pool, ports.log, ports.endpoints, labels_}) {}
  Monitoring& monitoring() { return monitoring_; }
  Labels& labels() { return labels_; }
  Performance& performance() { return performance_; }
  Status start() override {
    monitoring_.start();
    return {};
  }

 private:
  Monitoring monitoring_;
  Labels labels_;
  Performance performance_;
};

Warehouse::SystemView view_of(Labels& labels, const ProjectId& project) {
  Warehouse::SystemView view;
  view.name = "labels";
  view.permission = kernel::Permission::kEndpointRead;
  view.folder = "labels/" + project.str();
  view.columns = {{"created", "TIMESTAMP WITH TIME ZONE"},
                  {"endpoint", "VARCHAR"},
                  {"prediction_id", "VARCHAR"},
                  {"row", "BIGINT"},
                  {"name", "VARCHAR"},
                  {"value", "VARCHAR"},
                  {"number", "DOUBLE"},
                  {"event_time", "TIMESTAMP WITH TIME ZONE"}};
  view.files = [&labels, project](bool fresh) {
    auto files = labels.files(project, fresh);
    if (files) return *std::move(files);
    // As much as there is, rather than nothing.
    log::warn("labels.files", Json::object({{"error", files.error().to_string()}}));
    return labels.files(project, false).value_or({});
  };
  return view;
}

}  // namespace

Result<std::unique_ptr<Part>> make_monitoring_part(Core& core, doors::rest::RestDoor& rest,
                                                   platform::predictions::PredictionLog& log,
                                                   platform::deployment::Endpoints& endpoints,
                                                   WarehousePart& warehouse) {
  STRATA_TRY(core.records.migrate(Monitoring::migrations()));
  STRATA_TRY(core.records.migrate(Labels::migrations()));
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
  const Labels::Ports label_ports{core.records, core.files, core.clock, core.pool, log, endpoints};
  auto part = std::make_unique<MonitoringPart>(ports, label_ports, core.paths.data + "/labels");
  STRATA_TRY(part->monitoring().prepare());
  STRATA_TRY(part->labels().open());
  rest.add(doors::monitoring::monitoring_routes(part->monitoring(), &doors::rest::error_response));
  rest.add(doors::monitoring::performance_routes(part->labels(), part->performance(),
                                                 &doors::rest::error_response));
  warehouse.offer_views([&labels = part->labels()](const ProjectId& project) {
    return std::vector{view_of(labels, project)};
  });
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
