#include "app/compose/platform/compose_release.hpp"

#include "doors/releases/release_routes.hpp"
#include "platform/release/release.hpp"

namespace strata::app {

namespace {

using platform::release::Releases;

class ReleasePart final : public Part {
 public:
  ReleasePart(Core& core, Releases::Ports ports) : core_(core), releases_(std::move(ports)) {}
  Releases& releases() { return releases_; }
  Status start() override { return releases_.start(); }
  void stop() override {
    core_.scope.request_stop();
    releases_.stop();  // wakes what drives them, which then sees that it shall end
  }

 private:
  Core& core_;
  Releases releases_;
};

}  // namespace

Result<std::unique_ptr<Part>> make_release_part(Core& core, doors::rest::RestDoor& rest,
                                                platform::models::Models& models,
                                                platform::deployment::Endpoints& endpoints,
                                                platform::verdicts::Verdicts& verdicts,
                                                WarehousePart& warehouses) {
  STRATA_TRY(core.records.migrate(Releases::migrations()));
  const auto warehouse = [&warehouses](const kernel::Caller& caller) {
    return warehouses.of(caller);
  };
  Releases::Ports ports{core.records, core.identity, core.audit, core.events, core.clock,
                        core.random,  core.files,    core.loops, core.scope,  models,
                        endpoints,    verdicts,      warehouse};
  auto part = std::make_unique<ReleasePart>(core, std::move(ports));
  rest.add(doors::releases::release_routes(part->releases(), &doors::rest::error_response));
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
