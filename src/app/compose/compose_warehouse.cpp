#include "app/compose/compose_warehouse.hpp"

#include <thread>

#include <unistd.h>

#include "base/log.hpp"
#include "doors/rest/sql_routes.hpp"

namespace strata::app {

namespace {

using storage::warehouse::EngineHostOptions;
using storage::warehouse::Warehouse;

// A quarter of the machine's memory for SQL, at least 256 MiB: what the engine keeps, not all that
// its process takes.
std::int64_t engine_memory_mb() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 1024;
  return std::max<std::int64_t>(256, pages * (page / 1024) / 1024 / 4);
}

EngineHostOptions engine_options(const Core& core) {
  EngineHostOptions options;
  options.command = {core.paths.executable, "warehouse", "--lib",
                     core.paths.libraries + "/libduckdb.so"};
  options.data = core.paths.data;
  options.memory_mb =
      core.limits.sql_memory_mb > 0 ? core.limits.sql_memory_mb : engine_memory_mb();
  options.threads = core.limits.sql_threads > 0
                        ? core.limits.sql_threads
                        : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return options;
}

}  // namespace

WarehousePart::WarehousePart(Core& core, storage::lake::Lake& lake,
                             std::function<double(std::chrono::microseconds)> cost)
    : core_(core),
      objects_(lake, core.pool),
      warehouse_(Warehouse::Ports{core.records, core.audit, core.events, core.lineage, objects_,
                                  core.pool, core.scope, core.loops, core.clock, core.random,
                                  core.identity.system_caller(), std::move(cost)},
                 engine_options(core)) {}

void WarehousePart::offer_predictions(platform::deployment::PredictionLog& log) {
  Warehouse::SystemView view;
  view.name = "predictions";
  view.folder = "predictions";
  for (const auto& [name, type] :
       std::vector<std::pair<std::string, std::string>>{{"prediction_id", "VARCHAR"},
                                                        {"row", "INTEGER"},
                                                        {"time", "TIMESTAMP WITH TIME ZONE"},
                                                        {"endpoint", "VARCHAR"},
                                                        {"model", "VARCHAR"},
                                                        {"version", "VARCHAR"},
                                                        {"digest", "VARCHAR"},
                                                        {"deployment", "BIGINT"},
                                                        {"latency_us", "BIGINT"},
                                                        {"status", "VARCHAR"}}) {
    view.columns.push_back({name, type});
  }
  view.files = [&log, project = core_.identity.system_caller().project.str()] {
    // What was answered before the query is in it. A log that cannot be written shows what it has.
    if (const auto flushed = log.flush(); !flushed) {
      strata::log::warn("warehouse.predictions",
                        Json::object({{"error", flushed.error().message}}));
    }
    return log.files(project);
  };
  warehouse_.add_system_view(std::move(view));
}

Result<std::unique_ptr<WarehousePart>> make_warehouse_part(
    Core& core, doors::rest::RestDoor& rest, storage::lake::Lake& lake,
    std::function<double(std::chrono::microseconds)> cost) {
  STRATA_TRY(core.records.migrate(Warehouse::migrations()));
  auto part = std::make_unique<WarehousePart>(core, lake, std::move(cost));
  rest.add(doors::rest::sql_routes(part->warehouse()));
  return part;
}

}  // namespace strata::app
