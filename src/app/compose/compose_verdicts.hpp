#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/models/models.hpp"
#include "platform/tracking/tracking.hpp"
#include "resources/workflow/workflow.hpp"
#include "storage/lake/lake.hpp"

namespace strata::app {

// The five questions about models, with their route. Blocks on the records.
Result<std::unique_ptr<Part>> make_verdicts_part(Core& core, doors::rest::RestDoor& rest,
                                                 storage::lake::Lake& lake,
                                                 resources::workflow::Workflows& flows,
                                                 platform::tracking::Tracking& tracking,
                                                 platform::models::Models& models,
                                                 platform::deployment::Endpoints& endpoints);

}  // namespace strata::app
