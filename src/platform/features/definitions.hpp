#pragma once

// What people write of features: entities, sources, views, services, as YAML or JSON, by the same
// rules. Plain values; what they mean together is decided by make_catalog() (catalog.hpp).

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "platform/expressions/expressions.hpp"

namespace strata::platform::features {

using expressions::Type;

struct Column {
  std::string name;
  Type type = Type::kInt64;
  auto operator<=>(const Column&) const = default;
};

// What says nothing about values, and so is no part of a version.
struct Notes {
  std::string description, owner;
  std::map<std::string, std::string> tags;
  bool operator==(const Notes&) const = default;
};

struct Entity {
  std::vector<Column> keys;  // sorted by name; int64, string, bool or timestamp
  Notes notes;
};

// Where rows come from, and which of their columns say when.
struct Source {
  enum class Kind : std::uint8_t { kStream, kTable, kObject };
  Kind kind = Kind::kStream;
  std::string location;         // of a table "schema.name", of an object "s3://bucket/key"
  std::vector<Column> columns;  // sorted by name
  std::string timestamp;        // the column with the event time
  std::string created;          // the column with the time the row was made; empty: when it arrived
  Notes notes;

  const Column* find(std::string_view column) const;
};

// What the rows of a key in a window of time come to. A sliding window at a time t is (t - window,
// t]; a tumbling one is the newest whole one at t, [k * window, (k + 1) * window) since 1970, UTC.
struct Aggregate {
  enum class Function : std::uint8_t {
    kCount,
    kSum,
    kMean,
    kMin,
    kMax,
    kVariance,  // of a sample, as SQL's
    kStddev,
    kFirst,
    kLast,
    kCountDistinct
  };
  Function function = Function::kCount;
  std::string where;  // which rows count; empty: all
  std::chrono::milliseconds window{0};
  bool tumbling = false;
};
std::string_view function_name(Aggregate::Function function);
inline constexpr std::chrono::hours kMaxWindow{24 * 400};

struct Feature {
  std::string expression;  // of an aggregate: of what; empty: of rows
  std::string description;
  std::optional<Aggregate> aggregate{};
};

// Features over the newest row of each key, or over its rows in windows of time.
struct View {
  std::vector<std::string> entities;  // whose keys together are the view's
  std::string source;
  std::optional<std::chrono::milliseconds> ttl;    // none: values never expire
  std::optional<std::chrono::milliseconds> fresh;  // promised
  std::map<std::string, Feature> features;
  // Columns that tell events of a key at one time apart, for aggregates; sorted.
  std::vector<std::string> event_id{};
  Notes notes;
};

// Features computed at the time of a request, of its fields and of other views' features.
struct OnDemandView {
  std::vector<Column> request;  // sorted by name
  std::map<std::string, Feature> features;
  Notes notes;
};

// An ordered vector of features, each as "view.feature": what a model is given.
struct Service {
  std::vector<std::string> features;
  Notes notes;
};

// All by name. A view and an on-demand view never share one.
struct Definitions {
  std::map<std::string, Entity> entities;
  std::map<std::string, Source> sources;
  std::map<std::string, View> views;
  std::map<std::string, OnDemandView> on_demand;
  std::map<std::string, Service> services;
};

// Where a field stands in the file that it was read from, by its path ("views.v.features.f").
struct Place {
  int line = 0, column = 0;
};
using Places = std::map<std::string, Place, std::less<>>;

struct Document {
  Definitions definitions;
  Places places;  // empty for JSON
};

// Errors: kMalformed for what is no YAML, kInvalidArgument with the field's path; messages begin
// with "file:line:column: ".
Result<Document> read_features_yaml(std::string_view text, const std::string& file);
Result<Document> read_features_json(const Json& json);

// `error` with the place of its field, or of the closest one around it, in front of the message.
Error located(const Error& error, const std::string& file, const Places& places);

// One definition in JSON, the same for each spelling; what the readers above read back.
Json to_json(const Entity& entity);
Json to_json(const Source& source);
Json to_json(const View& view);
Json to_json(const OnDemandView& view);
Json to_json(const Service& service);
// The whole document.
Json to_json(const Definitions& definitions);

// A letter or '_', then also digits; at most 64: what names have to be, so that expressions can use
// them.
bool is_feature_name(std::string_view text);

}  // namespace strata::platform::features
