#include "kernel/audit/audit.hpp"

namespace strata::kernel {

namespace {
constexpr Migration kMigrations[] = {{"audit", 1,
                                      "CREATE TABLE audit (sequence INTEGER PRIMARY KEY, time "
                                      "INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,"
                                      " target TEXT NOT NULL, detail TEXT NOT NULL);"
                                      "CREATE INDEX audit_by_target ON audit (target, sequence);"},
                                     // Entries from before name no project: there was only one.
                                     {"audit", 2,
                                      "ALTER TABLE audit ADD COLUMN project TEXT NOT NULL "
                                      "DEFAULT '';"}};

Result<std::vector<AuditEntry>> entries_of(const Rows& rows) {
  std::vector<AuditEntry> entries;
  for (const auto& row : rows) {
    auto detail = parse_json(row.text(6));
    if (!detail) return std::move(detail).error();
    entries.push_back({row.integer(0), Instant{row.integer(1)}, row.text(2), row.text(3),
                       row.text(4), row.text(5), *std::move(detail)});
  }
  return entries;
}

std::int64_t or_newest(std::int64_t before) {
  return before > 0 ? before : std::numeric_limits<std::int64_t>::max();
}
}  // namespace

Audit::Audit(Records& records, const Clock& clock) : records_(records), clock_(clock) {}

std::span<const Migration> Audit::migrations() {
  return kMigrations;
}

Status Audit::record(Writer& writer, const Caller& by, std::string_view action,
                     std::string_view target, const Json& detail) {
  const auto done = writer.execute(
      "INSERT INTO audit (time, project, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?)",
      {clock_.now().micros, by.project.str(), by.user_name, action, target, detail.dump()});
  if (!done) return done.error();
  return {};
}

Task<Result<std::vector<AuditEntry>>> Audit::list(const Filter& filter) {
  const auto query = [&](Reader& r) -> Result<std::vector<AuditEntry>> {
    const auto rows = r.query(
        "SELECT sequence, time, project, actor, action, target, detail FROM audit WHERE sequence < "
        "?"
        " AND (? = '' OR project IN (?, '')) AND (? = '' OR actor = ?) AND (? = '' OR action = ?)"
        " AND (? = '' OR substr(target, 1, length(?)) = ?) ORDER BY sequence DESC LIMIT ?",
        {or_newest(filter.before), filter.project, filter.project, filter.actor, filter.actor,
         filter.action, filter.action, filter.target, filter.target, filter.target, filter.limit});
    if (!rows) return rows.error();
    return entries_of(*rows);
  };
  co_return co_await records_.read(query);
}

Task<Result<std::vector<AuditEntry>>> Audit::timeline(const Caller& caller, std::string ref,
                                                      std::int64_t before, int limit) {
  if (!caller.may(permission_to_read(ref))) {
    co_return lacks_permission(caller, permission_to_read(ref));
  }
  // Versions stand behind '@'; the character after it bounds the range of the index.
  const auto query = [&](Reader& r) -> Result<std::vector<AuditEntry>> {
    const auto rows = r.query(
        "SELECT sequence, time, project, actor, action, target, detail FROM audit"
        " WHERE (target = ? OR (target > ? AND target < ?)) AND project IN (?, '')"
        " AND sequence < ? ORDER BY sequence DESC LIMIT ?",
        {ref, ref + "@", ref + "A", caller.project.str(), or_newest(before), limit});
    if (!rows) return rows.error();
    return entries_of(*rows);
  };
  co_return co_await records_.read(query);
}

}  // namespace strata::kernel
