#include "platform/experiments/exposures.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "wire/growthbook/js_value.hpp"
#include "wire/parquet/parquet.hpp"

namespace strata::platform::experiments {

using kernel::Reader;
using kernel::Row;
using kernel::Rows;
using kernel::Writer;

namespace {

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"exposures", 1, R"sql(
CREATE TABLE exposure_inbox (sequence INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL,
  kind INTEGER NOT NULL, time_us INTEGER NOT NULL, name TEXT NOT NULL, experiment TEXT NOT NULL,
  variation TEXT NOT NULL, attribute TEXT NOT NULL, unit TEXT NOT NULL, source TEXT NOT NULL,
  properties TEXT NOT NULL, attributes TEXT NOT NULL);
CREATE INDEX exposure_inbox_kind ON exposure_inbox (project, kind, sequence);
)sql"}}};

// The columns of a file: their names, and where they stand in a row of the inbox.
using Columns = std::vector<std::pair<std::string_view, std::size_t>>;

const Columns& columns_of(Tracked::Kind kind) {
  static const Columns exposures = {{"time", 1},      {"experiment", 3}, {"variation", 4},
                                    {"attribute", 5}, {"unit", 6},       {"source", 7},
                                    {"attributes", 9}};
  static const Columns events = {{"time", 1},   {"name", 2},       {"unit", 6},
                                 {"source", 7}, {"properties", 8}, {"attributes", 9}};
  return kind == Tracked::Kind::kExposure ? exposures : events;
}

std::string_view kind_text(Tracked::Kind kind) {
  return kind == Tracked::Kind::kExposure ? "exposures" : "events";
}

void append_micros(std::string& to, std::int64_t micros) {
  std::array<char, sizeof micros> bytes{};
  std::memcpy(bytes.data(), &micros, sizeof micros);
  to.append(bytes.data(), bytes.size());
}

wire::ParquetTable table_of(Tracked::Kind kind, const Rows& rows) {
  wire::ParquetTable table;
  table.rows = rows.size();
  for (const auto& [name, at] : columns_of(kind)) {
    wire::ParquetColumn column;
    column.path = {std::string(name)};
    column.type = at == 1 ? wire::ParquetType::kTimestampMicros : wire::ParquetType::kText;
    column.present.assign(rows.size(), true);
    for (const Row& row : rows) {
      if (at == 1) {
        append_micros(column.fixed, row.integer(at));
      } else {
        column.texts.push_back(row.text(at));
      }
    }
    table.columns.push_back(std::move(column));
  }
  return table;
}

// Lets the next row be numbered behind `newest`: a backup's files may be newer than its records.
Status number_behind(Writer& writer, std::int64_t newest) {
  if (newest == 0) return {};
  STRATA_TRY(writer.execute(
      "INSERT INTO exposure_inbox (sequence, project, kind, time_us, name, experiment, variation, "
      "attribute, unit, source, properties, attributes) VALUES (?, '', 0, 0, '', '', '', '', '', "
      "'', '', '') ON CONFLICT DO NOTHING",
      {newest}));
  STRATA_TRY(writer.execute("DELETE FROM exposure_inbox WHERE project = ''"));
  return {};
}

std::string identity_of(const ProjectId& project, const Tracked& one) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", project.str(), one.experiment, one.variation,
                     one.attribute, one.unit);
}

}  // namespace

std::vector<Tracked> exposures_of(const std::vector<wire::growthbook::Exposure>& exposures,
                                  std::string_view source) {
  std::vector<Tracked> out;
  for (const auto& exposure : exposures) {
    if (!exposure.result.boolean("inExperiment") || !exposure.result.boolean("hashUsed")) continue;
    out.push_back({.kind = Tracked::Kind::kExposure,
                   .experiment = exposure.experiment.text("key"),
                   .variation = exposure.result.text("key"),
                   .attribute = exposure.result.text("hashAttribute"),
                   .unit = wire::growthbook::js_text(exposure.result["hashValue"]),
                   .source = std::string(source)});
  }
  return out;
}

Exposures::Exposures(kernel::Records& records, std::string folder, Files& files, const Clock& clock,
                     BlockingPool& pool)
    : records_(records),
      folder_(std::move(folder)),
      files_(files),
      clock_(clock),
      pool_(pool) {}

std::span<const kernel::Migration> Exposures::migrations() {
  return kMigrations;
}

Status Exposures::open() {
  STRATA_TRY(files_.make_dirs(folder_));
  const auto projects = files_.list(folder_);
  if (!projects) return projects.error();
  for (const auto& project : *projects) {
    const auto names = files_.list(folder_ + "/" + project);
    if (!names) return names.error();
    for (const auto& name : *names) {
      const std::string path = fmt::format("{}/{}/{}", folder_, project, name);
      const auto parts = split(std::string_view(name).substr(0, name.find('.')), '-');
      const auto last = parts.size() == 2 ? to_int(parts[1]) : std::nullopt;
      if (!last || !name.ends_with(".parquet")) {  // a tail, or what a crash left unfinished
        STRATA_TRY(files_.remove(path));
        continue;
      }
      const auto kind = parts[0] == "exposures" ? Tracked::Kind::kExposure : Tracked::Kind::kEvent;
      kept_[{project, kind}].segments.push_back({*last, path});
    }
  }
  for (auto& [key, kept] : kept_)
    std::ranges::sort(kept.segments, {}, &Segment::last);
  // What a file has and a crash left in the records, too, goes from there.
  const auto tidy = [this](Writer& writer) -> Status {
    std::int64_t newest = 0;
    for (const auto& [key, kept] : kept_) {
      if (kept.segments.empty()) continue;
      newest = std::max(newest, kept.segments.back().last);
      STRATA_TRY(writer.execute(
          "DELETE FROM exposure_inbox WHERE project = ? AND kind = ? AND sequence <= ?",
          {key.first, static_cast<std::int64_t>(key.second), kept.segments.back().last}));
    }
    STRATA_TRY(number_behind(writer, newest));
    const auto rows =
        writer.query("SELECT project, kind, COUNT(*) FROM exposure_inbox GROUP BY project, kind");
    if (!rows) return rows.error();
    for (const Row& row : *rows)
      waiting_[{row.text(0), static_cast<Tracked::Kind>(row.integer(1))}] = row.integer(2);
    return {};
  };
  return records_.write_blocking(tidy);
}

Task<Status> Exposures::record(const ProjectId& project, std::vector<Tracked> all) {
  if (all.empty()) co_return Status();
  std::map<Key, std::int64_t> added;
  for (const Tracked& one : all)
    ++added[{project.str(), one.kind}];
  std::optional<Key> full;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, count] : added) {
      if (waiting_[key] + count > kMaxWaiting) {
        Error error(Code::kResourceExhausted,
                    "too many exposures wait for the disk; send them again later");
        error.retry = true;
        co_return error;
      }
      waiting_[key] += count;
      if (waiting_[key] >= kRollRows) full = key;
    }
  }
  const std::int64_t now = clock_.now().micros;
  auto job = [&](Writer& writer) -> Status {
    for (const Tracked& one : all) {
      STRATA_TRY(writer.execute(
          "INSERT INTO exposure_inbox (project, kind, time_us, name, experiment, variation, "
          "attribute, unit, source, properties, attributes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
          "?)",
          {project.str(), static_cast<std::int64_t>(one.kind), now, one.name, one.experiment,
           one.variation, one.attribute, one.unit, one.source, one.properties, one.attributes}));
    }
    return {};
  };
  const auto done = co_await records_.write(job);
  if (!done) {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, count] : added)
      waiting_[key] -= count;
    co_return done.error();
  }
  if (full) {
    const auto rolling = [this, key = *full] {
      return roll(key);
    };
    // They are durable already; a disk that is full shows when too many wait.
    if (const auto rolled = co_await pool_.run(rolling); !rolled)
      log::error("exposures.roll", Json::object({{"error", rolled.error().to_string()}}));
  }
  co_return Status();
}

Task<Status> Exposures::record_new(const ProjectId& project, std::vector<Tracked> all) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(all, [&](const Tracked& one) {
      const std::string id = identity_of(project, one);
      return recent_.contains(id) || older_.contains(id);
    });
  }
  if (all.empty()) co_return Status();
  std::vector<std::string> ids;
  for (const Tracked& one : all)
    ids.push_back(identity_of(project, one));
  const auto done = co_await record(project, std::move(all));
  if (!done) co_return done;
  const std::lock_guard lock(mutex_);
  for (auto& id : ids)
    recent_.insert(std::move(id));
  if (recent_.size() > kRemembered) {
    older_ = std::exchange(recent_, {});
  }
  co_return Status();
}

Result<Rows> Exposures::waiting(const Key& key, std::int64_t after) {
  const auto query = [&](Reader& reader) {
    return reader.query(
        "SELECT sequence, time_us, name, experiment, variation, attribute, unit, source, "
        "properties, attributes FROM exposure_inbox WHERE project = ? AND kind = ? AND sequence > "
        "? ORDER BY sequence",
        {key.first, static_cast<std::int64_t>(key.second), after});
  };
  return records_.read_blocking(query);
}

Status Exposures::write_file(const std::string& path, Tracked::Kind kind, const Rows& rows) {
  STRATA_TRY(files_.make_dirs(path.substr(0, path.rfind('/'))));
  return files_.replace(path, wire::encode_parquet(table_of(kind, rows)));
}

// Moves what waits into a file of its own: first the file, then out of the records. A crash between
// the two is mended by open().
Status Exposures::roll(const Key& key) {
  const std::lock_guard writing(writing_);
  Kept& kept = kept_[key];
  const std::int64_t after = kept.segments.empty() ? 0 : kept.segments.back().last;
  const auto rows = waiting(key, after);
  if (!rows) return rows.error();
  if (rows->size() < static_cast<std::size_t>(kRollRows)) return {};  // another call was faster
  const std::int64_t last = rows->back().integer(0);
  const std::string path =
      fmt::format("{}/{}/{}-{}.parquet", folder_, key.first, kind_text(key.second), last);
  STRATA_TRY(write_file(path, key.second, *rows));
  kept.segments.push_back({last, path});
  if (!kept.tail.path.empty()) retire(std::exchange(kept.tail, {}).path);
  const auto drop = [&](Writer& writer) {
    return writer.execute(
        "DELETE FROM exposure_inbox WHERE project = ? AND kind = ? AND sequence <= ?",
        {key.first, static_cast<std::int64_t>(key.second), last});
  };
  const auto dropped = records_.write_blocking(drop);
  if (!dropped) return dropped.error();
  const std::lock_guard lock(mutex_);
  waiting_[key] -= static_cast<std::int64_t>(rows->size());
  return {};
}

void Exposures::retire(std::string path) {
  const auto now = clock_.steady();
  retired_.emplace_back(now, std::move(path));
  while (!retired_.empty() && now - retired_.front().first > kGrace) {
    if (const auto gone = files_.remove(retired_.front().second); !gone) return;
    retired_.erase(retired_.begin());
  }
}

Status Exposures::write_tail(const Key& key, Kept& kept) {
  const std::int64_t after = kept.segments.empty() ? 0 : kept.segments.back().last;
  const auto rows = waiting(key, after);
  if (!rows) return rows.error();
  const std::int64_t last = rows->empty() ? after : rows->back().integer(0);
  if (last == kept.tail.last || rows->empty()) return {};
  const std::string path =
      fmt::format("{}/{}/{}-tail-{}.parquet", folder_, key.first, kind_text(key.second), last);
  STRATA_TRY(write_file(path, key.second, *rows));
  if (!kept.tail.path.empty()) retire(kept.tail.path);
  kept.tail = {last, path};
  return {};
}

Result<std::vector<std::string>> Exposures::files(const ProjectId& project, Tracked::Kind kind,
                                                  bool fresh) {
  const Key key{project.str(), kind};
  const std::lock_guard writing(writing_);
  Kept& kept = kept_[key];
  if (fresh) STRATA_TRY(write_tail(key, kept));
  std::vector<std::string> out;
  for (const Segment& segment : kept.segments)
    out.push_back(segment.path);
  if (!kept.tail.path.empty()) out.push_back(kept.tail.path);
  return out;
}

}  // namespace strata::platform::experiments
