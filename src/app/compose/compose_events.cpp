#include "app/compose/compose_events.hpp"

#include <atomic>

#include "doors/rest/event_routes.hpp"

namespace strata::app {

namespace {

class EventsPart final : public Part {
 public:
  EventsPart(Core& core, doors::rest::RestDoor& rest) : events_(core.events) {
    rest.add(
        doors::rest::event_routes(core.events, core.audit, core.identity, core.clock, draining_));
  }
  void drain() override {
    draining_ = true;
    events_.changed().notify_all();
  }

 private:
  kernel::EventBus& events_;
  std::atomic<bool> draining_{false};
};

}  // namespace

std::unique_ptr<Part> make_events_part(Core& core, doors::rest::RestDoor& rest) {
  return std::make_unique<EventsPart>(core, rest);
}

}  // namespace strata::app
