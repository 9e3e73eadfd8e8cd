// What the feature store does at run time: rows in, vectors out.
#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/features/aggregates.hpp"
#include "platform/features/features.hpp"

namespace strata::platform::features {

using kernel::Caller;
using streams::KeySet;
using streams::KeyState;
using streams::Streams;

namespace {

// The states that a request needs: which of them belongs to which view of which row.
struct Needed {
  std::vector<Streams::Key> keys;
  std::vector<Streams::Span> spans;
  struct At {
    std::size_t key = 0;                // in `keys`
    std::optional<std::size_t> span{};  // in `spans`
  };
  std::vector<std::map<std::string, At>> at;  // by row and view
};

struct Sets {
  KeySet keys;
  streams::EventSet events;
};

// The spans reach from what windows have `since` to what may come until the answer is made.
Needed needed(const std::map<std::string, const PlannedView*>& views,
              const std::map<std::string, Sets>& sets, const OnlineInput& input, Instant since) {
  Needed out;
  out.at.resize(input.rows.size());
  for (const auto& [name, view] : views) {
    for (std::size_t row = 0; row < input.rows.size(); ++row) {
      auto values = key_in(*view, input, row);
      if (!values) continue;
      Needed::At at{out.keys.size()};
      if (view->has_windows()) {
        at.span = out.spans.size();
        out.spans.push_back({&sets.at(name).events, *values, reach_of(*view, since.micros).after,
                             (since + kAhead).micros});
      }
      out.at[row].emplace(name, at);
      out.keys.push_back({&sets.at(name).keys, *std::move(values)});
    }
  }
  return out;
}

// What the events of a key come to at a time.
Result<std::vector<FeatureValue>> windows_of(const PlannedView& view, const Streams::Key& key,
                                             const KeyState& newest,
                                             const std::vector<KeyState>& events,
                                             std::int64_t time) {
  std::vector<EventRow> rows;
  for (const auto& event : events) {
    auto row = event_row(view, key.values, event, newest.deleted);
    if (!row) return std::move(row).error();
    if (*row) rows.push_back(**std::move(row));
  }
  std::ranges::sort(rows, {}, &EventRow::stamp);
  std::vector<const EventRow*> order;
  for (const auto& row : rows)
    order.push_back(&row);
  return aggregate(view, order, time);
}

}  // namespace

Status Features::start() {
  STRATA_TRY(ports_.streams.start());
  std::vector<KeySet> sets;
  std::map<streams::EventSet, std::chrono::microseconds> events;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [project, state] : states_) {
      const auto kept = new_key_sets(Catalog(), *state->catalog, ProjectId(project));
      sets.insert(sets.end(), kept.begin(), kept.end());
      events.merge(event_sets(*state->catalog, ProjectId(project)));
    }
  }
  for (auto& set : sets)
    STRATA_TRY(sync_wait(ports_.streams.keep(std::move(set))));
  for (const auto& [set, kept] : events)
    STRATA_TRY(sync_wait(ports_.streams.keep_events(set, kept)));
  return {};
}

std::vector<KeySet> Features::new_key_sets(const Catalog& now, const Catalog& next,
                                           const ProjectId& project) {
  std::set<KeySet> before;
  std::set<KeySet> out;
  for (const auto* const catalog : {&now, &next}) {
    for (const auto& [name, source] : catalog->definitions.sources) {
      if (source.kind != Source::Kind::kStream) continue;
      auto sets = key_sets(*catalog, project.str(), name);
      (catalog == &now ? before : out).merge(sets);
    }
  }
  std::erase_if(out, [&](const KeySet& set) { return before.contains(set); });
  return {out.begin(), out.end()};
}

Task<Result<streams::Pushed>> Features::push(const Caller& caller, PushRequest request) {
  const auto now = catalog(caller.project);
  auto record = record_of(*now, caller.project.str(), request, ports_.clock.now());
  if (!record) co_return std::move(record).error();
  record->pushed_by = caller.user_name;
  co_return co_await ports_.streams.push(*std::move(record));
}

Task<Result<streams::Pushed>> Features::push_features(const Caller& caller, std::string view,
                                                      Json rows) {
  const auto now = catalog(caller.project);
  auto request = rows_of_view(*now, view, rows);
  if (!request) co_return std::move(request).error();
  co_return co_await push(caller, *std::move(request));
}

Task<Result<OnlineAnswer>> Features::online(const Caller& caller, OnlineRequest request) {
  const auto now = catalog(caller.project);
  OnlineAnswer out;
  auto service = service_of(*now, request);
  if (!service) co_return std::move(service).error();
  out.service = *std::move(service);
  auto input = input_of(out.service, request.entities);
  if (!input) co_return std::move(input).error();
  out.input = *std::move(input);
  const auto views = state_views(*now, out.service);
  if (!views) co_return views.error();
  std::map<std::string, Sets> sets;
  for (const auto& [name, view] : *views)
    sets.emplace(name,
                 Sets{key_set_of(caller.project, *view), event_set_of(caller.project, *view)});
  const Needed need = needed(*views, sets, out.input, ports_.clock.now());
  auto snapshot = co_await ports_.streams.read(need.keys, need.spans);
  if (!snapshot) co_return std::move(snapshot).error();
  out.sequence = snapshot->sequence;
  out.time = ports_.clock.now();
  for (std::size_t row = 0; row < out.input.rows.size(); ++row) {
    std::map<std::string, ViewState> states;
    for (const auto& [name, view] : *views) {
      ViewState& state = states[name];
      const auto at = need.at[row].find(name);
      if (at == need.at[row].end()) continue;
      state.newest = std::move(snapshot->states[at->second.key]);
      if (!at->second.span) continue;
      auto windows = windows_of(*view, need.keys[at->second.key], state.newest,
                                snapshot->events[*at->second.span], out.time.micros);
      if (!windows) co_return std::move(windows).error();
      state.windows = *std::move(windows);
    }
    auto values = evaluate(*now, out.service, out.input, row, states, out.time);
    if (!values) co_return std::move(values).error();
    out.rows.push_back(*std::move(values));
  }
  co_return out;
}

}  // namespace strata::platform::features
