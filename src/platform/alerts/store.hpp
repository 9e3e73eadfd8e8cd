#pragma once

#include <string>
#include <vector>

#include "kernel/records/records.hpp"
#include "platform/alerts/alarm.hpp"

// The room's records, in other hands' transactions.
namespace strata::platform::alerts::store {

std::span<const kernel::Migration> migrations();

// Of one project, or of all for an empty name.
Result<std::vector<Route>> routes(kernel::Reader& reader, const std::string& project);
// Those that are not over.
Result<std::vector<Silence>> silences(kernel::Reader& reader, const std::string& project,
                                      Instant now);
bool silenced(const std::vector<Silence>& silences, const Labels& labels, Instant now);

// Makes `change` of the alarms, and puts in line what routes have to be told of that.
Status apply(kernel::Writer& writer, const Change& change, Instant now);

struct Due {
  Route route;
  Alarm alarm;
};
// Open alarms that routes have to be told of now; `next` is when to look again.
Result<std::vector<Due>> due(kernel::Reader& reader, Instant now, Instant& next);
Status enqueue(kernel::Writer& writer, const Route& route, const Alarm& alarm, Instant now);

Json labels_json(const Labels& labels);
Result<Labels> labels_of(const std::string& text);

}  // namespace strata::platform::alerts::store
