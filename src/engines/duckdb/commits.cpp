#include "engines/duckdb/commits.hpp"

#include "base/text.hpp"
#include "engines/duckdb/engine.hpp"
#include "runtime/message_socket.hpp"

namespace strata::engines::duckdb {

namespace {

using wire::sql_engine::CommitRecord;

// Users cannot name it: storage/warehouse/sql_text refuses that.
constexpr std::string_view kTable = "warehouse.strata.strata_commits";
constexpr std::string_view kRecords = "warehouse.strata.strata_commit_records";

// One that no message could carry would keep the engine from ever starting again.
constexpr std::size_t kMaxRecord = MessageSocket::kMaxPayload / 2;

}  // namespace

Status Commits::open(const Ask& ask) {
  auto made = ask(fmt::format(
      "CREATE TABLE IF NOT EXISTS {} (schema_name VARCHAR, table_name VARCHAR, version BIGINT)",
      kTable));
  if (!made) return std::move(made).error();
  made =
      ask(fmt::format("CREATE TABLE IF NOT EXISTS {} (query VARCHAR, record VARCHAR)", kRecords));
  if (!made) return std::move(made).error();
  auto rows =
      ask(fmt::format("SELECT schema_name, table_name, max(version) FROM {} GROUP BY ALL", kTable));
  if (!rows) return std::move(rows).error();
  const std::lock_guard lock(mutex_);
  for (const auto& row : *rows)
    versions_[{row[0], row[1]}] = to_int(row[2]).value_or(0);
  return {};
}

Status Commits::raise(const Ask& ask, const std::vector<wire::sql_engine::TableVersion>& known) {
  const std::lock_guard lock(mutex_);
  std::map<Name, std::int64_t> raised;
  for (const auto& [schema, name, version] : known) {
    auto& mine = versions_[{schema, name}];
    if (version > mine) raised[{schema, name}] = mine = version;
  }
  return write(ask, raised);
}

void Commits::number(std::vector<wire::sql_engine::TableFacts>& catalog) const {
  const std::lock_guard lock(mutex_);
  for (auto& table : catalog) {
    const auto found = versions_.find({table.schema, table.name});
    if (found != versions_.end()) table.version = found->second;
  }
}

Status Commits::find_read(const Ask& ask, Effects& effects) const {
  std::map<Name, std::int64_t> seen;
  for (const auto& effect : effects) {
    for (const auto& read : effect.reads)
      if (read.version == 0) seen[{read.schema, read.name}] = 0;
  }
  if (seen.empty()) return {};
  std::string names;
  for (const auto& [name, version] : seen) {
    names += fmt::format("{}({}, {})", names.empty() ? "" : ", ", quote_text(name.first),
                         quote_text(name.second));
  }
  auto rows =
      ask(fmt::format("SELECT schema_name, table_name, max(version) FROM {} WHERE "
                      "(schema_name, table_name) IN ({}) GROUP BY ALL",
                      kTable, names));
  if (!rows) return std::move(rows).error();
  for (const auto& row : *rows)
    seen[{row[0], row[1]}] = to_int(row[2]).value_or(0);
  for (auto& effect : effects) {
    for (auto& read : effect.reads)
      if (read.version == 0) read.version = seen[{read.schema, read.name}];
  }
  return {};
}

Result<std::vector<std::string>> Commits::unsettled(const Ask& ask) const {
  auto rows = ask(fmt::format("SELECT record FROM {} ORDER BY rowid", kRecords));
  if (!rows) return std::move(rows).error();
  std::vector<std::string> out;
  for (auto& row : *rows)
    out.push_back(std::move(row[0]));
  return out;
}

Status Commits::settle(const Ask& ask, const std::vector<std::string>& queries) const {
  if (queries.empty()) return {};
  std::string names;
  for (const auto& query : queries)
    names += (names.empty() ? "" : ", ") + quote_text(query);
  auto done = ask(fmt::format("DELETE FROM {} WHERE query IN ({})", kRecords, names));
  if (!done) return std::move(done).error();
  done = ask(fmt::format(
      "DELETE FROM {0} WHERE (schema_name, table_name, version) NOT IN (SELECT (schema_name, "
      "table_name, max(version)) FROM {0} GROUP BY schema_name, table_name)",
      kTable));
  if (!done) return std::move(done).error();
  return {};
}

Status Commits::settle_all(const Ask& ask) const {
  auto done = ask(fmt::format("DELETE FROM {}", kRecords));
  if (!done) return std::move(done).error();
  return {};
}

Status Commits::commit(const Ask& ask, CommitRecord& record,
                       const std::function<Status()>& commit) {
  const std::lock_guard lock(mutex_);
  std::map<Name, std::int64_t> made;
  const auto settle = [&](const std::string& schema, const std::string& name, std::int64_t& at) {
    if (at >= 0) return;
    const auto found = versions_.find({schema, name});
    at = (found == versions_.end() ? 0 : found->second) - 1 - at;
  };
  for (auto& effect : record.effects) {
    for (auto& read : effect.reads)
      settle(read.schema, read.name, read.version);
    for (auto& [table, from] : effect.writes) {
      settle(table.schema, table.name, table.version);
      if (from) settle(from->schema, from->name, from->version);
      if (table.exists) made[{table.schema, table.name}] = table.version;
    }
  }
  STRATA_TRY(write(ask, made));
  if (!record.query.empty()) {
    const std::string text = encode(record);
    if (text.size() <= kMaxRecord) {
      auto kept = ask(fmt::format("INSERT INTO {} VALUES ({}, {})", kRecords,
                                  quote_text(record.query), quote_text(text)));
      if (!kept) return std::move(kept).error();
    }
  }
  STRATA_TRY(commit());
  for (const auto& [name, version] : made)
    versions_[name] = version;
  return {};
}

Status Commits::write(const Ask& ask, const std::map<Name, std::int64_t>& versions) const {
  if (versions.empty()) return {};
  std::string rows;
  for (const auto& [name, version] : versions) {
    rows += fmt::format("{}({}, {}, {})", rows.empty() ? "" : ", ", quote_text(name.first),
                        quote_text(name.second), version);
  }
  auto done = ask(fmt::format("INSERT INTO {} VALUES {}", kTable, rows));
  if (!done) return std::move(done).error();
  return {};
}

}  // namespace strata::engines::duckdb
