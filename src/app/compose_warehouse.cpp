#include "app/compose_warehouse.hpp"

#include <unistd.h>

#include <thread>

#include "doors/rest/sql_routes.hpp"

namespace strata::app {

namespace {

using storage::warehouse::EngineHostOptions;
using storage::warehouse::Warehouse;

// A quarter of the machine's memory for SQL, at least 256 MiB: what the engine keeps, not all that its process takes.
std::int64_t engine_memory_mb() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 1024;
  return std::max<std::int64_t>(256, pages * (page / 1024) / 1024 / 4);
}

EngineHostOptions engine_options(const Core& core) {
  EngineHostOptions options;
  options.command = {core.paths.executable, "warehouse", "--lib", core.paths.libraries + "/libduckdb.so"};
  options.data = core.paths.data;
  options.memory_mb = engine_memory_mb();
  options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return options;
}

}  // namespace

WarehousePart::WarehousePart(Core& core, storage::lake::Lake& lake,
                             std::function<double(std::chrono::microseconds)> cost)
    : objects_(lake, core.pool),
      warehouse_(Warehouse::Ports{core.records, core.audit, core.events, core.lineage, objects_, core.pool, core.scope,
                                  core.loops, core.clock, core.random, core.identity.system_caller(),
                                  std::move(cost)},
                 engine_options(core)) {}

Result<std::unique_ptr<WarehousePart>> make_warehouse_part(Core& core, doors::rest::RestDoor& rest,
                                                           storage::lake::Lake& lake,
                                                           std::function<double(std::chrono::microseconds)> cost) {
  STRATA_TRY(core.records.migrate(Warehouse::migrations()));
  auto part = std::make_unique<WarehousePart>(core, lake, std::move(cost));
  rest.add(doors::rest::sql_routes(part->warehouse()));
  return part;
}

}  // namespace strata::app
