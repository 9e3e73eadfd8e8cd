#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/signing/signing.hpp"

namespace strata::app {

// Brings the schema of signatures up and adds their routes to `rest`. Blocks. The answer outlives
// every part that asks it.
Result<std::unique_ptr<platform::signing::Signatures>> make_signatures(
    Core& core, doors::rest::RestDoor& rest, platform::models::Models& models);

}  // namespace strata::app
