#include "app/compose/compose_lake.hpp"

#include "doors/rest/lake_routes.hpp"

namespace strata::app {

using storage::lake::Lake;

LakePart::LakePart(Core& core)
    : core_(core),
      blobs_(core.files, core.random, core.pool, core.paths.data + "/lake"),
      lake_(Lake::Ports{core.records, blobs_, core.pool, core.audit, core.events, core.lineage,
                        core.clock, core.random}),
      door_(lake_) {}

Status LakePart::prepare() {
  STRATA_TRY(core_.records.migrate(Lake::migrations()));
  return blobs_.start();
}

Status LakePart::start() {
  core_.scope.spawn(core_.loops.next(), lake_.keep_tidy(core_.scope.token()));
  return {};
}

Result<std::unique_ptr<LakePart>> make_lake_part(Core& core, doors::rest::RestDoor& rest) {
  auto part = std::make_unique<LakePart>(core);
  STRATA_TRY(part->prepare());
  rest.add(doors::rest::lake_routes(part->lake()));
  return part;
}

}  // namespace strata::app
