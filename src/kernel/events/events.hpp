#pragma once

// The durable, ordered stream of facts between rooms: published in the publisher's transaction,
// read at least once by every consumer. The contract stands at class EventBus below.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"
#include "runtime/signal.hpp"

namespace strata::kernel {

struct Event {
  std::int64_t sequence = 0;
  Instant time;
  std::string type;     // "object.created", "table.committed", "run.finished", "alias.moved", ...
  std::string subject;  // "lake:bucket/key", "model:flights", ...
  ProjectId project;
  Json data;
};

// Facts that other rooms react to. publish() is part of the publisher's transaction, so an event
// exists exactly if its fact does. Consumers keep their own cursor and read forward: each event is
// seen at least once, in order, across restarts.
class EventBus {
 public:
  EventBus(Records& records, const Clock& clock);
  static std::span<const Migration> migrations();

  // Adds an event to the transaction and wakes the consumers once it is durable.
  Status publish(Writer& writer, const ProjectId& project, std::string_view type,
                 std::string_view subject, const Json& data = Json::object());

  // Events after `sequence`, oldest first.
  Task<Result<std::vector<Event>>> since(std::int64_t sequence, int limit = 500);
  Task<Result<std::int64_t>> newest();
  // Notified after every commit that published something.
  Signal& changed() { return changed_; }

 private:
  Records& records_;
  const Clock& clock_;
  Signal changed_;
};

}  // namespace strata::kernel
