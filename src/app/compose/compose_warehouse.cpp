#include "app/compose/compose_warehouse.hpp"

#include <thread>

#include <unistd.h>

#include "base/log.hpp"
#include "doors/rest/sql_routes.hpp"
#include "storage/compute/compute.hpp"

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

// The default project's files lie where they did before there were others.
std::string folder_of(const ProjectId& project) {
  return project.str() == "default" ? "warehouse" : "projects/" + project.str() + "/warehouse";
}

EngineHostOptions engine_options(const Core& core, const ProjectId& project) {
  EngineHostOptions options;
  options.command = {core.paths.executable, "warehouse", "--lib",
                     core.paths.libraries + "/libduckdb.so"};
  options.data = core.paths.data;
  options.folder = folder_of(project);
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
      cost_(std::move(cost)) {}

Warehouse::SystemView WarehousePart::predictions_of(const ProjectId& project) {
  Warehouse::SystemView view;
  view.name = "predictions";
  view.permission = kernel::Permission::kEndpointRead;
  view.folder = "predictions/" + project.str();
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
                                                        {"status", "VARCHAR"},
                                                        {"route", "VARCHAR"}}) {
    view.columns.push_back({name, type});
  }
  view.files = [log = predictions_, project](bool fresh) {
    // What was answered before the query is in it. A log that cannot be written shows what it has.
    const Status flushed = fresh ? log->flush() : Status();
    if (!flushed) {
      strata::log::warn("warehouse.predictions",
                        Json::object({{"error", flushed.error().message}}));
    }
    return log->files(project.str());
  };
  return view;
}

// Blocks on the records when it is the first call for the project.
Result<Warehouse*> WarehousePart::find_or_open(const ProjectId& project) {
  const std::lock_guard opening(opening_);
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return Error(Code::kUnavailable, "the server is stopping");
    if (const auto at = by_project_.find(project); at != by_project_.end()) return at->second.get();
  }
  kernel::Caller system = core_.identity.system_caller();
  system.project = project;
  auto opened = std::make_unique<Warehouse>(
      Warehouse::Ports{core_.records, core_.audit, core_.events, core_.lineage, objects_,
                       core_.pool, core_.scope, core_.loops, core_.clock, core_.random,
                       std::move(system), cost_},
      engine_options(core_, project));
  if (predictions_ != nullptr) opened->add_system_view(predictions_of(project));
  for (const auto& views : more_views_) {
    for (auto& view : views(project))
      opened->add_system_view(std::move(view));
  }
  STRATA_TRY(opened->start());
  const std::lock_guard lock(mutex_);
  return by_project_.emplace(project, std::move(opened)).first->second.get();
}

Task<Result<Warehouse*>> WarehousePart::of(const kernel::Caller& caller) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = by_project_.find(caller.project); at != by_project_.end())
      co_return at->second.get();
  }
  const auto open = [this, project = caller.project] {
    return find_or_open(project);
  };
  co_return co_await core_.pool.run(open);
}

Status WarehousePart::start() {
  if (storage::compute::landlock_version() == 0) {
    log::warn("warehouse.unconfined",
              Json::object({{"why", "this kernel has no Landlock, or it is switched off"},
                            {"then",
                             "only the SQL engine's own settings keep statements to their "
                             "files"}}));
  }
  for (const auto& project : core_.identity.projects()) {
    const auto opened = find_or_open(ProjectId(project.name));
    if (!opened) return opened.error();
  }
  return {};
}

std::vector<Warehouse*> WarehousePart::open_ones() {
  const std::lock_guard lock(mutex_);
  std::vector<Warehouse*> all;
  for (const auto& [project, warehouse] : by_project_)
    all.push_back(warehouse.get());
  return all;
}

void WarehousePart::release() {
  for (auto* warehouse : open_ones())
    warehouse->release();
}

void WarehousePart::drain() {
  for (auto* warehouse : open_ones())
    warehouse->drain();
}

void WarehousePart::stop() {
  {
    const std::lock_guard opening(opening_);
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  for (auto* warehouse : open_ones())
    warehouse->stop();
}

Result<std::unique_ptr<WarehousePart>> make_warehouse_part(
    Core& core, doors::rest::RestDoor& rest, storage::lake::Lake& lake,
    std::function<double(std::chrono::microseconds)> cost) {
  STRATA_TRY(core.records.migrate(Warehouse::migrations()));
  auto part = std::make_unique<WarehousePart>(core, lake, std::move(cost));
  auto* const warehouses = part.get();
  const auto find = [warehouses](const kernel::Caller& caller) {
    return warehouses->of(caller);
  };
  const auto release = [warehouses] {
    warehouses->release();
    return Status();
  };
  rest.add(doors::rest::sql_routes(find, core.pool, release));
  return part;
}

}  // namespace strata::app
