#pragma once

// What the rows of a key come to in windows of time: one fold, for serving and for the past. Pure.
// Rows are taken in one order, by event, then by when they were made, then by their place in the
// log, and sums are exact before they are rounded once, so equal rows give equal bits.

#include <memory>
#include <span>
#include <vector>

#include "platform/features/online.hpp"

namespace strata::platform::features {

// Times of rows that count: after `after`, up to and with `until`. Microseconds.
struct Window {
  std::int64_t after = 0, until = 0;
};
// The window that an aggregate has at a time.
Window window_at(const PlannedAggregate& aggregate, std::int64_t time);
// All that the windows of a view reach at a time.
Window reach_of(const PlannedView& view, std::int64_t time);
// The events that the views over streams need, each set with how long it has to be kept.
std::map<streams::EventSet, std::chrono::microseconds> event_sets(const Catalog& catalog,
                                                                  const ProjectId& project);
streams::EventSet event_set_of(const ProjectId& project, const PlannedView& view);

// An event as the aggregates of a view see it: two values for each of them, of what and whether it
// counts.
struct EventRow {
  streams::Stamp stamp;  // of the newest that it is made of
  std::vector<expressions::Value> values;
};

// `event`, what its rows come to, without what `deleted` takes away; nothing when that is all.
// `key` has the values of the view's keys. Errors: those of Program::run().
Result<std::optional<EventRow>> event_row(const PlannedView& view,
                                          const std::vector<expressions::Value>& key,
                                          const streams::KeyState& event,
                                          const std::optional<streams::Stamp>& deleted);

// The value of each feature of the view that is an aggregate, by the place of the feature; the
// others stay as they are made. `rows` are in order of their stamps.
std::vector<FeatureValue> aggregate(const PlannedView& view, std::span<const EventRow* const> rows,
                                    std::int64_t time);

// One aggregate of values that are present, in order.
expressions::Value aggregate_values(Aggregate::Function function, Type of,
                                    std::span<const expressions::Value* const> values);

}  // namespace strata::platform::features
