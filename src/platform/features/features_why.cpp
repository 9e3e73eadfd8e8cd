// Why a feature has its value: every row of the key, and what became of it.
#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/features/aggregates.hpp"
#include "platform/features/features.hpp"
#include "platform/features/values.hpp"

namespace strata::platform::features {

using expressions::Value;
using kernel::Caller;
using streams::KeySet;
using streams::KeyState;
using streams::Past;
using streams::Stamp;
using streams::Streams;

namespace {

constexpr std::size_t kMaxShown = 1000;  // rows of a feature

// The features that a name stands for: one ("view.feature"), those of a view, those of a service.
Result<OnlineRequest> request_of(const Catalog& catalog, const std::string& name) {
  OnlineRequest out;
  out.full_names = true;
  if (name.contains('.')) {
    out.features.push_back(name);
  } else if (catalog.services.contains(name)) {
    for (const auto& one : catalog.services.at(name).features)
      out.features.push_back(one.view + "." + one.feature);
  } else if (const auto view = catalog.views.find(name); view != catalog.views.end()) {
    for (const auto& one : view->second.features)
      out.features.push_back(name + "." + one.name);
  } else {
    return not_found(
        fmt::format("there is no feature service or view '{}'; strata feature list has those that "
                    "are there, and one feature is named view.feature",
                    printable(name)));
  }
  return out;
}

// The features of views over streams that a feature is computed from; itself if it is one.
void add_sources(const Catalog& catalog, const std::string& view, const std::string& feature,
                 std::vector<std::pair<std::string, std::string>>& to) {
  const PlannedView& planned = catalog.views.at(view);
  if (!planned.on_demand) {
    if (std::ranges::find(to, std::pair(view, feature)) == to.end()) to.emplace_back(view, feature);
    return;
  }
  for (const auto& input : planned.find(feature)->inputs()) {
    const std::size_t dot = input.name.find('.');
    if (dot != std::string::npos)
      add_sources(catalog, input.name.substr(0, dot), input.name.substr(dot + 1), to);
  }
}

// Judges the rows of one key for one feature as of a time.
class Judge {
 public:
  Judge(const PlannedView& view, const PlannedFeature& feature, const Streams::Key& key,
        std::int64_t time)
      : view_(view),
        feature_(feature),
        key_(key),
        set_{*key.set, view.event_id},
        time_(time) {
    for (const auto& input : feature.inputs()) {
      const bool is_key =
          std::ranges::find(view.keys, input.name, &Column::name) != view.keys.end();
      if (!is_key) inputs_.insert(input.name);
    }
  }

  Result<std::vector<WhyRow>> rows(const std::vector<Past>& history) {
    for (const auto& past : history) {
      if (!counts(past)) continue;
      streams::fold(newest_, past.record->columns, past.row(), past.place);
      if (!past.row().deleted)
        streams::fold(events_[id_of(past)], past.record->columns, past.row(), past.place);
    }
    std::vector<WhyRow> out;
    for (const auto& past : history) {
      const auto reason = reason_of(past);
      if (!reason) return reason.error();
      const auto& row = past.row();
      out.push_back({row.event, row.created, past.record->received, past.place,
                     past.record->pushed_by, *reason});
    }
    std::ranges::sort(out, std::greater<>(),
                      [](const WhyRow& row) { return Stamp{row.event, row.created, row.place}; });
    return out;
  }

 private:
  static Stamp stamp_of(const Past& past) {
    return {past.row().event, past.row().created, past.place};
  }
  bool counts(const Past& past) const {
    return past.row().event <= time_ && past.row().created <= time_;
  }
  std::string id_of(const Past& past) const {
    return streams::event_id(set_, *past.record, past.row());
  }

  Result<Reason> reason_of(const Past& past) const {
    if (past.row().event > time_) return Reason::kLater;
    if (past.row().created > time_) return Reason::kUnknown;
    if (past.row().deleted) return Reason::kDeletion;
    if (newest_.deleted && stamp_of(past) < *newest_.deleted) return Reason::kDeleted;
    return feature_.aggregate ? of_window(past) : of_newest(past);
  }

  // Whether what the row says of the inputs, or that it is there, stands in the state.
  bool gives(const Past& past, const KeyState& state) const {
    const Stamp stamp = stamp_of(past);
    return std::ranges::any_of(state.cells, [&](const auto& cell) {
      return (inputs_.empty() || inputs_.contains(cell.first)) && cell.second.stamp == stamp;
    });
  }

  // Whether the row says anything of what is read.
  bool speaks(const Past& past) const {
    if (inputs_.empty()) return true;
    const auto& columns = past.record->columns;
    for (std::size_t i = 0; i < columns.size() && i < past.row().cells.size(); ++i) {
      if (past.row().cells[i] && inputs_.contains(columns[i].name)) return true;
    }
    return false;
  }

  Result<Reason> of_newest(const Past& past) const {
    if (gives(past, newest_)) {
      const bool expired = view_.ttl && time_ - past.row().event > view_.ttl->count();
      return expired ? Reason::kExpired : Reason::kCounted;
    }
    if (!speaks(past)) return Reason::kSilent;
    // What counts instead was there already when this one came.
    const bool late = std::ranges::any_of(newest_.cells, [&](const auto& cell) {
      return inputs_.contains(cell.first) && cell.second.stamp.place < past.place;
    });
    return late ? Reason::kLate : Reason::kSuperseded;
  }

  Result<Reason> of_window(const Past& past) const {
    const Window window = window_at(*feature_.aggregate, time_);
    if (past.row().event <= window.after || past.row().event > window.until)
      return Reason::kOutside;
    const KeyState& event = events_.at(id_of(past));
    const auto row = event_row(view_, key_.values, event, newest_.deleted);
    if (!row) return row.error();
    if (!*row) return Reason::kDeleted;
    // A row that says nothing of the inputs counts where it makes the event.
    const bool makes = inputs_.empty() && (*row)->stamp == stamp_of(past);
    if (!makes && !gives(past, event)) return speaks(past) ? Reason::kSuperseded : Reason::kSilent;
    std::size_t place = 0;
    for (const auto& other : view_.features) {
      if (other.name == feature_.name) break;
      if (other.aggregate) ++place;
    }
    const Value& where = (*row)->values[2 * place + 1];
    if (!where.present || where.integer == 0) return Reason::kFiltered;
    return (*row)->values[2 * place].present ? Reason::kCounted : Reason::kNull;
  }

  const PlannedView& view_;
  const PlannedFeature& feature_;
  const Streams::Key& key_;
  streams::EventSet set_;
  std::int64_t time_;
  std::set<std::string> inputs_;
  KeyState newest_;
  std::map<std::string, KeyState> events_;
};

}  // namespace

std::string_view reason_name(Reason reason) {
  constexpr std::array<std::string_view, 12> kNames = {
      "counted",    "later", "not known yet", "deletion", "deleted", "expired",
      "superseded", "late",  "says nothing",  "filtered", "null",    "outside of the window"};
  return kNames.at(static_cast<std::size_t>(reason));
}

Task<Result<Explained>> Features::why(const Caller& caller, std::string name, Json entities,
                                      std::optional<Instant> at) {
  const auto now = catalog(caller.project);
  auto request = request_of(*now, name);
  if (!request) co_return std::move(request).error();
  Explained out;
  out.time = at.value_or(ports_.clock.now());
  if (!entities.is_object())
    co_return invalid("entities", "entities: expected an object, name to a list of one value");
  Json times = Json::array();
  times.push(show_micros(out.time.micros));
  request->entities = std::move(entities);
  request->entities.set(std::string(kSpineTime), std::move(times));
  const KnownAt as_asked;
  auto answer = co_await features::historical(*now, caller.project.str(), ports_.streams,
                                              ports_.pool, *std::move(request), as_asked);
  if (!answer) co_return std::move(answer).error();
  out.sequence = answer->sequence;
  std::vector<std::pair<std::string, std::string>> sources;
  for (std::size_t i = 0; i < answer->service.features.size(); ++i) {
    const auto& one = answer->service.features[i];
    out.values.emplace_back(one, answer->rows.front()[i]);
    add_sources(*now, one.view, one.feature, sources);
  }
  std::map<std::string, std::vector<Past>> histories;
  for (const auto& [view_name, feature_name] : sources) {
    const PlannedView& view = now->views.at(view_name);
    const PlannedFeature& feature = *view.find(feature_name);
    const KeySet set = key_set_of(caller.project, view);
    Why why{view_name, feature_name, {}, {}, 0};
    if (feature.aggregate) {
      const Window window = window_at(*feature.aggregate, out.time.micros);
      why.window = std::pair(window.after, window.until);
    }
    if (auto key = key_in(view, answer->input, 0)) {
      const std::vector<Streams::Key> keys = {{&set, *std::move(key)}};
      if (!histories.contains(view_name)) {
        auto history = co_await ports_.streams.history(keys);
        if (!history) co_return std::move(history).error();
        histories.emplace(view_name, std::move(history->rows.front()));
      }
      Judge judge(view, feature, keys.front(), out.time.micros);
      auto rows = judge.rows(histories.at(view_name));
      if (!rows) co_return std::move(rows).error();
      why.rows = *std::move(rows);
    }
    if (why.rows.size() > kMaxShown) {
      why.not_shown = why.rows.size() - kMaxShown;
      why.rows.resize(kMaxShown);
    }
    out.features.push_back(std::move(why));
  }
  co_return out;
}

}  // namespace strata::platform::features
