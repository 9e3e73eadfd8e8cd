#include "app/compose/compose_tracking.hpp"

#include "doors/governance/protection_routes.hpp"
#include "doors/rest/model_routes.hpp"

namespace strata::app {

using platform::models::Models;
using platform::tracking::Tracking;

TrackingPart::TrackingPart(Core& core, storage::lake::Lake& lake)
    : artifacts_(lake),
      tracking_(core.records, core.audit, core.events, core.lineage, artifacts_, core.clock,
                core.random),
      models_(core.records, core.identity, core.audit, core.events, core.lineage, tracking_,
              core.clock),
      door_(doors::mlflow::Services{tracking_, models_}) {
  // The files of registered models are objects that every door of the lake reaches.
  lake.set_guard([](kernel::Reader& reader, const ProjectId& project,
                    const storage::lake::ObjectName& name) -> Status {
    if (name.bucket() != LakeArtifactStore::bucket_of(project)) return {};
    return Tracking::check_thawed(reader, project, name.key());
  });
}

Status TrackingPart::prepare(Core& core) {
  STRATA_TRY(core.records.migrate(Tracking::migrations()));
  return core.records.migrate(Models::migrations());
}

Result<std::unique_ptr<TrackingPart>> make_tracking_part(Core& core, doors::rest::RestDoor& rest,
                                                         storage::lake::Lake& lake) {
  auto part = std::make_unique<TrackingPart>(core, lake);
  STRATA_TRY(part->prepare(core));
  rest.add(doors::rest::model_routes(part->models(), part->tracking()));
  rest.add(doors::governance::protection_routes(part->models(), &doors::rest::error_response));
  return part;
}

}  // namespace strata::app
