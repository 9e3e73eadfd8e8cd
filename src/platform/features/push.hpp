#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "platform/features/catalog.hpp"
#include "platform/streams/streams.hpp"

namespace strata::platform::features {

inline constexpr std::size_t kMaxPushRows = 10'000;
// So far a row's event may lie after the server's clock, since clocks differ; what is online is
// read as of the server's time and so much.
inline constexpr std::chrono::microseconds kAhead{60'000'000};

// What a client pushes: rows as objects, column to value; `deletes` in the same form, with the keys
// and the time since when they are gone.
struct PushRequest {
  std::string stream, idempotency_key;
  Json rows, deletes;  // arrays, or null
};

// By which columns the rows of a stream are told apart, by the views over it.
std::set<streams::KeySet> key_sets(const Catalog& catalog, const std::string& project,
                                   const std::string& stream);

// Errors: kNotFound (no such stream), kInvalidArgument with the field ("rows.3.delay"): an unknown
// column, a value of another type, no time, a time that lies in the future, no key.
Result<streams::Record> record_of(const Catalog& catalog, const std::string& project,
                                  const PushRequest& request, Instant now);

// Rows that name keys, features that are a bare column, columns, `event_timestamp` and `created`,
// as a push into the view's stream. Errors: kNotFound (no such view), kInvalidArgument.
Result<PushRequest> rows_of_view(const Catalog& catalog, const std::string& view, const Json& rows);

}  // namespace strata::platform::features
