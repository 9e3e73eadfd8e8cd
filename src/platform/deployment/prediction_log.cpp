#include "platform/deployment/prediction_log.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"

namespace strata::platform::deployment {

namespace {

// So many files of about the same size are joined into one, unless that would become larger than
// kMaxJoined.
constexpr std::size_t kJoinCount = 16;
constexpr std::uint64_t kMaxJoined = 32U << 20U;
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

void PredictionLog::append(std::shared_ptr<const Exchange> exchange) {
  const std::size_t bytes = exchange->bytes();
  auto* node = new Node{std::move(exchange), head_.load(std::memory_order_relaxed)};
  while (!head_.compare_exchange_weak(node->next, node, std::memory_order_release,
                                      std::memory_order_relaxed)) {
  }
  const std::size_t before = pending_.fetch_add(bytes, std::memory_order_relaxed);
  // Half full: do not wait for the second to pass.
  if (before < kMaxPending / 2 && before + bytes >= kMaxPending / 2) half_full_.notify_all();
}

// Needs writing_.
void PredictionLog::take_all() {
  const auto before = static_cast<std::ptrdiff_t>(batch_.size());
  for (Node* node = head_.exchange(nullptr, std::memory_order_acquire); node != nullptr;) {
    batch_.push_back(std::move(node->exchange));
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

// Writes one file for each model and takes out of `batch` what was written, so that a retry repeats
// nothing.
Status PredictionLog::write() {
  std::map<const ModelIdentity*, std::vector<const Exchange*>> by_model;
  for (const auto& exchange : batch_)
    by_model[exchange->model.get()].push_back(exchange.get());
  Status status;
  for (const auto& [model, exchanges] : by_model) {
    status = write_segment(*model, exchanges);
    if (!status) break;
    join_small(key_of(model->project, model->endpoint));
    std::size_t bytes = 0;
    for (auto& exchange : batch_) {
      if (exchange == nullptr || exchange->model.get() != model) continue;
      bytes += exchange->bytes();
      // The identity must outlive its group; the last exchange of a group may be its last owner.
      if (exchange.get() != exchanges.back()) exchange = nullptr;
    }
    std::replace_if(
        batch_.begin(), batch_.end(), [&](const auto& e) { return e.get() == exchanges.back(); },
        nullptr);
    pending_.fetch_sub(bytes, std::memory_order_relaxed);
  }
  std::erase(batch_, nullptr);
  return status;
}

Status PredictionLog::write_segment(const ModelIdentity& model,
                                    const std::vector<const Exchange*>& exchanges) {
  const auto table = table_of(model, exchanges);
  if (table.rows == 0) return {};
  Segment segment;
  segment.first_ms = segment.last_ms = exchanges.front()->time.millis();
  for (const auto* exchange : exchanges) {
    segment.first_ms = std::min(segment.first_ms, exchange->time.millis());
    segment.last_ms = std::max(segment.last_ms, exchange->time.millis());
  }
  const std::string key = key_of(model.project, model.endpoint);
  {
    const std::lock_guard lock(mutex_);
    segment.from = segment.to = series_[key].next;
  }
  STRATA_TRY(store(key, table, segment));
  rows_written_.add(table.rows);
  const std::lock_guard lock(mutex_);
  auto& series = series_[key];
  series.next = segment.to + 1;
  series.segments.push_back(std::move(segment));
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

// Joins the last files of one size when there are enough of them.
void PredictionLog::join_small(const std::string& key) {
  std::vector<Segment> group;
  {
    const std::lock_guard lock(mutex_);
    const auto& segments = series_[key].segments;
    for (auto it = segments.rbegin(); it != segments.rend() && it->level == segments.back().level;
         ++it) {
      group.insert(group.begin(), *it);
    }
  }
  if (group.size() < kJoinCount) return;
  std::vector<Segment> joined;
  wire::ParquetTable table;
  for (const auto& segment : group) {
    auto bytes = files_.read_all(segment.path);
    auto next =
        bytes ? wire::decode_parquet(*bytes) : Result<wire::ParquetTable>(std::move(bytes).error());
    if (!next) {
      // The file stays as it is; the next level starts without it.
      log::error("predictions.join",
                 Json::object({{"file", segment.path}, {"error", next.error().to_string()}}));
    }
    const bool fits = next && !joined.empty() && table.same_layout(*next) &&
                      joined.back().bytes + segment.bytes <= kMaxJoined;
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
  segments.resize(segments.size() - old.size());
  segments.insert(segments.end(), std::make_move_iterator(fresh.begin()),
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

std::vector<PredictionLog::Segment> PredictionLog::segments_of(std::string_view project,
                                                               std::string_view endpoint) {
  const std::lock_guard lock(mutex_);
  std::vector<Segment> out;
  const std::string prefix = key_of(project, endpoint);
  for (auto it = series_.lower_bound(prefix); it != series_.end(); ++it) {
    if (endpoint.empty() ? !it->first.starts_with(prefix) : it->first != prefix) break;
    out.insert(out.end(), it->second.segments.begin(), it->second.segments.end());
  }
  return out;
}

Result<std::vector<Prediction>> PredictionLog::read(const Segment& segment) const {
  auto bytes = files_.read_all(segment.path);
  if (!bytes) return std::move(bytes).error();
  auto table = wire::decode_parquet(*bytes);
  if (!table)
    return table.error().wrap("the prediction log file " + segment.path + " cannot be read");
  return predictions_of(*table);
}

Result<Prediction> PredictionLog::find(std::string_view project, std::string_view id) {
  const auto made = time_of_id(id);
  if (!made)
    return not_found(
        fmt::format("there is no prediction '{}'; ids are UUIDs of version 7", id.substr(0, 64)));
  if (pending_.load(std::memory_order_relaxed) > 0) STRATA_TRY(flush());
  for (const auto& segment : segments_of(project, {})) {
    if (segment.first_ms > *made || segment.last_ms < *made) continue;
    auto predictions = read(segment);
    if (!predictions) return std::move(predictions).error();
    for (auto& prediction : *predictions) {
      if (prediction.id == id) return std::move(prediction);
    }
  }
  return not_found(fmt::format("there is no prediction '{}' in the log", id));
}

Result<std::vector<Prediction>> PredictionLog::newest(std::string_view project,
                                                      std::string_view endpoint,
                                                      std::size_t limit) {
  if (pending_.load(std::memory_order_relaxed) > 0) STRATA_TRY(flush());
  limit = std::min(limit, kMaxPredictionsListed);
  std::vector<Prediction> out;
  const auto segments = segments_of(project, endpoint);
  for (auto it = segments.rbegin(); it != segments.rend() && out.size() < limit; ++it) {
    auto predictions = read(*it);
    if (!predictions) return std::move(predictions).error();
    for (auto p = predictions->rbegin(); p != predictions->rend() && out.size() < limit; ++p) {
      out.push_back(std::move(*p));
    }
  }
  return out;
}

std::vector<std::string> PredictionLog::files(std::string_view project, std::string_view endpoint) {
  std::vector<std::string> paths;
  for (auto& segment : segments_of(project, endpoint))
    paths.push_back(std::move(segment.path));
  return paths;
}

}  // namespace strata::platform::deployment
