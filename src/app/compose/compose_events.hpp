#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"

namespace strata::app {

// Shows the event bus to clients; ends their streams when the server begins to stop.
std::unique_ptr<Part> make_events_part(Core& core, doors::rest::RestDoor& rest);

}  // namespace strata::app
