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
                                      "DEFAULT '';"},
                                     // Entries up to `unsealed` get their hashes from seal().
                                     {"audit", 3,
                                      "ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';"
                                      "CREATE TABLE audit_chain (unsealed INTEGER NOT NULL);"
                                      "INSERT INTO audit_chain SELECT COALESCE(MAX(sequence), 0) "
                                      "FROM audit;"}};

constexpr std::int64_t kChainedSince = 3;

Result<ChainHead> head_of(Reader& reader) {
  const auto row = reader.first("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1");
  if (!row) return row.error();
  if (!*row) return ChainHead();
  return ChainHead{(*row)->integer(0), (*row)->text(1)};
}

Status append(Writer& writer, ChainEntry entry) {
  const auto head = head_of(writer);
  if (!head) return head.error();
  entry.sequence = head->sequence + 1;
  entry.hash = chain_hash(head->hash, entry);
  const auto done = writer.execute(
      "INSERT INTO audit (sequence, time, project, actor, action, target, detail, hash) VALUES (?, "
      "?, ?, ?, ?, ?, ?, ?)",
      {entry.sequence, entry.time_us, entry.project, entry.actor, entry.action, entry.target,
       entry.detail, entry.hash});
  if (!done) return done.error();
  return {};
}

// Hashes what stands there as it stands. Numbers of old logs have no gaps, but an old log that has
// one keeps it, and verifying tells it.
Status seal_old(Writer& writer, std::int64_t through) {
  constexpr std::int64_t kAtOnce = 1000;
  std::string previous = ChainHead().hash;
  for (std::int64_t done = 0; done < through;) {
    const auto rows = writer.query(
        "SELECT sequence, time, project, actor, action, target, detail FROM audit WHERE sequence > "
        "? ORDER BY sequence LIMIT ?",
        {done, kAtOnce});
    if (!rows) return rows.error();
    if (rows->empty()) return {};
    for (const auto& row : *rows) {
      const ChainEntry entry{row.integer(0), row.integer(1), row.text(2), row.text(3),
                             row.text(4),    row.text(5),    row.text(6), ""};
      previous = chain_hash(previous, entry);
      STRATA_TRY(writer.execute("UPDATE audit SET hash = ? WHERE sequence = ?",
                                {previous, entry.sequence}));
      done = entry.sequence;
    }
  }
  return {};
}

Result<std::vector<AuditEntry>> entries_of(const Rows& rows) {
  std::vector<AuditEntry> entries;
  for (const auto& row : rows) {
    auto detail = parse_json(row.text(6));
    if (!detail) return std::move(detail).error();
    entries.push_back({row.integer(0), Instant{row.integer(1)}, row.text(2), row.text(3),
                       row.text(4), row.text(5), *std::move(detail), row.text(7)});
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
  return append(writer, {0, clock_.now().micros, by.project.str(), by.user_name,
                         std::string(action), std::string(target), detail.dump(), ""});
}

Status Audit::seal() {
  const auto seal_all = [&](Writer& writer) -> Status {
    const auto row = writer.first("SELECT MAX(unsealed) FROM audit_chain");
    if (!row) return row.error();
    const std::int64_t unsealed = *row ? (*row)->integer(0) : 0;
    if (unsealed == 0) return {};
    STRATA_TRY(seal_old(writer, unsealed));
    STRATA_TRY(writer.execute("UPDATE audit_chain SET unsealed = 0"));
    const Json detail = Json::object({{"through", unsealed}});
    return append(writer, {0, clock_.now().micros, "", "system", "audit.seal", "audit:log",
                           detail.dump(), ""});
  };
  return records_.write_blocking(seal_all);
}

Task<Result<ChainHead>> Audit::head() {
  co_return co_await records_.read(&head_of);
}

Task<Result<ChainReport>> Audit::verify(std::optional<ChainHead> kept) {
  ChainCheck check(std::move(kept));
  const auto look = [&](Reader& reader) {
    return check.step(reader);
  };
  while (true) {
    const auto more = co_await records_.read(look);
    if (!more) co_return more.error();
    if (!*more) co_return check.report();
  }
}

Result<std::optional<ChainReport>> Audit::verify_unused(Records& records,
                                                        std::optional<ChainHead> kept) {
  const auto begun = [](Reader& reader) -> Result<bool> {
    const auto version =
        reader.first("SELECT COALESCE(MAX(version), 0) FROM schema_journal WHERE room = 'audit'");
    if (!version) return version.error();
    if ((*version)->integer(0) < kChainedSince) return false;
    const auto unsealed = reader.first("SELECT MAX(unsealed) FROM audit_chain");
    if (!unsealed) return unsealed.error();
    return *unsealed && (*unsealed)->integer(0) == 0;
  };
  const auto has_chain = records.read_blocking(begun);
  if (!has_chain) return has_chain.error();
  if (!*has_chain) return std::optional<ChainReport>();
  ChainCheck check(std::move(kept));
  while (true) {
    const auto more = records.read_blocking([&](Reader& reader) { return check.step(reader); });
    if (!more) return more.error();
    if (!*more) return std::optional(check.report());
  }
}

Task<Result<std::vector<AuditEntry>>> Audit::list(const Filter& filter) {
  const auto query = [&](Reader& r) -> Result<std::vector<AuditEntry>> {
    const auto rows = r.query(
        "SELECT sequence, time, project, actor, action, target, detail, hash FROM audit WHERE "
        "sequence < ?"
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
        "SELECT sequence, time, project, actor, action, target, detail, hash FROM audit"
        " WHERE (target = ? OR (target > ? AND target < ?)) AND project IN (?, '')"
        " AND sequence < ? ORDER BY sequence DESC LIMIT ?",
        {ref, ref + "@", ref + "A", caller.project.str(), or_newest(before), limit});
    if (!rows) return rows.error();
    return entries_of(*rows);
  };
  co_return co_await records_.read(query);
}

}  // namespace strata::kernel
