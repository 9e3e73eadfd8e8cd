#pragma once

// The durable, ordered stream of facts between rooms: published in the publisher's transaction,
// read at least once by every consumer. The contract stands at class EventBus below.

#include <atomic>
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

// A caller's view of the stream from some point on.
struct EventPage {
  std::vector<Event> events;  // oldest first
  std::int64_t cursor = 0;    // where to go on; may lie beyond the last event
  bool more = false;          // the limit ended the page
  bool gap = false;           // what followed `sequence` is no longer kept, or never was
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
  // The events after `sequence` of the caller's project, of kinds that it may read. Looks at no
  // more than `limit` events of the project, so a page may be empty while its cursor moves on.
  Task<Result<EventPage>> visible_since(const Caller& caller, std::int64_t sequence,
                                        int limit = 500);
  // The kept events about one subject in the caller's project, newest first; `before` > 0 only
  // those with a smaller sequence. Errors: kPermissionDenied when the caller may not read about it.
  Task<Result<std::vector<Event>>> about(const Caller& caller, std::string subject,
                                         std::int64_t before, int limit);
  // Changes with every commit that published something: who saw the same value twice missed
  // nothing in between.
  std::uint64_t generation() const { return generation_.load(); }
  // Waits until the generation is another than `seen`, or for `limit`; then a moment longer, so
  // that many commits close together are one look for whoever follows them. The generation to see
  // next: ask for it, then read. Must be awaited on a loop.
  Task<std::uint64_t> next_change(std::uint64_t seen, std::chrono::microseconds limit);
  // Notified after every commit that published something.
  Signal& changed() { return changed_; }

 private:
  Records& records_;
  const Clock& clock_;
  Signal changed_;
  std::atomic<std::uint64_t> generation_{0};
};

}  // namespace strata::kernel
