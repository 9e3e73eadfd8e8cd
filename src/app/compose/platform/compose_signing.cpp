#include "app/compose/platform/compose_signing.hpp"

#include "doors/packages/signing_routes.hpp"

namespace strata::app {

using platform::signing::Signatures;

Result<std::unique_ptr<Signatures>> make_signatures(Core& core, doors::rest::RestDoor& rest,
                                                    platform::models::Models& models) {
  STRATA_TRY(core.records.migrate(Signatures::migrations()));
  auto signatures =
      std::make_unique<Signatures>(core.records, core.audit, core.events, models, core.clock);
  rest.add(doors::packages::signing_routes(*signatures, &doors::rest::error_response));
  return signatures;
}

}  // namespace strata::app
