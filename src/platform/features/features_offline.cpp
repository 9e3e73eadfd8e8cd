// Features as they were at some times of the past: the rows that count at each, folded as online.
#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "platform/features/aggregates.hpp"
#include "platform/features/features.hpp"
#include "platform/features/values.hpp"

namespace strata::platform::features {

using kernel::Caller;
using streams::KeySet;
using streams::KeyState;
using streams::Past;
using streams::Streams;

namespace {

// The times of the spine's rows, one each. Errors: kInvalidArgument, field "entities" or below.
Result<std::vector<std::int64_t>> times_of(const Json& entities) {
  const std::string field = fmt::format("entities.{}", kSpineTime);
  const Json& list = entities[kSpineTime];
  if (!list.is_array()) {
    return invalid(field, field + ": is needed, as a list of the times as of which each row asks");
  }
  std::vector<std::int64_t> out;
  for (const Json& one : list.as_array()) {
    const std::string at = fmt::format("{}.{}", field, out.size());
    const auto time = value_of(one, Type::kTimestamp, at);
    if (!time) return time.error();
    if (!time->present) return invalid(at, at + ": each row needs a time");
    out.push_back(time->integer);
  }
  return out;
}

// From when on a row counts for the questions of its key.
std::int64_t since(const Past& past, const KnownAt& known_at) {
  const auto& row = past.row();
  return known_at.as_asked ? std::max(row.event, row.created) : row.event;
}

// One key of one view, with the rows of the spine that ask for it.
struct Asked {
  const std::string* name = nullptr;
  const PlannedView* view = nullptr;
  Streams::Key key;
  std::vector<std::size_t> rows;
};

class Spine {
 public:
  Spine(const OnlineInput& input, const std::vector<std::int64_t>& times)
      : input_(input),
        times_(times),
        states_(times.size()) {}

  // Rows of windows that one request may visit, so that no question takes minutes.
  static constexpr std::size_t kMaxVisits = 50'000'000;

  // The distinct keys that the spine asks for, of every view.
  void ask(const std::string& name, const PlannedView& view, const KeySet& set) {
    std::map<std::string, std::size_t> known;
    for (std::size_t row = 0; row < times_.size(); ++row) {
      states_[row][name] = ViewState();
      auto values = key_in(view, input_, row);
      if (!values) continue;
      streams::ByteWriter bytes;
      for (const auto& value : *values)
        bytes.value(value);
      const auto [at, is_new] = known.try_emplace(std::move(bytes).take(), asked_.size());
      if (is_new) asked_.push_back({&name, &view, {&set, *std::move(values)}, {}});
      asked_[at->second].rows.push_back(row);
    }
  }

  std::vector<Streams::Key> keys() const {
    std::vector<Streams::Key> out;
    for (const auto& one : asked_)
      out.push_back(one.key);
    return out;
  }

  // A fold is the same in any order, so rows are taken in that in which they begin to count, and
  // each question is answered by the state when its time has come.
  Status fold(std::vector<std::vector<Past>> history, const KnownAt& known_at) {
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      auto& rows = history[i];
      std::erase_if(rows, [&](const Past& past) {
        return known_at.until && past.row().created > known_at.until->micros;
      });
      std::ranges::sort(rows, {}, [&](const Past& past) { return since(past, known_at); });
      std::ranges::sort(asked_[i].rows, {}, [&](std::size_t row) { return times_[row]; });
      KeyState state;
      auto next = rows.begin();
      for (const std::size_t row : asked_[i].rows) {
        for (; next != rows.end() && since(*next, known_at) <= times_[row]; ++next)
          streams::fold(state, next->record->columns, next->row(), next->place);
        states_[row][*asked_[i].name].newest = state;
      }
      if (asked_[i].view->has_windows()) STRATA_TRY(fold_windows(asked_[i], rows, known_at));
    }
    return {};
  }

  const std::map<std::string, ViewState>& states(std::size_t row) const { return states_[row]; }

 private:
  // All rows of one event, and what they come to where that is the same at any time.
  struct EventRows {
    std::int64_t event = 0;
    std::vector<const Past*> rows{};
    std::optional<EventRow> alone{};
  };

  static Result<std::vector<EventRows>> events_of(const Asked& asked,
                                                  const std::vector<Past>& rows) {
    std::map<std::string, EventRows> by_id;
    const streams::EventSet set{*asked.key.set, asked.view->event_id};
    for (const auto& past : rows) {
      if (past.row().deleted) continue;
      auto& event = by_id[streams::event_id(set, *past.record, past.row())];
      event.event = past.row().event;
      event.rows.push_back(&past);
    }
    std::vector<EventRows> out;
    for (auto& [id, event] : by_id) {
      if (event.rows.size() == 1) {
        KeyState state;
        const Past& past = *event.rows.front();
        streams::fold(state, past.record->columns, past.row(), past.place);
        auto row = event_row(*asked.view, asked.key.values, state, {});
        if (!row) return std::move(row).error();
        event.alone = *std::move(row);
      }
      out.push_back(std::move(event));
    }
    std::ranges::sort(out, {}, &EventRows::event);
    return out;
  }

  // For each question the events of its windows, of the rows that count then.
  Status fold_windows(const Asked& asked, const std::vector<Past>& rows, const KnownAt& known_at) {
    const auto events = events_of(asked, rows);
    if (!events) return events.error();
    for (const std::size_t row : asked.rows) {
      ViewState& state = states_[row][*asked.name];
      const Window reach = reach_of(*asked.view, times_[row]);
      const auto first = std::ranges::upper_bound(*events, reach.after, {}, &EventRows::event);
      const auto end = std::ranges::upper_bound(*events, reach.until, {}, &EventRows::event);
      visits_ += static_cast<std::size_t>(std::max<std::ptrdiff_t>(end - first, 0));
      if (visits_ > kMaxVisits) {
        return Error(Code::kResourceExhausted,
                     fmt::format("the windows of these rows have more than {} rows together; ask "
                                 "for fewer rows at a time",
                                 kMaxVisits));
      }
      std::deque<EventRow> made;
      std::vector<const EventRow*> order;
      for (auto at = first; at < end; ++at) {
        const auto one = row_at(asked, *at, times_[row], known_at, state.newest.deleted, made);
        if (!one) return one.error();
        if (*one != nullptr) order.push_back(*one);
      }
      std::ranges::sort(order, {}, &EventRow::stamp);
      state.windows = aggregate(*asked.view, order, times_[row]);
    }
    return {};
  }

  // The event as of a time; null where nothing of it counts.
  static Result<const EventRow*> row_at(const Asked& asked, const EventRows& event,
                                        std::int64_t time, const KnownAt& known_at,
                                        const std::optional<streams::Stamp>& deleted,
                                        std::deque<EventRow>& made) {
    if (event.rows.size() == 1) {
      const bool counts = event.alone && since(*event.rows.front(), known_at) <= time &&
                          !(deleted && event.alone->stamp < *deleted);
      return counts ? &*event.alone : nullptr;
    }
    KeyState state;
    for (const Past* const past : event.rows) {
      if (since(*past, known_at) <= time)
        streams::fold(state, past->record->columns, past->row(), past->place);
    }
    auto row = event_row(*asked.view, asked.key.values, state, deleted);
    if (!row) return std::move(row).error();
    return *row ? &made.emplace_back(**std::move(row)) : nullptr;
  }

  const OnlineInput& input_;
  const std::vector<std::int64_t>& times_;
  std::vector<Asked> asked_;
  std::vector<std::map<std::string, ViewState>> states_;  // by row, by view
  std::size_t visits_ = 0;
};

}  // namespace

Task<Result<OnlineAnswer>> historical(const Catalog& now, std::string project, Streams& streams,
                                      BlockingPool& pool, OnlineRequest request, KnownAt known_at) {
  auto service = service_of(now, request);
  if (!service) co_return std::move(service).error();
  OnlineAnswer out;
  out.service = *std::move(service);
  if (!request.entities.is_object())
    co_return invalid("entities", "entities: expected an object, name to a list of values");
  auto times = times_of(request.entities);
  if (!times) co_return std::move(times).error();
  std::erase_if(request.entities.as_object(),
                [](const Json::Member& member) { return member.first == kSpineTime; });
  auto input = input_of(out.service, request.entities, kMaxSpineRows);
  if (!input) co_return std::move(input).error();
  out.input = *std::move(input);
  if (out.input.rows.size() != times->size()) {
    co_return invalid("entities", fmt::format("entities: {} has {} values where others have {}",
                                              kSpineTime, times->size(), out.input.rows.size()));
  }
  const auto views = state_views(now, out.service);
  if (!views) co_return views.error();
  std::map<std::string, KeySet> sets;
  for (const auto& [name, view] : *views)
    sets.emplace(name, key_set_of(ProjectId(project), *view));
  Spine spine(out.input, *times);
  for (const auto& [name, view] : *views)
    spine.ask(name, *view, sets.at(name));
  auto history = co_await streams.history(spine.keys());
  if (!history) co_return std::move(history).error();
  out.sequence = history->sequence;
  const auto compute = [&]() -> Status {
    STRATA_TRY(spine.fold(std::move(history->rows), known_at));
    for (std::size_t row = 0; row < times->size(); ++row) {
      auto values =
          evaluate(now, out.service, out.input, row, spine.states(row), Instant{(*times)[row]});
      if (!values) return std::move(values).error();
      out.rows.push_back(*std::move(values));
    }
    return {};
  };
  STRATA_CO_TRY(co_await pool.run(compute));
  co_return out;
}

Task<Result<OnlineAnswer>> Features::historical(const Caller& caller, OnlineRequest request,
                                                KnownAt known_at) {
  const auto now = catalog(caller.project);
  auto answer = co_await features::historical(*now, caller.project.str(), ports_.streams,
                                              ports_.pool, std::move(request), known_at);
  if (answer) answer->time = ports_.clock.now();
  co_return answer;
}

}  // namespace strata::platform::features
