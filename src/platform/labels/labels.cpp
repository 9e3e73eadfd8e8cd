#include "platform/labels/labels.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "wire/parquet/parquet.hpp"

namespace strata::platform::labels {

using kernel::Reader;
using kernel::Row;
using kernel::Rows;
using kernel::SqlValue;
using kernel::Writer;
using wire::ParquetColumn;
using wire::ParquetTable;
using wire::ParquetType;

namespace {

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"labels", 1, R"sql(
CREATE TABLE label_inbox (sequence INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL,
  created_us INTEGER NOT NULL, endpoint TEXT NOT NULL, prediction_id TEXT NOT NULL,
  row INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, number REAL,
  event_us INTEGER NOT NULL);
CREATE INDEX label_inbox_project ON label_inbox (project, sequence);
)sql"}}};

// What a row of the inbox has behind its sequence, in the order of the file's columns.
constexpr std::string_view kColumns =
    "sequence, created_us, endpoint, prediction_id, row, name, value, number, event_us";
struct ColumnShape {
  std::string_view name;
  ParquetType type;
};
constexpr std::array<ColumnShape, 8> kShape = {{{"created", ParquetType::kTimestampMicros},
                                                {"endpoint", ParquetType::kText},
                                                {"prediction_id", ParquetType::kText},
                                                {"row", ParquetType::kInt64},
                                                {"name", ParquetType::kText},
                                                {"value", ParquetType::kText},
                                                {"number", ParquetType::kDouble},
                                                {"event_time", ParquetType::kTimestampMicros}}};

template <class T>
void append_fixed(std::string& to, T value) {
  std::array<char, sizeof value> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  to.append(bytes.data(), bytes.size());
}

ParquetTable table_of(const Rows& rows) {
  ParquetTable table;
  table.rows = rows.size();
  for (std::size_t at = 0; at < kShape.size(); ++at) {
    ParquetColumn column;
    column.path = {std::string(kShape[at].name)};
    column.type = kShape[at].type;
    for (const Row& row : rows) {
      const std::size_t cell = at + 1;
      column.present.push_back(!row.is_null(cell));
      if (row.is_null(cell)) continue;
      if (column.type == ParquetType::kText) {
        column.texts.push_back(row.text(cell));
      } else if (column.type == ParquetType::kDouble) {
        append_fixed(column.fixed, row.real(cell));
      } else {
        append_fixed(column.fixed, row.integer(cell));
      }
    }
    table.columns.push_back(std::move(column));
  }
  return table;
}

template <class T>
T fixed_at(const ParquetColumn& column, std::size_t at) {
  T value;
  std::memcpy(&value, column.fixed.data() + at * sizeof(T), sizeof(T));
  return value;
}

// One label as it is stored.
struct Stored {
  std::string_view endpoint, name;
  std::string place;
  Outcome outcome;
};

struct Counting {
  std::string_view endpoint, name;
  Instant since;
  Outcomes out;

  // In the order in which they came.
  void add(const Stored& one) {
    if (one.endpoint != endpoint || one.name != name || one.outcome.first < since) return;
    const auto [at, fresh] = out.emplace(one.place, one.outcome);
    if (fresh || one.outcome.event < at->second.event) return;
    const Instant first = at->second.first;
    at->second = one.outcome;
    at->second.first = first;
  }

  Status add_file(ParquetTable table) {
    if (table.columns.size() != kShape.size())
      return Error(Code::kDataLoss, "a file of labels cannot be read");
    for (auto& column : table.columns)
      column.unroll();
    std::size_t number = 0;
    for (std::size_t row = 0; row < table.rows; ++row) {
      const auto& columns = table.columns;
      std::optional<double> value;
      if (columns[6].present[row]) value = fixed_at<double>(columns[6], number++);
      add({columns[1].texts[row],
           columns[4].texts[row],
           place_of(columns[2].texts[row], fixed_at<std::int64_t>(columns[3], row)),
           {columns[5].texts[row], value, Instant{fixed_at<std::int64_t>(columns[7], row)},
            Instant{fixed_at<std::int64_t>(columns[0], row)}}});
      if (out.size() > Labels::kMostCounted) return too_many();
    }
    return {};
  }

  Status add_rows(const Rows& rows) {
    for (const Row& row : rows) {
      const std::string endpoint_of = row.text(2), name_of = row.text(5);
      std::optional<double> value;
      if (!row.is_null(7)) value = row.real(7);
      add({endpoint_of,
           name_of,
           place_of(row.text(3), row.integer(4)),
           {row.text(6), value, Instant{row.integer(8)}, Instant{row.integer(1)}}});
    }
    return out.size() > Labels::kMostCounted ? too_many() : Status();
  }

  static Status too_many() {
    return Error(Code::kTooLarge, fmt::format("since: more than {} labels came since then; ask for "
                                              "a shorter time, or use SQL over strata.labels",
                                              Labels::kMostCounted));
  }
};

}  // namespace

std::string place_of(std::string_view prediction_id, std::int64_t row) {
  return fmt::format("{} {}", prediction_id, row);
}

Labels::Labels(Ports ports, std::string folder) : ports_(ports), folder_(std::move(folder)) {}

std::span<const kernel::Migration> Labels::migrations() {
  return kMigrations;
}

Status Labels::open() {
  STRATA_TRY(ports_.files.make_dirs(folder_));
  const auto projects = ports_.files.list(folder_);
  if (!projects) return projects.error();
  for (const auto& project : *projects) {
    const auto names = ports_.files.list(folder_ + "/" + project);
    if (!names) return names.error();
    for (const auto& name : *names) {
      const std::string path = fmt::format("{}/{}/{}", folder_, project, name);
      const auto parts = split(std::string_view(name).substr(0, name.find('.')), '-');
      const auto created = parts.size() == 2 ? to_int(parts[0]) : std::nullopt;
      const auto last = parts.size() == 2 ? to_int(parts[1]) : std::nullopt;
      if (!created || !last || !name.ends_with(".parquet")) {  // a tail, or what a crash left
        STRATA_TRY(ports_.files.remove(path));
        continue;
      }
      kept_[project].segments.push_back({*last, *created, path});
    }
  }
  for (auto& [project, kept] : kept_)
    std::ranges::sort(kept.segments, {}, &Segment::last);
  // What a file has and a crash left in the records, too, goes from there. The next label is
  // numbered behind all files: those of a backup may be newer than its records.
  const auto tidy = [this](Writer& writer) -> Status {
    std::int64_t newest = 0;
    for (const auto& [project, kept] : kept_) {
      if (kept.segments.empty()) continue;
      newest = std::max(newest, kept.segments.back().last);
      STRATA_TRY(writer.execute("DELETE FROM label_inbox WHERE project = ? AND sequence <= ?",
                                {project, kept.segments.back().last}));
    }
    if (newest > 0) {
      STRATA_TRY(writer.execute(
          "INSERT INTO label_inbox (sequence, project, created_us, endpoint, prediction_id, row, "
          "name, value, event_us) VALUES (?, '', 0, '', '', 0, '', '', 0) ON CONFLICT DO NOTHING",
          {newest}));
      STRATA_TRY(writer.execute("DELETE FROM label_inbox WHERE project = ''"));
    }
    const auto rows = writer.query("SELECT project, COUNT(*) FROM label_inbox GROUP BY project");
    if (!rows) return rows.error();
    for (const Row& row : *rows)
      waiting_[row.text(0)] = row.integer(1);
    return {};
  };
  return ports_.records.write_blocking(tidy);
}

Task<Result<Json>> Labels::push(const kernel::Caller& caller, std::string endpoint,
                                std::string body, std::string content_type) {
  const Instant now = ports_.clock.now();
  if (const auto there = ports_.endpoints.get(caller, endpoint); !there) {
    const auto keys = ports_.log.keys();
    if (std::ranges::find(keys, caller.project.str() + "/" + endpoint) == keys.end())
      co_return there.error();
  }
  const auto parsing = [&] {
    return parse_labels(body, content_type, now);
  };
  const auto labels = co_await ports_.pool.run(parsing);
  if (!labels) co_return labels.error();
  const auto done = co_await record(caller.project, endpoint, *labels, now);
  if (!done) co_return done.error();
  co_return Json::object({{"labels", labels->size()}, {"created", to_rfc3339(now)}});
}

Task<Status> Labels::record(const ProjectId& project, const std::string& endpoint,
                            const std::vector<Label>& labels, Instant now) {
  const auto count = static_cast<std::int64_t>(labels.size());
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    std::int64_t& waiting = waiting_[project.str()];
    if (waiting + count > kMaxWaiting) {
      Error error(Code::kResourceExhausted,
                  "too many labels wait for the disk; send them again later");
      error.retry = true;
      co_return error;
    }
    waiting += count;
    full = waiting >= kRollRows;
  }
  auto job = [&](Writer& writer) -> Status {
    for (const Label& one : labels) {
      STRATA_TRY(writer.execute(
          "INSERT INTO label_inbox (project, created_us, endpoint, prediction_id, row, name, "
          "value, number, event_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
          {project.str(), now.micros, endpoint, one.prediction_id, one.row, one.name, one.value,
           SqlValue(one.number), one.event.value_or(now).micros}));
    }
    return {};
  };
  const auto done = co_await ports_.records.write(job);
  if (!done) {
    const std::lock_guard lock(mutex_);
    waiting_[project.str()] -= count;
    co_return done.error();
  }
  if (full) {
    const auto rolling = [this, key = project.str()] {
      return roll(key);
    };
    // They are durable already; a disk that is full shows when too many wait.
    if (const auto rolled = co_await ports_.pool.run(rolling); !rolled)
      log::error("labels.roll", Json::object({{"error", rolled.error().to_string()}}));
  }
  co_return Status();
}

Result<Rows> Labels::waiting(const std::string& project, std::int64_t after) {
  const auto query = [&](Reader& reader) {
    return reader.query(fmt::format("SELECT {} FROM label_inbox WHERE project = ? AND sequence > ? "
                                    "ORDER BY sequence",
                                    kColumns),
                        {project, after});
  };
  return ports_.records.read_blocking(query);
}

Status Labels::write_file(const std::string& path, const Rows& rows) {
  STRATA_TRY(ports_.files.make_dirs(path.substr(0, path.rfind('/'))));
  return ports_.files.replace(path, wire::encode_parquet(table_of(rows)));
}

// Moves what waits into a file of its own: first the file, then out of the records. A crash between
// the two is mended by open().
Status Labels::roll(const std::string& project) {
  const std::lock_guard writing(writing_);
  Kept& kept = kept_[project];
  const std::int64_t after = kept.segments.empty() ? 0 : kept.segments.back().last;
  const auto rows = waiting(project, after);
  if (!rows) return rows.error();
  if (rows->size() < static_cast<std::size_t>(kRollRows)) return {};  // another call was faster
  const std::int64_t last = rows->back().integer(0);
  std::int64_t created = 0;  // of the latest: they are in the order of their commits
  for (const Row& row : *rows)
    created = std::max(created, row.integer(1));
  const std::string path = fmt::format("{}/{}/{}-{}.parquet", folder_, project, created, last);
  STRATA_TRY(write_file(path, *rows));
  kept.segments.push_back({last, created, path});
  if (!kept.tail.path.empty()) retire(std::exchange(kept.tail, {}).path);
  {
    // They wait no more, though their rows may have to be dropped again later.
    const std::lock_guard lock(mutex_);
    waiting_[project] -= static_cast<std::int64_t>(rows->size());
  }
  const auto drop = [&](Writer& writer) {
    return writer.execute("DELETE FROM label_inbox WHERE project = ? AND sequence <= ?",
                          {project, last});
  };
  const auto dropped = ports_.records.write_blocking(drop);
  return dropped ? Status() : Status(dropped.error());
}

void Labels::retire(std::string path) {
  const auto now = ports_.clock.steady();
  retired_.emplace_back(now, std::move(path));
  while (!retired_.empty() && now - retired_.front().first > kGrace) {
    if (const auto gone = ports_.files.remove(retired_.front().second); !gone) return;
    retired_.erase(retired_.begin());
  }
}

Status Labels::write_tail(const std::string& project, Kept& kept) {
  const std::int64_t after = kept.segments.empty() ? 0 : kept.segments.back().last;
  const auto rows = waiting(project, after);
  if (!rows) return rows.error();
  if (rows->empty() || rows->back().integer(0) == kept.tail.last) return {};
  const std::int64_t last = rows->back().integer(0);
  const std::string path = fmt::format("{}/{}/tail-0-{}.parquet", folder_, project, last);
  STRATA_TRY(write_file(path, *rows));
  if (!kept.tail.path.empty()) retire(kept.tail.path);
  kept.tail = {last, 0, path};
  return {};
}

Result<std::vector<std::string>> Labels::files(const ProjectId& project, bool fresh) {
  const std::lock_guard writing(writing_);
  Kept& kept = kept_[project.str()];
  if (fresh) STRATA_TRY(write_tail(project.str(), kept));
  std::vector<std::string> out;
  for (const Segment& segment : kept.segments)
    out.push_back(segment.path);
  if (!kept.tail.path.empty()) out.push_back(kept.tail.path);
  return out;
}

Result<Outcomes> Labels::newest(const ProjectId& project, std::string_view endpoint,
                                std::string_view name, Instant since) {
  std::vector<Segment> segments;
  Result<Rows> rows = Rows();
  {
    const std::lock_guard writing(writing_);
    segments = kept_[project.str()].segments;
    rows = waiting(project.str(), segments.empty() ? 0 : segments.back().last);
  }
  if (!rows) return rows.error();
  Counting counting{endpoint, name, since, {}};
  for (const Segment& segment : segments) {
    if (segment.created_us < since.micros) continue;
    const auto bytes = ports_.files.read_all(segment.path);
    if (!bytes) return bytes.error();
    auto table = wire::decode_parquet(*bytes);
    if (!table) return table.error().wrap("a file of labels cannot be read");
    STRATA_TRY(counting.add_file(*std::move(table)));
  }
  STRATA_TRY(counting.add_rows(*rows));
  return std::move(counting.out);
}

}  // namespace strata::platform::labels
