#include "app/compose/platform/compose_flags.hpp"

#include <atomic>

#include "base/log.hpp"
#include "doors/experiments/experiment_routes.hpp"
#include "doors/experiments/flag_routes.hpp"
#include "doors/growthbook/growthbook.hpp"
#include "doors/ofrep/ofrep.hpp"

namespace strata::app {

namespace {

using platform::experiments::Experiments;
using platform::experiments::Exposures;
using platform::experiments::Flags;
using platform::experiments::Tracked;
using storage::warehouse::Warehouse;

class FlagsPart final : public Part {
 public:
  FlagsPart(Core& core, WarehousePart& warehouse)
      : flags_({core.records, core.audit, core.events, core.clock, core.random}),
        exposures_(core.records, core.paths.data + "/exposures", core.files, core.clock, core.pool),
        experiments_({core.records, core.audit, core.events, core.clock, flags_,
                      [&warehouse](const kernel::Caller& caller, std::string sql, Json params) {
                        return query(warehouse, caller, std::move(sql), std::move(params));
                      }}),
        growthbook_(flags_, exposures_, core.clock, draining_),
        ofrep_(flags_, exposures_) {}
  Flags& flags() { return flags_; }
  Exposures& exposures() { return exposures_; }
  Experiments& experiments() { return experiments_; }
  std::vector<std::pair<Port, http::Door*>> doors() override {
    return {{Port::kHttp, &growthbook_}, {Port::kHttp, &ofrep_}};
  }
  void drain() override {
    draining_ = true;
    flags_.changed().notify_all();
  }

 private:
  static Task<Result<Json>> query(WarehousePart& part, const kernel::Caller& caller,
                                  std::string sql, Json params) {
    const auto warehouse = co_await part.of(caller);
    if (!warehouse) co_return warehouse.error();
    storage::warehouse::QueryRequest request;
    request.sql = std::move(sql);
    request.params = std::move(params);
    co_return co_await (*warehouse)->query_json(caller, std::move(request));
  }

  Flags flags_;
  Exposures exposures_;
  Experiments experiments_;
  std::atomic<bool> draining_{false};
  doors::growthbook::GrowthBookDoor growthbook_;
  doors::ofrep::OfrepDoor ofrep_;
};

Warehouse::SystemView view_of(Exposures& exposures, const ProjectId& project, Tracked::Kind kind) {
  const bool exposed = kind == Tracked::Kind::kExposure;
  Warehouse::SystemView view;
  view.name = exposed ? "exposures" : "events";
  view.permission = kernel::Permission::kFlagRead;
  view.folder = "exposures/" + project.str();
  view.columns.push_back({"time", "TIMESTAMP WITH TIME ZONE"});
  const std::vector<std::string> texts =
      exposed ? std::vector<std::string>{"experiment", "variation", "attribute",
                                         "unit",       "source",    "attributes"}
              : std::vector<std::string>{"name", "unit", "source", "properties", "attributes"};
  for (const auto& name : texts)
    view.columns.push_back({name, "VARCHAR"});
  view.files = [&exposures, project, kind](bool fresh) {
    auto files = exposures.files(project, kind, fresh);
    if (files) return *std::move(files);
    // As much as there is, rather than nothing.
    log::warn("exposures.files", Json::object({{"error", files.error().to_string()}}));
    return exposures.files(project, kind, false).value_or({});
  };
  return view;
}

}  // namespace

Result<std::unique_ptr<Part>> make_flags_part(Core& core, doors::rest::RestDoor& rest,
                                              WarehousePart& warehouse) {
  STRATA_TRY(core.records.migrate(Flags::migrations()));
  STRATA_TRY(core.records.migrate(Exposures::migrations()));
  STRATA_TRY(core.records.migrate(Experiments::migrations()));
  auto part = std::make_unique<FlagsPart>(core, warehouse);
  STRATA_TRY(part->flags().load());
  STRATA_TRY(part->exposures().open());
  rest.add(doors::experiments::flag_routes(part->flags(), &doors::rest::error_response));
  rest.add(
      doors::experiments::experiment_routes(part->experiments(), &doors::rest::error_response));
  warehouse.offer_views([&exposures = part->exposures()](const ProjectId& project) {
    return std::vector{view_of(exposures, project, Tracked::Kind::kExposure),
                       view_of(exposures, project, Tracked::Kind::kEvent)};
  });
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
