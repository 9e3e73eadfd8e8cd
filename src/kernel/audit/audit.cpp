#include "kernel/audit/audit.hpp"

namespace strata::kernel {

namespace {
constexpr Migration kMigrations[] = {{"audit", 1,
                                      "CREATE TABLE audit (sequence INTEGER PRIMARY KEY, time "
                                      "INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,"
                                      " target TEXT NOT NULL, detail TEXT NOT NULL);"
                                      "CREATE INDEX audit_by_target ON audit (target, sequence);"}};
}

Audit::Audit(Records& records, const Clock& clock) : records_(records), clock_(clock) {}

std::span<const Migration> Audit::migrations() {
  return kMigrations;
}

Status Audit::record(Writer& writer, const Caller& by, std::string_view action,
                     std::string_view target, const Json& detail) {
  const auto done = writer.execute(
      "INSERT INTO audit (time, actor, action, target, detail) VALUES (?, ?, ?, ?, ?)",
      {clock_.now().micros, by.user_name, action, target, detail.dump()});
  if (!done) return done.error();
  return {};
}

Task<Result<std::vector<AuditEntry>>> Audit::list(const Filter& filter) {
  const auto query = [&](Reader& r) -> Result<std::vector<AuditEntry>> {
    const std::int64_t before =
        filter.before > 0 ? filter.before : std::numeric_limits<std::int64_t>::max();
    const auto rows = r.query(
        "SELECT sequence, time, actor, action, target, detail FROM audit WHERE sequence < ?"
        " AND (? = '' OR actor = ?) AND (? = '' OR action = ?)"
        " AND (? = '' OR substr(target, 1, length(?)) = ?) ORDER BY sequence DESC LIMIT ?",
        {before, filter.actor, filter.actor, filter.action, filter.action, filter.target,
         filter.target, filter.target, filter.limit});
    if (!rows) return rows.error();
    std::vector<AuditEntry> entries;
    for (const auto& row : *rows) {
      auto detail = parse_json(row.text(5));
      if (!detail) return detail.error();
      entries.push_back({row.integer(0), Instant{row.integer(1)}, row.text(2), row.text(3),
                         row.text(4), *detail});
    }
    return entries;
  };
  co_return co_await records_.read(query);
}

}  // namespace strata::kernel
