#pragma once

// What definitions mean together: the canonical plan of each view and service, whose SHA-256 is its
// version. Pure: the same definitions give the same plans, for ever.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/features/definitions.hpp"

namespace strata::platform::features {

struct PlannedAggregate {
  Aggregate::Function function = Aggregate::Function::kCount;
  std::optional<expressions::Expression> where{};
  std::chrono::microseconds window{0};
  bool tumbling = false;
};

struct PlannedFeature {
  std::string name;
  expressions::Expression expression;  // of an aggregate: of what
  std::optional<PlannedAggregate> aggregate{};

  Type type() const;
  // What is computed, the same text for the same.
  std::string canonical() const;
  std::vector<expressions::Input> inputs() const;
};

// A view or an on-demand view, ready to be computed.
struct PlannedView {
  bool on_demand = false;
  std::vector<Column> keys;     // of a view, sorted by name
  std::vector<Column> request;  // of an on-demand view, its own and those of the views it reads
  std::string source;           // the name of a view's source
  std::optional<std::chrono::microseconds> ttl;
  std::vector<PlannedFeature> features;                 // sorted by name
  std::shared_ptr<const expressions::Program> program;  // of all features, in their order
  // Of a view with aggregates: by which rows are told apart, and what is computed of each row, `of`
  // and `where` (TRUE if there is none) of each aggregate in order.
  std::vector<std::string> event_id;
  std::shared_ptr<const expressions::Program> row_program;
  std::vector<std::string> reads;  // the views that an on-demand view computes with
  std::string version;             // "sha256:..." of the plan as JSON text
  Json plan;

  bool has_windows() const { return row_program != nullptr; }
  const PlannedFeature* find(std::string_view feature) const;
};

// A feature of a service, in the service's order.
struct ServedFeature {
  std::string view, feature;
  Type type = Type::kInt64;
};

struct PlannedService {
  std::vector<ServedFeature> features;
  std::vector<Column> keys;     // that a request has to bring, sorted by name
  std::vector<Column> request;  // fields that on-demand views take from it, sorted by name
  std::string version;
  Json plan;
};

struct Catalog {
  Definitions definitions;
  std::map<std::string, PlannedView> views;  // on-demand views, too
  std::map<std::string, PlannedService> services;
};

// Errors: kInvalidArgument with the path of the field: an unknown entity, source, column, view or
// feature; a name that stands for two things; types that differ; views that read each other.
Result<Catalog> make_catalog(Definitions definitions);

// The service of any "view.feature" texts, in their order. Errors: as above, field `field`; also
// for two features of one name, unless they have `full_names`.
Result<PlannedService> plan_service(const Catalog& catalog,
                                    const std::vector<std::string>& features,
                                    const std::string& field, bool full_names = false);

// What applying `next` over `now` would do.
struct Change {
  enum class What : std::uint8_t { kSame, kNew, kNotes, kVersion };
  std::string kind;  // "entity", "source", "view", "on_demand", "service"
  std::string name;
  What what = What::kSame;
  std::string version{}, previous{};    // empty for entities and sources
  std::vector<std::string> changed{};   // features whose computation is another, or that are new
  std::vector<std::string> removed{};   // features that are there no more
  std::vector<std::string> equal_to{};  // other views with the same plan
  std::vector<std::string> services{};  // that get another version by it
};
std::string_view change_name(Change::What what);

// `given` over what stands: what it does not name stays. Errors: kInvalidArgument when a column of
// a stream would get another type, since its rows stand in the log.
Result<Definitions> merged(const Definitions& now, const Definitions& given);
// For each definition that `given` names, sorted by kind and name; and for those that change with
// them.
std::vector<Change> changes(const Catalog& now, const Catalog& next, const Definitions& given);

// The features, as "view.feature", of views on `source` that compute the same as `expression`.
// Errors: kInvalidArgument, field "expression" or "source".
Result<std::vector<std::string>> same_computation(const Catalog& catalog,
                                                  const std::string& expression,
                                                  const std::string& source);

}  // namespace strata::platform::features
