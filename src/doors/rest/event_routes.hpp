#pragma once

#include <atomic>
#include <vector>

#include "doors/http/http.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "runtime/clock.hpp"

namespace strata::doors::rest {

// /api/v1/timeline and /api/v1/events: what happened to one thing, by the audit log and by events.
// /api/v1/events/stream: the event bus as server-sent events (WHATWG HTML, 9.2). A stream holds one
// page of events at most; what a slow client has not taken yet waits in the records. Streams end
// once `draining` is set and the bus was notified, and within a second once `identity` would refuse
// the caller; a caller that may read less than before sees less from then on.
std::vector<http::Route> event_routes(kernel::EventBus& events, kernel::Audit& audit,
                                      const kernel::Identity& identity, const Clock& clock,
                                      const std::atomic<bool>& draining);

}  // namespace strata::doors::rest
