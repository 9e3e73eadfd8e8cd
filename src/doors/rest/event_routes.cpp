#include "doors/rest/event_routes.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/rest/rest.hpp"
#include "runtime/loop.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Event;
using kernel::EventBus;
using kernel::Identity;
using kernel::Permission;

namespace {

// Proxies and clients give up on a silent connection after a minute or so.
constexpr std::chrono::seconds kHeartbeat{10};
// A notification that comes between the look and the wait is missed: this is how late it may be.
constexpr std::chrono::milliseconds kLook{1000};
// Many commits in a moment become one piece.
constexpr std::chrono::milliseconds kGather{50};

Json event_json(const Event& event) {
  return Json::object({{"sequence", event.sequence},
                       {"time", to_rfc3339(event.time)},
                       {"type", event.type},
                       {"subject", event.subject},
                       {"data", event.data}});
}

class EventStream final : public ByteSource {
 public:
  EventStream(EventBus& events, const Identity& identity, const Clock& clock,
              const std::atomic<bool>& draining, kernel::Caller caller, std::int64_t cursor)
      : events_(events),
        identity_(identity),
        clock_(clock),
        draining_(draining),
        caller_(std::move(caller)),
        cursor_(cursor) {}

  Task<Result<std::string_view>> next() override {
    if (!begun_) {
      begun_ = true;
      spoke_ = clock_.steady();
      // The id alone: whoever is cut off before the first event resumes from here.
      piece_ = fmt::format("retry: 1000\nid: {}\n\n", cursor_);
      co_return std::string_view(piece_);
    }
    while (!draining_.load() && renew()) {
      const std::uint64_t generation = events_.generation();
      if (generation != seen_) {
        auto page = co_await events_.visible_since(caller_, cursor_);
        if (!page) co_return std::move(page).error();
        // What happened after a revocation may be in a page that was asked for before it.
        const auto permissions = caller_.permissions;
        if (!renew()) break;
        if (caller_.permissions != permissions) continue;
        if (!page->more) seen_ = generation;
        piece_ = text_of(*page);
        cursor_ = page->cursor;
        spoke_ = piece_.empty() ? spoke_ : clock_.steady();
        if (!piece_.empty()) co_return std::string_view(piece_);
        continue;
      }
      if (clock_.steady() - spoke_ >= kHeartbeat) {
        spoke_ = clock_.steady();
        piece_ = fmt::format(": heartbeat\nid: {}\n\n", cursor_);
        co_return std::string_view(piece_);
      }
      if (cancelled_) co_return Error(Code::kCancelled, "nobody listens any more");
      co_await events_.changed().wait(kLook);
      if (events_.generation() != seen_) co_await Loop::current()->sleep(kGather);
    }
    co_return std::string_view();
  }

  void cancel() override { cancelled_ = true; }

 private:
  // Whether the caller still is one. A whole end and no error where it is not: the client's next
  // attempt is told why.
  bool renew() {
    auto caller = identity_.renewed(caller_);
    if (!caller) return false;
    caller_ = *std::move(caller);
    return true;
  }

  static std::string text_of(const kernel::EventPage& page) {
    std::string text;
    if (page.gap) text += fmt::format("event: gap\nid: {}\ndata: {{}}\n\n", page.cursor);
    for (const Event& event : page.events)
      text += fmt::format("id: {}\ndata: {}\n\n", event.sequence, event_json(event).dump());
    return text;
  }

  EventBus& events_;
  const Identity& identity_;
  const Clock& clock_;
  const std::atomic<bool>& draining_;
  kernel::Caller caller_;
  std::int64_t cursor_;
  std::uint64_t seen_ = ~std::uint64_t{0};  // nothing was looked at yet
  std::chrono::steady_clock::time_point spoke_;
  std::string piece_;
  bool begun_ = false, cancelled_ = false;
};

// Where to begin: behind the event that the client saw last, or at what is newest now.
Task<Result<std::int64_t>> cursor_of(const http::Request& request, EventBus& events) {
  const auto last = request.headers.find("Last-Event-ID");
  if (!last) co_return co_await events.newest();
  const auto sequence = to_int(*last);
  if (sequence && *sequence >= 0) co_return *sequence;
  co_return invalid("Last-Event-ID",
                    fmt::format("Last-Event-ID: '{}' is no id of an event", last->substr(0, 40)));
}

Task<Response> stream(const Authorized& call, EventBus& events, const Identity& identity,
                      const Clock& clock, const std::atomic<bool>& draining) {
  const auto cursor = co_await cursor_of(call.request(), events);
  if (!cursor) co_return error_response(cursor.error(), call.request());
  auto source =
      std::make_unique<EventStream>(events, identity, clock, draining, call.caller(), *cursor);
  Response response = Response::stream(std::move(source), "text/event-stream");
  response.headers.set("Cache-Control", "no-store");
  co_return response;
}

struct Part {
  std::string ref;
  std::int64_t before = 0;
  int limit = 0;
};

// Which thing is asked about, and which part of its past.
Result<Part> part_of(const http::Request& request, std::string_view name) {
  const std::string ref(request.query_value(name).value_or(""));
  if (ref.find(':') == std::string::npos) {
    return invalid(std::string(name),
                   fmt::format("{}: name the thing as kind:name, for example model:flights", name));
  }
  const auto before = query_integer(request, "before", 0, 0, INT64_MAX);
  if (!before) return before.error();
  const auto limit = query_integer(request, "limit", 50, 1, 500);
  if (!limit) return limit.error();
  return Part{ref, *before, static_cast<int>(*limit)};
}

Task<Response> timeline(const Authorized& call, kernel::Audit& audit) {
  const auto part = part_of(call.request(), "ref");
  if (!part) co_return error_response(part.error(), call.request());
  const auto entries = co_await audit.timeline(call.caller(), part->ref, part->before, part->limit);
  if (!entries) co_return error_response(entries.error(), call.request());
  co_return Response::json(Json::object({{"entries", entries_json(*entries)}}));
}

Task<Response> list_events(const Authorized& call, EventBus& events) {
  const auto part = part_of(call.request(), "subject");
  if (!part) co_return error_response(part.error(), call.request());
  const auto found = co_await events.about(call.caller(), part->ref, part->before, part->limit);
  if (!found) co_return error_response(found.error(), call.request());
  Json list = Json::array();
  for (const Event& event : *found)
    list.push(event_json(event));
  co_return Response::json(Json::object({{"events", std::move(list)}}));
}

}  // namespace

std::vector<Route> event_routes(EventBus& events, kernel::Audit& audit, const Identity& identity,
                                const Clock& clock, const std::atomic<bool>& draining) {
  const auto handle = [&events, &identity, &clock, &draining](const Authorized& call) {
    return stream(call, events, identity, clock, draining);
  };
  constexpr std::string_view kPage =
      "before:integer:only those with a smaller sequence;limit:integer:at most so many, 1 to 500";
  static const std::string timeline_query =
      fmt::format("ref:string:the thing as kind:name, for example model:flights;{}", kPage);
  static const std::string events_query =
      fmt::format("subject:string:the thing as kind:name;{}", kPage);
  return {{Method::kGet,
           "/api/v1/timeline",
           Permission::kSignedIn,
           {},
           [&audit](const Authorized& call) { return timeline(call, audit); },
           {.operation = "getTimeline",
            .summary = "Who changed one thing, and how, newest first",
            .tag = "events",
            .query_parameters = timeline_query}},
          {Method::kGet,
           "/api/v1/events",
           Permission::kSignedIn,
           {},
           [&events](const Authorized& call) { return list_events(call, events); },
           {.operation = "listEvents",
            .summary = "The kept events about one thing, newest first",
            .tag = "events",
            .query_parameters = events_query}},
          {Method::kGet,
           "/api/v1/events/stream",
           Permission::kSignedIn,
           {},
           handle,
           {.operation = "streamEvents",
            .summary = "What changes in the project, as it happens: server-sent events of what the "
                       "caller may read. Last-Event-ID resumes",
            .tag = "events",
            .response_type = "text/event-stream"}}};
}

}  // namespace strata::doors::rest
