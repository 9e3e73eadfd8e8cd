#pragma once

// Features as of now: from the states of keys, the fields of a request, and the kernels. Pure.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "platform/features/catalog.hpp"
#include "platform/streams/streams.hpp"

namespace strata::platform::features {

inline constexpr std::size_t kMaxOnlineRows = 1000;

inline constexpr std::size_t kMaxSpineRows = 50'000;
// The column of a spine that has the times as of which its rows ask.
inline constexpr std::string_view kSpineTime = "event_timestamp";

// Which rows of the past count beside the time of their event: those that had been made by the time
// that is asked about, as online, or by one time for all questions.
struct KnownAt {
  bool as_asked = true;
  std::optional<Instant> until{};
};

struct OnlineRequest {
  std::string service;                // or `features`
  std::vector<std::string> features;  // "view.feature"
  Json entities;            // an object of lists of one length: keys and fields of the request
  bool full_names = false;  // features of one name are told apart by their views
};

enum class Presence : std::uint8_t {
  kPresent,
  kNull,     // computed, and NULL
  kMissing,  // nothing is known of the key, or of what the feature is computed from
  kExpired   // what it is computed from is older than the view's ttl
};
// "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE".
std::string_view presence_name(Presence presence);

struct FeatureValue {
  expressions::Value value;  // NULL unless present
  Presence presence = Presence::kMissing;
  std::int64_t event = 0;  // microseconds: of the oldest row it is computed from; 0 when missing
};

// What is known of a view's key at a time.
struct ViewState {
  streams::KeyState newest;
  std::vector<FeatureValue>
      windows{};  // of a view with aggregates; those of others have no meaning
};

// What a request brings, checked: the columns that its features need, row by row.
struct OnlineInput {
  std::vector<Column> columns;                        // sorted by name
  std::vector<std::vector<expressions::Value>> rows;  // by column
};

struct OnlineAnswer {
  PlannedService service;
  OnlineInput input;
  std::vector<std::vector<FeatureValue>> rows;  // by feature of the service
  Instant time;                                 // that all is as of
  std::uint64_t sequence = 0;                   // of the log's prefix that was read
};

// Errors: kInvalidArgument, field "entities" or below: a key or field that is missing or unknown,
// lists of different length, a value of another type, too many rows.
Result<OnlineInput> input_of(const PlannedService& service, const Json& entities,
                             std::size_t max_rows = kMaxOnlineRows);

// The vector that a request names: a service, or features. Errors: kNotFound, kInvalidArgument.
Result<PlannedService> service_of(const Catalog& catalog, const OnlineRequest& request);
// By what the states of a view are kept.
streams::KeySet key_set_of(const ProjectId& project, const PlannedView& view);

// The views whose states a service needs, those behind on-demand views included, by name. Errors:
// kUnsupported for a view over a table or an object.
Result<std::map<std::string, const PlannedView*>> state_views(const Catalog& catalog,
                                                              const PlannedService& service);

// The key of a view in a row of the input; nothing where a part of it is NULL.
std::optional<std::vector<expressions::Value>> key_in(const PlannedView& view,
                                                      const OnlineInput& input, std::size_t row);

// The service's vector for a row. `states` has the state of the row's key for each of
// state_views().
Result<std::vector<FeatureValue>> evaluate(const Catalog& catalog, const PlannedService& service,
                                           const OnlineInput& input, std::size_t row,
                                           const std::map<std::string, ViewState>& states,
                                           Instant now);

}  // namespace strata::platform::features
