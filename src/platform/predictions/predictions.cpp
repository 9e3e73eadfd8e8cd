#include "platform/predictions/predictions.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace strata::platform::predictions {

namespace {

// So many files of about the same size are joined into one, unless that would become larger than
// kMaxJoined.
constexpr std::size_t kJoinCount = 16;
constexpr std::uint64_t kMaxJoined = 16U << 20U;
constexpr std::size_t kMaxJoinedRows = 1U << 18U;
static_assert(kMaxJoinedRows <= wire::kMaxParquetRows);
static_assert(PredictionLog::kSegmentRows <= wire::kMaxParquetRows);
constexpr std::size_t kMaxPredictionsListed = 1000;

// 0 for a file of one flush, 1 for 16 flushes joined, 2 for 256 ...
int level_of(std::int64_t from, std::int64_t to) {
  int level = 0;
  for (std::int64_t span = to - from + 1; span >= static_cast<std::int64_t>(kJoinCount);
       span /= static_cast<std::int64_t>(kJoinCount)) {
    ++level;
  }
  return level;
}

// The millisecond in which an id was made; nothing when it is no UUID of version 7.
std::optional<std::int64_t> time_of_id(std::string_view id) {
  if (id.size() != 36 || id[8] != '-' || id[13] != '-' || id[14] != '7') return std::nullopt;
  const std::string digits = std::string(id.substr(0, 8)) + std::string(id.substr(9, 4));
  std::int64_t ms = 0;
  const auto done = std::from_chars(digits.data(), digits.data() + digits.size(), ms, 16);
  if (done.ec != std::errc{} || done.ptr != digits.data() + digits.size()) return std::nullopt;
  return ms;
}

std::string key_of(std::string_view project, std::string_view endpoint) {
  return fmt::format("{}/{}", project, endpoint);
}

}  // namespace

PredictionLog::PredictionLog(std::string folder, Files& files, const Clock& clock,
                             metrics::Registry& metrics)
    : folder_(std::move(folder)),
      files_(files),
      clock_(clock),
      rows_written_(metrics.counter("strata_prediction_log_rows_total",
                                    "Rows written to the prediction log")),
      failures_(metrics.counter("strata_prediction_log_failures_total",
                                "Flushes of the prediction log that failed")) {}

PredictionLog::~PredictionLog() {
  for (Node* node = head_.exchange(nullptr); node != nullptr;)
    delete std::exchange(node, node->next);
}

Status PredictionLog::open() {
  STRATA_TRY(files_.make_dirs(folder_));
  auto projects = files_.list(folder_);
  if (!projects) return std::move(projects).error();
  for (const auto& project : *projects) {
    auto endpoints = files_.list(folder_ + "/" + project);
    if (!endpoints) continue;  // no directory, so none of ours
    STRATA_TRY(files_.make_dirs(folder_ + "/" + project));
    for (const auto& endpoint : *endpoints) {
      const std::string directory = folder_ + "/" + key_of(project, endpoint);
      auto names = files_.list(directory);
      if (!names) continue;
      // Files that a joined one replaces are removed below; a kill may have come between its name
      // and the name's sync.
      STRATA_TRY(files_.make_dirs(directory));
      STRATA_TRY(files_.sync_names(directory));
      auto& series = series_[key_of(project, endpoint)];
      for (const auto& name : *names) {
        const auto parts = split(std::string_view(name).substr(0, name.find('.')), '-');
        Segment segment;
        segment.path = directory + "/" + name;
        if (!name.ends_with(".parquet") || parts.size() != 4) {
          STRATA_TRY(
              files_.remove(segment.path));  // a file that was being written when the process ended
          continue;
        }
        segment.first_ms = to_int(parts[0]).value_or(0);
        segment.last_ms = to_int(parts[1]).value_or(0);
        segment.from = to_int(parts[2]).value_or(0);
        segment.to = to_int(parts[3]).value_or(0);
        series.next = std::max(series.next, segment.to + 1);
        if (const auto file = files_.open(segment.path))
          segment.bytes = (*file)->size().value_or(0);
        series.segments.push_back(std::move(segment));
      }
      drop_joined(series);
    }
  }
  return {};
}

// A process that ended between joining files and removing them leaves both; the larger range has
// all rows.
void PredictionLog::drop_joined(Series& series) {
  auto& segments = series.segments;
  std::sort(segments.begin(), segments.end(), [](const Segment& a, const Segment& b) {
    return a.from != b.from ? a.from < b.from : a.to > b.to;
  });
  std::vector<Segment> kept;
  for (auto& segment : segments) {
    if (!kept.empty() && segment.to <= kept.back().to) {
      obsolete_.push_back({segment.path, clock_.steady()});
    } else {
      kept.push_back(std::move(segment));
    }
  }
  segments = std::move(kept);
  for (auto& segment : segments)
    segment.level = level_of(segment.from, segment.to);
}

std::optional<PredictionLog::Room> PredictionLog::admit(std::size_t bytes) {
  std::size_t held = held_.load(std::memory_order_relaxed);
  do {
    if (held >= kMaxPending) return std::nullopt;
  } while (!held_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  return Room(this, bytes);
}

std::optional<PredictionLog::Room> PredictionLog::admit_spare(std::size_t bytes) {
  if (held_.load(std::memory_order_relaxed) > kMaxPending / 2) return std::nullopt;
  return admit(bytes);
}

void PredictionLog::append(std::shared_ptr<const Exchange> exchange, Room room) {
  const std::size_t bytes = exchange->held_bytes();
  held_.fetch_add(bytes, std::memory_order_relaxed);  // and the room is given back at the end
  auto* node = new Node{std::move(exchange), head_.load(std::memory_order_relaxed)};
  while (!head_.compare_exchange_weak(node->next, node, std::memory_order_release,
                                      std::memory_order_relaxed)) {
  }
  const std::size_t before = pending_.fetch_add(bytes, std::memory_order_relaxed);
  // Half full: do not wait for the second to pass.
  if (before < kMaxPending / 2 && before + bytes >= kMaxPending / 2) half_full_.notify_all();
  const Room taken = std::move(room);
}

// Needs writing_.
void PredictionLog::take_all() {
  const auto before = static_cast<std::ptrdiff_t>(batch_.size());
  for (Node* node = head_.exchange(nullptr, std::memory_order_acquire); node != nullptr;) {
    batch_.push_back({std::move(node->exchange), 0});
    delete std::exchange(node, node->next);
  }
  std::reverse(batch_.begin() + before, batch_.end());
}

Task<void> PredictionLog::keep(BlockingPool& pool, std::stop_token stop) {
  auto write_all = [this] {
    return flush();
  };
  while (!stop.stop_requested()) {
    co_await half_full_.wait(kFlushEvery);
    const auto written = co_await pool.run(write_all);
    if (written) continue;
    failures_.add();
    log::error("predictions.flush", Json::object({{"error", written.error().to_string()}}));
  }
}

Status PredictionLog::flush() {
  const std::lock_guard lock(writing_);
  take_all();
  auto written = write();
  remove_obsolete();
  return written;
}

// Writes the rows that wait, by model, a file at a time, and notes what was written, so that a
// retry repeats nothing.
Status PredictionLog::write() {
  std::map<const ModelIdentity*, std::vector<Waiting*>> by_model;
  for (auto& waiting : batch_)
    by_model[waiting.exchange->model.get()].push_back(&waiting);
  Status status;
  for (const auto& [identity, group] : by_model) {
    const ModelIdentity& model = *identity;
    std::vector<ExchangeSlice> slices;
    std::vector<Waiting*> owners;  // of each slice
    std::size_t rows = 0;
    std::size_t bytes = 0;
    const auto write_slices = [&] {
      if (rows == 0) return;
      status = write_segment(model, slices);
      if (status) {
        for (std::size_t i = 0; i < slices.size(); ++i)
          owners[i]->written = slices[i].first + slices[i].rows;
        join_small(key_of(model.project, model.endpoint));
      }
      slices.clear();
      owners.clear();
      rows = bytes = 0;
    };
    for (auto* waiting : group) {
      const auto& exchange = *waiting->exchange;
      const std::size_t of_row =
          exchange.value_bytes() / std::max<std::size_t>(1, exchange.inputs.rows) + 1;
      for (std::size_t at = waiting->written; at < exchange.inputs.rows && status;) {
        const std::size_t room = bytes >= kSegmentBytes ? 0 : (kSegmentBytes - bytes) / of_row;
        const std::size_t fits = std::min(kSegmentRows - rows, room);
        if (fits == 0 && rows > 0) {
          write_slices();
          continue;
        }
        const std::size_t count =
            std::min(std::max<std::size_t>(1, fits), exchange.inputs.rows - at);
        slices.push_back({&exchange, at, count});
        owners.push_back(waiting);
        rows += count;
        bytes += count * of_row;
        at += count;
      }
      if (!status) break;
    }
    if (status) write_slices();
    if (!status) break;
  }
  std::size_t done = 0;
  std::erase_if(batch_, [&](const Waiting& waiting) {
    if (waiting.written < waiting.exchange->inputs.rows) return false;
    done += waiting.exchange->held_bytes();
    return true;
  });
  pending_.fetch_sub(done, std::memory_order_relaxed);
  held_.fetch_sub(done, std::memory_order_relaxed);
  return status;
}

Status PredictionLog::write_segment(const ModelIdentity& model,
                                    std::span<const ExchangeSlice> slices) {
  const auto table = table_of(model, slices);
  Segment segment;
  segment.first_ms = segment.last_ms = slices.front().exchange->time.millis();
  for (const auto& slice : slices) {
    segment.first_ms = std::min(segment.first_ms, slice.exchange->time.millis());
    segment.last_ms = std::max(segment.last_ms, slice.exchange->time.millis());
  }
  const std::string key = key_of(model.project, model.endpoint);
  {
    const std::lock_guard lock(mutex_);
    segment.from = segment.to = series_[key].next;
  }
  STRATA_TRY(store(key, table, segment));
  rows_written_.add(table.rows);
  std::unique_lock lock(mutex_);
  auto& series = series_[key];
  const std::int64_t sequence = segment.to;
  series.next = sequence + 1;
  series.segments.push_back(std::move(segment));
  lock.unlock();
  if (follower_ != nullptr) follower_->flushed(key, sequence, table);
  return {};
}

Status PredictionLog::store(const std::string& key, const wire::ParquetTable& table,
                            Segment& segment) {
  const std::string directory = folder_ + "/" + key;
  STRATA_TRY(files_.make_dirs(directory));
  segment.path = fmt::format("{}/{:013}-{:013}-{:08}-{:08}.parquet", directory, segment.first_ms,
                             segment.last_ms, segment.from, segment.to);
  const std::string bytes = encode_parquet(table);
  segment.bytes = bytes.size();
  return files_.replace(segment.path, bytes);
}

// The last files of one size among segments [from, to), or nothing where they are too few to join.
std::vector<PredictionLog::Segment> PredictionLog::last_alike(const std::vector<Segment>& segments,
                                                              std::size_t from, std::size_t to) {
  std::size_t first = to;
  while (first > from && segments[first - 1].level == segments[to - 1].level)
    --first;
  if (to - first < kJoinCount) return {};
  return {segments.begin() + static_cast<std::ptrdiff_t>(first),
          segments.begin() + static_cast<std::ptrdiff_t>(to)};
}

// Joins the last files of one size when there are enough of them: of those that a follower has, or
// else of those that it has not.
void PredictionLog::join_small(const std::string& key) {
  const std::lock_guard joining(joining_);
  std::vector<Segment> group;
  {
    const std::lock_guard lock(mutex_);
    const auto& series = series_[key];
    const auto& segments = series.segments;
    const auto ahead = std::find_if(segments.begin(), segments.end(),
                                    [&](const Segment& one) { return one.to > series.mark; });
    const auto followed = static_cast<std::size_t>(ahead - segments.begin());
    group = last_alike(segments, 0, followed);
    if (group.empty()) group = last_alike(segments, followed, segments.size());
  }
  if (group.empty()) return;
  std::vector<Segment> joined;
  wire::ParquetTable table;
  for (const auto& segment : group) {
    auto next = reader_of(segment).and_then(
        [](const wire::ParquetReader& reader) { return reader.read(0, reader.rows()); });
    if (!next) {
      // The file stays as it is; the next level starts without it.
      log::error("predictions.join",
                 Json::object({{"file", segment.path}, {"error", next.error().to_string()}}));
    }
    const bool fits = next && !joined.empty() && table.same_layout(*next) &&
                      joined.back().bytes + segment.bytes <= kMaxJoined &&
                      table.rows + next->rows <= kMaxJoinedRows;
    if (fits) {
      auto& last = joined.back();
      table.append(*next);
      last.first_ms = std::min(last.first_ms, segment.first_ms);
      last.last_ms = std::max(last.last_ms, segment.last_ms);
      last.to = segment.to;
      last.bytes += segment.bytes;
      continue;
    }
    if (!joined.empty() && !finish_join(key, table, joined.back())) return;
    joined.push_back(segment);
    table = next ? *std::move(next) : wire::ParquetTable();
  }
  if (!finish_join(key, table, joined.back())) return;
  replace_segments(key, group, std::move(joined));
}

// Writes a joined file; one that stands alone is left where it is.
bool PredictionLog::finish_join(const std::string& key, const wire::ParquetTable& table,
                                Segment& segment) {
  ++segment.level;
  if (segment.path.ends_with(fmt::format("-{:08}-{:08}.parquet", segment.from, segment.to)))
    return true;
  const auto stored = store(key, table, segment);
  if (!stored)
    log::error("predictions.join", Json::object({{"error", stored.error().to_string()}}));
  return stored.ok();
}

void PredictionLog::replace_segments(const std::string& key, const std::vector<Segment>& old,
                                     std::vector<Segment> fresh) {
  const std::lock_guard lock(mutex_);
  for (const auto& segment : old) {
    const bool kept = std::any_of(fresh.begin(), fresh.end(),
                                  [&](const Segment& s) { return s.path == segment.path; });
    if (!kept) obsolete_.push_back({segment.path, clock_.steady() + kGrace});
  }
  auto& segments = series_[key].segments;
  auto place = std::find_if(segments.begin(), segments.end(),
                            [&](const Segment& one) { return one.path == old.front().path; });
  place = segments.erase(place, place + static_cast<std::ptrdiff_t>(old.size()));
  segments.insert(place, std::make_move_iterator(fresh.begin()),
                  std::make_move_iterator(fresh.end()));
}

void PredictionLog::remove_obsolete() {
  std::vector<std::string> due;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(obsolete_, [&](const Obsolete& o) {
      if (o.when > clock_.steady()) return false;
      due.push_back(o.path);
      return true;
    });
  }
  for (const auto& path : due) {
    if (const auto removed = files_.remove(path); !removed) {
      log::warn("predictions.remove",
                Json::object({{"file", path}, {"error", removed.error().to_string()}}));
    }
  }
}

std::vector<std::string> PredictionLog::keys() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& [key, series] : series_)
    out.push_back(key);
  return out;
}

std::optional<LogStretch> PredictionLog::next_after(const std::string& key, std::int64_t mark) {
  Segment segment;
  {
    const std::lock_guard lock(mutex_);
    const auto series = series_.find(key);
    if (series == series_.end()) return std::nullopt;
    const auto& segments = series->second.segments;
    const auto found = std::find_if(segments.begin(), segments.end(),
                                    [mark](const Segment& one) { return one.to > mark; });
    if (found == segments.end()) return std::nullopt;
    segment = *found;
  }
  LogStretch stretch{segment.from, segment.to, std::nullopt};
  auto rows = reader_of(segment).and_then(
      [](const wire::ParquetReader& reader) { return reader.read(0, reader.rows()); });
  if (rows) {
    stretch.rows = *std::move(rows);
  } else if (files_.exists(segment.path)) {
    log::error("predictions.read",
               Json::object({{"file", segment.path}, {"error", rows.error().to_string()}}));
  }
  return stretch;
}

Status PredictionLog::set_mark(const std::string& key, std::int64_t mark,
                               const std::function<Status()>& keep) {
  const std::lock_guard joining(joining_);
  STRATA_TRY(keep());
  const std::lock_guard lock(mutex_);
  series_[key].mark = mark;
  return {};
}

std::vector<PredictionLog::Segment> PredictionLog::segments_of(std::string_view project,
                                                               std::string_view endpoint) {
  std::vector<Segment> out;
  const std::string prefix = key_of(project, endpoint);
  {
    const std::lock_guard lock(mutex_);
    for (auto it = series_.lower_bound(prefix); it != series_.end(); ++it) {
      if (endpoint.empty() ? !it->first.starts_with(prefix) : it->first != prefix) break;
      out.insert(out.end(), it->second.segments.begin(), it->second.segments.end());
    }
  }
  // Files may be removed by hand, old ones and damaged ones, and are then no part of the log.
  std::erase_if(out, [this](const Segment& segment) { return !files_.exists(segment.path); });
  return out;
}

Result<wire::ParquetReader> PredictionLog::reader_of(const Segment& segment) const {
  auto opened = files_.open(segment.path);
  if (!opened) return std::move(opened).error();
  const std::shared_ptr<File> file = *std::move(opened);
  const auto size = file->size();
  if (!size) return size.error();
  return wire::ParquetReader::open(
      *size, [file](std::uint64_t offset, std::size_t count) -> Result<std::string> {
        std::string bytes(count, '\0');
        const auto got = file->read_at(bytes, offset);
        if (!got) return got.error();
        if (*got != count) return Error(Code::kDataLoss, "the file is cut off");
        return bytes;
      });
}

// Which rows of a file belong to which prediction; only the ids are read. A failure is logged with
// the file's name, which no client needs to know.
Result<std::vector<wire::ParquetReader::Run>> PredictionLog::runs_of(const Segment& segment) const {
  auto runs =
      reader_of(segment).and_then([](const wire::ParquetReader& reader) { return reader.runs(0); });
  if (!runs) {
    log::error("predictions.read",
               Json::object({{"file", segment.path}, {"error", runs.error().to_string()}}));
  }
  return runs;
}

// Some rows of a file. A failure is logged.
Result<wire::ParquetTable> PredictionLog::read_rows(const Segment& segment, std::size_t first,
                                                    std::size_t count) const {
  auto table = reader_of(segment).and_then(
      [&](const wire::ParquetReader& reader) { return reader.read(first, count); });
  if (table) return table;
  log::error("predictions.read",
             Json::object({{"file", segment.path}, {"error", table.error().to_string()}}));
  return Error(Code::kDataLoss, "a file of the prediction log cannot be read");
}

// The first rows of a prediction. Errors: kDataLoss when a file with such rows cannot be read.
Result<Prediction> PredictionLog::read(const Place& place) const {
  Prediction out;
  std::size_t total = 0;
  std::size_t left = kBytesShown;
  bool full = false;
  for (const auto& part : place.parts) {
    total += part.count;
    if (full) continue;
    const std::size_t wanted = std::min(part.count, kRowsShown - out.rows.size());
    auto table = read_rows(*part.segment, part.first, wanted);
    if (!table) return std::move(table).error();
    const auto sizes = shown_bytes(*table);
    std::size_t count = 0;
    for (; count < sizes.size() && (sizes[count] <= left || out.rows.size() + count == 0); ++count)
      left -= std::min(left, sizes[count]);
    full = count < sizes.size() || out.rows.size() + count == kRowsShown;
    if (count == 0) continue;
    auto read = predictions_of(*table, 0, count);
    if (read.size() != 1) return Error(Code::kDataLoss, "a file of the prediction log is damaged");
    auto& found = read.front();
    if (out.id.empty()) {
      out = std::move(found);
    } else {
      out.rows.insert(out.rows.end(), std::make_move_iterator(found.rows.begin()),
                      std::make_move_iterator(found.rows.end()));
    }
  }
  out.row_count = total;
  out.shown_bytes = kBytesShown - left;
  return out;
}

Result<Prediction> PredictionLog::find(std::string_view project, std::string_view id) {
  const auto made = time_of_id(id);
  if (!made)
    return not_found(
        fmt::format("there is no prediction '{}'; ids are UUIDs of version 7", id.substr(0, 64)));
  if (pending_.load(std::memory_order_relaxed) > 0) STRATA_TRY(flush());
  const auto segments = segments_of(project, {});
  Place place{std::string(id), {}};
  std::size_t unreadable = 0;
  for (const auto& segment : segments) {
    if (segment.first_ms > *made || segment.last_ms < *made) continue;
    const auto runs = runs_of(segment);
    if (!runs) ++unreadable;
    if (!runs) continue;
    for (const auto& run : *runs) {
      if (run.text == id) place.parts.push_back({&segment, run.first, run.count});
    }
  }
  if (!place.parts.empty()) return read(place);
  if (unreadable > 0) {
    return Error(Code::kDataLoss,
                 fmt::format("{} files of the prediction log that may hold prediction '{}' cannot "
                             "be read; the server's log names them",
                             unreadable, id));
  }
  return not_found(fmt::format("there is no prediction '{}' in the log", id));
}

// A page while it is put together.
struct PredictionLog::Page {
  std::vector<Segment> segments;
  std::vector<Place> places;  // newest first
  bool more = false;          // there are predictions behind these places
  std::size_t unreadable = 0;
  std::size_t rows_left = kRowsListed;
  std::size_t bytes_left = kBytesShown;
};

// The newest `limit` predictions that stand before `before`.
Status PredictionLog::find_places(std::string_view before, std::size_t limit, Page& page) const {
  const auto made = time_of_id(before);
  bool reached = before.empty();
  for (auto it = page.segments.rbegin(); it != page.segments.rend() && !page.more; ++it) {
    if (!reached && (it->first_ms > made || it->last_ms < made)) continue;
    const auto runs = runs_of(*it);
    if (!runs) ++page.unreadable;
    if (!runs) continue;
    for (auto run = runs->rbegin(); run != runs->rend(); ++run) {
      const bool is_before = !before.empty() && run->text == before;
      reached = reached || is_before;
      if (!reached || is_before) continue;
      // What a request has in an earlier file stands before what it has in a later one.
      const bool same = !page.places.empty() && page.places.back().id == run->text;
      page.more = !same && page.places.size() == limit;
      if (page.more) break;
      if (!same) page.places.push_back({run->text, {}});
      auto& parts = page.places.back().parts;
      parts.insert(parts.begin(), {&*it, run->first, run->count});
    }
  }
  if (reached) return {};
  if (page.unreadable > 0) {
    return Error(Code::kDataLoss,
                 "the page before ended in a file of the prediction log that cannot be read; the "
                 "server's log names it");
  }
  return invalid("page_token",
                 fmt::format("page_token: '{}' is none that a list of this endpoint's predictions "
                             "gave",
                             printable(before, 64)));
}

// Whole predictions that stand together in one file are read together: how many of them, from
// `at` on, were dealt with. None when the first has more rows or bytes than the page has left.
std::size_t PredictionLog::add_together(Page& page, std::size_t at, PredictionList& out) const {
  const Part& last = page.places[at].parts.front();
  const std::size_t behind = last.first + last.count;
  std::size_t first = behind;
  std::size_t end = at;
  for (; end < page.places.size(); ++end) {
    const Part& part = page.places[end].parts.front();
    const bool joins = page.places[end].parts.size() == 1 && part.segment == last.segment &&
                       part.first + part.count == first && part.count <= kRowsShown &&
                       behind - part.first <= page.rows_left;
    if (!joins) break;
    first = part.first;
  }
  if (end == at) return 0;
  auto table = read_rows(*last.segment, first, behind - first);
  if (!table) ++page.unreadable;
  if (!table) return end - at;
  const auto sizes = shown_bytes(*table);
  std::size_t from = sizes.size();
  std::size_t taken = 0;
  for (; at + taken < end; ++taken) {
    const std::size_t begin = page.places[at + taken].parts.front().first - first;
    std::size_t bytes = 0;
    for (std::size_t row = begin; row < from; ++row)
      bytes += sizes[row];
    if (bytes > page.bytes_left) break;
    page.bytes_left -= bytes;
    from = begin;
  }
  page.rows_left -= sizes.size() - from;
  auto read = predictions_of(*table, from, sizes.size() - from);
  out.predictions.insert(out.predictions.end(), std::make_move_iterator(read.rbegin()),
                         std::make_move_iterator(read.rend()));
  return taken;
}

// A prediction that stands in several files or is large. False when the page has no room for it.
bool PredictionLog::add_one(Page& page, std::size_t at, PredictionList& out) const {
  auto one = read(page.places[at]);
  if (!one) ++page.unreadable;
  if (!one) return true;
  const bool fits = one->rows.size() <= page.rows_left && one->shown_bytes <= page.bytes_left;
  if (!fits && !out.predictions.empty()) return false;
  page.rows_left -= std::min(page.rows_left, one->rows.size());
  page.bytes_left -= std::min(page.bytes_left, one->shown_bytes);
  out.predictions.push_back(*std::move(one));
  return true;
}

Result<PredictionList> PredictionLog::newest(std::string_view project, std::string_view endpoint,
                                             std::size_t limit, std::string_view before) {
  if (pending_.load(std::memory_order_relaxed) > 0) STRATA_TRY(flush());
  Page page;
  page.segments = segments_of(project, endpoint);
  STRATA_TRY(find_places(before, std::min(limit, kMaxPredictionsListed), page));
  PredictionList out;
  std::size_t at = 0;
  for (bool room = true; room && at < page.places.size();) {
    const std::size_t taken = add_together(page, at, out);
    at += taken;
    if (taken > 0) continue;
    room = add_one(page, at, out);
    at += room ? 1 : 0;
  }
  if (page.more || at < page.places.size()) out.next = page.places[at - 1].id;
  out.unreadable_files = page.unreadable;
  return out;
}

Status PredictionLog::scan(std::string_view project, std::string_view endpoint, Instant since,
                           Instant until,
                           const std::function<Status(const wire::ParquetTable&)>& see) {
  STRATA_TRY(flush());
  for (const Segment& segment : segments_of(project, endpoint)) {
    if (segment.last_ms < since.millis() || Instant::from_millis(segment.first_ms) >= until)
      continue;
    const auto reader = reader_of(segment);
    for (std::size_t at = 0; reader && at < reader->rows(); at += kSegmentRows) {
      const auto rows = read_rows(segment, at, std::min(kSegmentRows, reader->rows() - at));
      if (!rows) return rows.error();
      STRATA_TRY(see(*rows));
    }
    if (!reader) return reader.error().wrap("a file of the prediction log cannot be read");
  }
  return {};
}

std::vector<std::string> PredictionLog::files(std::string_view project, std::string_view endpoint) {
  std::vector<std::string> paths;
  for (auto& segment : segments_of(project, endpoint))
    paths.push_back(std::move(segment.path));
  return paths;
}

}  // namespace strata::platform::predictions
