#include "kernel/events/events.hpp"

namespace strata::kernel {

namespace {
constexpr Migration kMigrations[] = {
    {"events", 1,
     "CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, "
     "project TEXT NOT NULL,"
     " type TEXT NOT NULL, subject TEXT NOT NULL, data TEXT NOT NULL);"}};

// Consumers read within seconds; what is this far behind the newest is kept for nobody.
constexpr std::int64_t kKeep = 100'000;
constexpr std::int64_t kPruneEvery = 1'000;

Result<std::vector<Event>> events_of(const Rows& rows) {
  std::vector<Event> events;
  for (const auto& row : rows) {
    auto data = parse_json(row.text(5));
    if (!data) return std::move(data).error();
    events.push_back({row.integer(0), Instant{row.integer(1)}, row.text(3), row.text(4),
                      ProjectId(row.text(2)), *std::move(data)});
  }
  return events;
}
constexpr std::chrono::milliseconds kGather{10};
}  // namespace

EventBus::EventBus(Records& records, const Clock& clock) : records_(records), clock_(clock) {}

std::span<const Migration> EventBus::migrations() {
  return kMigrations;
}

Status EventBus::publish(Writer& writer, const ProjectId& project, std::string_view type,
                         std::string_view subject, const Json& data) {
  const auto done = writer.query(
      "INSERT INTO events (time, project, type, subject, data) VALUES (?, ?, ?, ?, ?)"
      " RETURNING sequence",
      {clock_.now().micros, project.str(), type, subject, data.dump()});
  if (!done) return done.error();
  const std::int64_t sequence = done->front().integer(0);
  if (sequence % kPruneEvery == 0) {
    const auto pruned =
        writer.execute("DELETE FROM events WHERE sequence <= ?", {sequence - kKeep});
    if (!pruned) return pruned.error();
  }
  writer.after_commit([this] {
    ++generation_;
    changed_.notify_all();
  });
  return {};
}

Task<std::uint64_t> EventBus::next_change(std::uint64_t seen, std::chrono::microseconds limit) {
  if (generation() == seen) co_await changed_.wait(limit);
  if (generation() != seen) co_await Loop::current()->sleep(kGather);
  co_return generation();
}

Task<Result<std::vector<Event>>> EventBus::since(std::int64_t sequence, int limit) {
  const auto query = [&](Reader& r) -> Result<std::vector<Event>> {
    const auto rows = r.query(
        "SELECT sequence, time, project, type, subject, data FROM events WHERE sequence > ?"
        " ORDER BY sequence LIMIT ?",
        {sequence, limit});
    if (!rows) return rows.error();
    return events_of(*rows);
  };
  co_return co_await records_.read(query);
}

Task<Result<EventPage>> EventBus::visible_since(const Caller& caller, std::int64_t sequence,
                                                int limit) {
  const auto query = [&](Reader& r) -> Result<EventPage> {
    const auto ends =
        r.first("SELECT COALESCE(MIN(sequence), 1), COALESCE(MAX(sequence), 0) FROM events");
    if (!ends) return ends.error();
    const std::int64_t oldest = (*ends)->integer(0);
    const std::int64_t newest = (*ends)->integer(1);
    EventPage page;
    page.gap = sequence + 1 < oldest || sequence > newest;
    const std::int64_t from = sequence > newest ? newest : sequence;
    const auto rows = r.query(
        "SELECT sequence, time, project, type, subject, data FROM events WHERE sequence > ?"
        " AND project = ? ORDER BY sequence LIMIT ?",
        {from, caller.project.str(), limit});
    if (!rows) return rows.error();
    auto events = events_of(*rows);
    if (!events) return std::move(events).error();
    page.more = events->size() == static_cast<std::size_t>(limit);
    page.cursor = page.more ? events->back().sequence : newest;
    for (Event& event : *events) {
      if (caller.may(permission_to_read(event.subject))) page.events.push_back(std::move(event));
    }
    return page;
  };
  co_return co_await records_.read(query);
}

Task<Result<std::vector<Event>>> EventBus::about(const Caller& caller, std::string subject,
                                                 std::int64_t before, int limit) {
  if (!caller.may(permission_to_read(subject))) {
    co_return lacks_permission(caller, permission_to_read(subject));
  }
  // No index: a put would pay for it each time, and the kept events are read in milliseconds.
  const auto query = [&](Reader& r) -> Result<std::vector<Event>> {
    const auto rows = r.query(
        "SELECT sequence, time, project, type, subject, data FROM events WHERE subject = ?"
        " AND project = ? AND (? = 0 OR sequence < ?) ORDER BY sequence DESC LIMIT ?",
        {subject, caller.project.str(), before, before, limit});
    if (!rows) return rows.error();
    return events_of(*rows);
  };
  co_return co_await records_.read(query);
}

Task<Result<std::int64_t>> EventBus::newest() {
  const auto query = [](Reader& r) -> Result<std::int64_t> {
    const auto row = r.first("SELECT COALESCE(MAX(sequence), 0) FROM events");
    if (!row) return row.error();
    return (*row)->integer(0);
  };
  co_return co_await records_.read(query);
}

}  // namespace strata::kernel
