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
  writer.after_commit([this] { changed_.notify_all(); });
  return {};
}

Task<Result<std::vector<Event>>> EventBus::since(std::int64_t sequence, int limit) {
  const auto query = [&](Reader& r) -> Result<std::vector<Event>> {
    const auto rows = r.query(
        "SELECT sequence, time, project, type, subject, data FROM events WHERE sequence > ?"
        " ORDER BY sequence LIMIT ?",
        {sequence, limit});
    if (!rows) return rows.error();
    std::vector<Event> events;
    for (const auto& row : *rows) {
      auto data = parse_json(row.text(5));
      if (!data) return data.error();
      events.push_back({row.integer(0), Instant{row.integer(1)}, row.text(3), row.text(4),
                        ProjectId(row.text(2)), *data});
    }
    return events;
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
