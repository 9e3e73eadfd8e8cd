#include "platform/features/catalog.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"

namespace strata::platform::features {

namespace {

using expressions::Expression;
using expressions::Input;

// Stands in every plan; another meaning of the same members needs another number.
constexpr int kPlanFormat = 1;

template <class T>
Error unknown(std::string field, std::string_view what, const std::string& name,
              const std::map<std::string, T>& known) {
  std::vector<std::string> names;
  for (const auto& [one, ignored] : known)
    names.push_back(one);
  const std::string nearest = did_you_mean(name, names);
  std::string message = fmt::format("{}: there is no {} '{}'", field, what, printable(name));
  if (!nearest.empty()) message += fmt::format(". Did you mean '{}'?", nearest);
  return invalid(std::move(field), message + (nearest.empty() ? "; define it first" : ""));
}

// `column` among `to`, which stays sorted by name.
Status add_column(std::vector<Column>& to, const Column& column, const std::string& field) {
  const auto at = std::ranges::lower_bound(to, column.name, {}, &Column::name);
  if (at == to.end() || at->name != column.name) {
    to.insert(at, column);
    return {};
  }
  if (at->type == column.type) return {};
  return invalid(field,
                 fmt::format("{}: '{}' is {} in one place and {} in another; give one of "
                             "them another name",
                             field, column.name, type_name(at->type), type_name(column.type)));
}

Json columns_json(const std::vector<Column>& columns) {
  Json out = Json::array();
  for (const auto& column : columns)
    out.push(Json::object({{"name", column.name}, {"type", type_name(column.type)}}));
  return out;
}

Json features_json(const std::vector<PlannedFeature>& features) {
  Json out = Json::array();
  for (const auto& one : features) {
    Json feature = Json::object({{"name", one.name}, {"type", type_name(one.type())}});
    if (one.aggregate) {
      feature.set("aggregate", function_name(one.aggregate->function));
      feature.set("of", one.expression.canonical());
      if (one.aggregate->where) feature.set("where", one.aggregate->where->canonical());
      feature.set("window_us", static_cast<std::int64_t>(one.aggregate->window.count()));
      if (one.aggregate->tumbling) feature.set("tumbling", true);
    } else {
      feature.set("expression", one.expression.canonical());
    }
    out.push(std::move(feature));
  }
  return out;
}

Json source_json(const std::string& name, const Source& source) {
  if (source.kind == Source::Kind::kTable) return Json::object({{"table", source.location}});
  if (source.kind == Source::Kind::kObject) return Json::object({{"object", source.location}});
  return Json::object({{"stream", name}});
}

Error compile_error(const std::string& field, const Error& error) {
  return invalid(field, fmt::format("{}: {}", field, error.message));
}

// Whether the function takes values of that type, and what it wants else.
Status check_type(const std::string& field, Aggregate::Function function, Type type) {
  using enum Aggregate::Function;
  const bool numbers =
      function == kSum || function == kMean || function == kVariance || function == kStddev;
  if (!numbers || type == Type::kInt64 || type == Type::kDouble) return {};
  return invalid(field, fmt::format("{}: is {}, and {} needs int64 or double; cast it, for example "
                                    "CAST(x AS int64)",
                                    field, type_name(type), function_name(function)));
}

Result<PlannedFeature> compile_aggregate(const std::string& name, const Feature& feature,
                                         const std::vector<Input>& inputs,
                                         const std::string& path) {
  const std::string& of = feature.expression;
  auto expression = Expression::compile(of.empty() ? "TRUE" : of, inputs);
  if (!expression) return compile_error(path + ".of", expression.error());
  const Aggregate& given = *feature.aggregate;
  STRATA_TRY(check_type(path + ".of", given.function, expression->type()));
  PlannedAggregate out{given.function, {}, given.window, given.tumbling};
  if (!given.where.empty()) {
    const std::string field = path + ".where";
    auto where = Expression::compile(given.where, inputs);
    if (!where) return compile_error(field, where.error());
    if (where->type() != Type::kBool) {
      return invalid(field, fmt::format("{}: is {}; write a condition, for example x > 0", field,
                                        type_name(where->type())));
    }
    out.where = *std::move(where);
  }
  return PlannedFeature{name, *std::move(expression), std::move(out)};
}

Result<std::vector<PlannedFeature>> compile(const std::map<std::string, Feature>& features,
                                            const std::vector<Input>& inputs,
                                            const std::string& path) {
  std::vector<PlannedFeature> out;
  for (const auto& [name, feature] : features) {
    const std::string field = path + ".features." + name;
    if (feature.aggregate) {
      auto aggregate = compile_aggregate(name, feature, inputs, field);
      if (!aggregate) return std::move(aggregate).error();
      out.push_back(*std::move(aggregate));
      continue;
    }
    auto expression = Expression::compile(feature.expression, inputs);
    if (!expression) return compile_error(field, expression.error());
    out.push_back({name, *std::move(expression)});
  }
  return out;
}

// The names before a dot in an expression, outside of its texts: a superset of the views it reads.
std::set<std::string> names_before_dots(std::string_view text) {
  std::set<std::string> out;
  std::string word;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
      continue;
    }
    if (c == '.' && is_feature_name(word)) out.insert(word);
    if (c == '\'' || c == '"') quote = c;
    const bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
    word = letter ? word + c : std::string();
  }
  return out;
}

class Planner {
 public:
  explicit Planner(Definitions definitions) { catalog_.definitions = std::move(definitions); }

  Result<Catalog> plan() && {
    const Definitions& all = catalog_.definitions;
    for (const auto& [name, view] : all.views)
      STRATA_TRY(plan_view(name, view));
    for (const auto& [name, view] : all.on_demand) {
      if (all.views.contains(name)) {
        const std::string field = "on_demand." + name;
        return invalid(field, fmt::format("{}: there is a view of this name already; views and "
                                          "on-demand views share their names",
                                          field));
      }
    }
    for (const auto& [name, view] : all.on_demand)
      STRATA_TRY(plan_on_demand(name, view));
    for (const auto& [name, service] : all.services) {
      auto planned = plan_service(catalog_, service.features, "services." + name + ".features");
      if (!planned) return std::move(planned).error();
      catalog_.services.emplace(name, *std::move(planned));
    }
    return std::move(catalog_);
  }

 private:
  Result<std::vector<Column>> keys_of(const std::string& path, const View& view) const {
    std::vector<Column> keys;
    for (std::size_t i = 0; i < view.entities.size(); ++i) {
      const std::string field = fmt::format("{}.entities.{}", path, i);
      const auto entity = catalog_.definitions.entities.find(view.entities[i]);
      if (entity == catalog_.definitions.entities.end())
        return unknown(field, "entity", view.entities[i], catalog_.definitions.entities);
      for (const auto& key : entity->second.keys)
        STRATA_TRY(add_column(keys, key, field));
    }
    return keys;
  }

  static Status check_keys(const std::string& path, const View& view, const Source& source,
                           const std::vector<Column>& keys) {
    for (const auto& key : keys) {
      const Column* const column = source.find(key.name);
      if (column == nullptr || column->type != key.type) {
        const std::string field = path + ".source";
        return invalid(field,
                       fmt::format("{}: the source '{}' has no column '{}' of type {}, which "
                                   "is a key of the view's entities",
                                   field, view.source, key.name, type_name(key.type)));
      }
      if (!view.features.contains(key.name)) continue;
      const std::string field = path + ".features." + key.name;
      return invalid(field, fmt::format("{}: a key of the view has this name; give the feature "
                                        "another one",
                                        field));
    }
    return {};
  }

  Status plan_view(const std::string& name, const View& view) {
    const std::string path = "views." + name;
    auto keys = keys_of(path, view);
    if (!keys) return std::move(keys).error();
    const auto source = catalog_.definitions.sources.find(view.source);
    if (source == catalog_.definitions.sources.end())
      return unknown(path + ".source", "source", view.source, catalog_.definitions.sources);
    STRATA_TRY(check_keys(path, view, source->second, *keys));
    std::vector<Input> inputs;
    for (const auto& column : source->second.columns)
      inputs.push_back({column.name, column.type});
    auto features = compile(view.features, inputs, path);
    if (!features) return std::move(features).error();
    PlannedView out;
    out.keys = *std::move(keys);
    out.source = view.source;
    out.ttl = view.ttl;
    out.features = *std::move(features);
    out.plan = Json::object({{"plan", kPlanFormat},
                             {"kind", "view"},
                             {"keys", columns_json(out.keys)},
                             {"source", source_json(view.source, source->second)},
                             {"timestamp", source->second.timestamp}});
    if (!source->second.created.empty()) out.plan.set("created", source->second.created);
    if (out.ttl) out.plan.set("ttl_us", static_cast<std::int64_t>(out.ttl->count()));
    STRATA_TRY(plan_events(path, view, source->second, out));
    out.plan.set("features", features_json(out.features));
    finish(name, std::move(out));
    return {};
  }

  // By what the view's events are told apart, and what is computed of each.
  static Status plan_events(const std::string& path, const View& view, const Source& source,
                            PlannedView& out) {
    std::vector<Expression> of_rows;
    for (const auto& feature : out.features) {
      if (!feature.aggregate) continue;
      of_rows.push_back(feature.expression);
      of_rows.push_back(feature.aggregate->where ? *feature.aggregate->where
                                                 : *Expression::compile("TRUE", {}));
    }
    const std::string field = path + ".event_id";
    if (of_rows.empty() && !view.event_id.empty()) {
      return invalid(field, field +
                                ": has a meaning for aggregates only, and this view has none; "
                                "leave it out");
    }
    Json names = Json::array();
    for (const auto& name : view.event_id) {
      const Column* const column = source.find(name);
      if (column == nullptr || column->type == Type::kDouble) {
        return invalid(field, fmt::format("{}: '{}' is no column of the source '{}' that can name "
                                          "an event; name one that is no double",
                                          field, printable(name), view.source));
      }
      names.push(name);
    }
    out.event_id = view.event_id;
    if (!out.event_id.empty()) out.plan.set("event_id", std::move(names));
    if (!of_rows.empty()) out.row_program = std::make_shared<const expressions::Program>(of_rows);
    return {};
  }

  Status plan_on_demand(const std::string& name, const OnDemandView& view) {
    if (catalog_.views.contains(name)) return {};
    const std::string path = "on_demand." + name;
    if (!open_.insert(name).second) {
      return invalid(path + ".features",
                     fmt::format("{}.features: the views {} read each other in a circle", path,
                                 fmt::join(open_, ", ")));
    }
    for (const auto& [feature, one] : view.features) {
      if (!one.aggregate) continue;
      const std::string field = fmt::format("{}.features.{}", path, feature);
      return invalid(field, field +
                                ": an aggregate is of rows; define it in a view over a stream, "
                                "and read it here as view.feature");
    }
    // What it may read is planned first, so that its types are known.
    for (const auto& [feature, one] : view.features) {
      for (const auto& read : names_before_dots(one.expression)) {
        const auto other = catalog_.definitions.on_demand.find(read);
        if (other != catalog_.definitions.on_demand.end())
          STRATA_TRY(plan_on_demand(read, other->second));
      }
    }
    open_.erase(name);
    std::vector<Input> inputs;
    for (const auto& field : view.request)
      inputs.push_back({field.name, field.type});
    for (const auto& [other, planned] : catalog_.views) {
      for (const auto& feature : planned.features)
        inputs.push_back({other + "." + feature.name, feature.type()});
    }
    auto features = compile(view.features, inputs, path);
    if (!features) return std::move(features).error();
    PlannedView out;
    out.on_demand = true;
    out.features = *std::move(features);
    STRATA_TRY(note_inputs(path, out));
    Json reads = Json::array();
    for (const auto& read : out.reads)
      reads.push(Json::object({{"view", read}, {"version", catalog_.views.at(read).version}}));
    out.plan = Json::object({{"plan", kPlanFormat},
                             {"kind", "on_demand"},
                             {"reads", std::move(reads)},
                             {"features", features_json(out.features)}});
    finish(name, std::move(out));
    return {};
  }

  void finish(const std::string& name, PlannedView view) {
    view.version = content_digest(view.plan.dump());
    std::vector<Expression> expressions;
    for (const auto& feature : view.features)
      expressions.push_back(feature.expression);
    view.program = std::make_shared<const expressions::Program>(expressions);
    catalog_.views.emplace(name, std::move(view));
  }

  // Which views and which fields of a request the features really read.
  Status note_inputs(const std::string& path, PlannedView& view) const {
    std::set<std::string> reads;
    for (const auto& feature : view.features) {
      for (const auto& input : feature.expression.inputs()) {
        const std::string field = path + ".features." + feature.name;
        const std::size_t dot = input.name.find('.');
        if (dot == std::string::npos) {
          STRATA_TRY(add_column(view.request, {input.name, input.type}, field));
          continue;
        }
        const std::string read = input.name.substr(0, dot);
        reads.insert(read);
        for (const auto& column : catalog_.views.at(read).request)
          STRATA_TRY(add_column(view.request, column, field));
      }
    }
    view.reads.assign(reads.begin(), reads.end());
    return {};
  }

  Catalog catalog_;
  std::set<std::string> open_;
};

// The keys of a view and of all that it reads.
Status add_keys(const Catalog& catalog, const std::string& view, std::vector<Column>& to,
                const std::string& field) {
  const PlannedView& planned = catalog.views.at(view);
  for (const auto& key : planned.keys)
    STRATA_TRY(add_column(to, key, field));
  for (const auto& read : planned.reads)
    STRATA_TRY(add_keys(catalog, read, to, field));
  return {};
}

// Of one kind of things without versions.
template <class T>
void compare_plain(std::string_view kind, const std::map<std::string, T>& now,
                   const std::map<std::string, T>& next, const std::map<std::string, T>& given,
                   std::vector<Change>& out) {
  for (const auto& [name, ignored] : given) {
    Change change{.kind = std::string(kind), .name = name};
    const auto before = now.find(name);
    if (before == now.end()) {
      change.what = Change::What::kNew;
    } else if (to_json(before->second) != to_json(next.at(name))) {
      change.what = Change::What::kNotes;
    }
    out.push_back(std::move(change));
  }
}

// The services that have `view` in their vector, or something computed with it.
bool serves(const Catalog& catalog, const std::string& reader, const std::string& view) {
  if (reader == view) return true;
  return std::ranges::any_of(catalog.views.at(reader).reads,
                             [&](const std::string& read) { return serves(catalog, read, view); });
}

std::vector<std::string> services_with(const Catalog& catalog, const std::string& view) {
  std::vector<std::string> out;
  for (const auto& [name, service] : catalog.services) {
    if (std::ranges::any_of(service.features,
                            [&](const auto& one) { return serves(catalog, one.view, view); }))
      out.push_back(name);
  }
  return out;
}

void compare_features(const PlannedView* before, const PlannedView& after, Change& change) {
  for (const auto& feature : after.features) {
    const PlannedFeature* const old = before == nullptr ? nullptr : before->find(feature.name);
    if (old == nullptr || old->canonical() != feature.canonical())
      change.changed.push_back(feature.name);
  }
  if (before == nullptr) return;
  for (const auto& feature : before->features) {
    if (after.find(feature.name) == nullptr) change.removed.push_back(feature.name);
  }
}

Change compare_view(const Catalog& now, const Catalog& next, const std::string& name) {
  const PlannedView& after = next.views.at(name);
  Change change{.kind = after.on_demand ? "on_demand" : "view", .name = name};
  const auto before = now.views.find(name);
  change.version = after.version;
  if (before != now.views.end()) change.previous = before->second.version;
  for (const auto& [other, planned] : next.views) {
    if (other != name && planned.version == after.version) change.equal_to.push_back(other);
  }
  if (before == now.views.end()) {
    change.what = Change::What::kNew;
    compare_features(nullptr, after, change);
    return change;
  }
  if (before->second.version != after.version) {
    change.what = Change::What::kVersion;
    compare_features(&before->second, after, change);
    change.services = services_with(now, name);
    return change;
  }
  const auto json = [&](const Catalog& of) {
    return after.on_demand ? to_json(of.definitions.on_demand.at(name))
                           : to_json(of.definitions.views.at(name));
  };
  if (json(now) != json(next)) change.what = Change::What::kNotes;
  return change;
}

Change compare_service(const Catalog& now, const Catalog& next, const std::string& name) {
  const PlannedService& after = next.services.at(name);
  Change change{.kind = "service", .name = name, .version = after.version};
  const auto before = now.services.find(name);
  if (before == now.services.end()) {
    change.what = Change::What::kNew;
    return change;
  }
  change.previous = before->second.version;
  if (change.previous != change.version) {
    change.what = Change::What::kVersion;
  } else if (to_json(now.definitions.services.at(name)) !=
             to_json(next.definitions.services.at(name))) {
    change.what = Change::What::kNotes;
  }
  return change;
}

template <class T>
void overlay(std::map<std::string, T>& to, const std::map<std::string, T>& from) {
  for (const auto& [name, one] : from)
    to.insert_or_assign(name, one);
}

}  // namespace

Type PlannedFeature::type() const {
  using enum Aggregate::Function;
  if (!aggregate) return expression.type();
  switch (aggregate->function) {
    case kCount:
    case kCountDistinct:
      return Type::kInt64;
    case kMean:
    case kVariance:
    case kStddev:
      return Type::kDouble;
    default:
      return expression.type();
  }
}

std::string PlannedFeature::canonical() const {
  if (!aggregate) return expression.canonical();
  return fmt::format("{}({}) where {} over {} us{}", function_name(aggregate->function),
                     expression.canonical(),
                     aggregate->where ? aggregate->where->canonical() : "all",
                     aggregate->window.count(), aggregate->tumbling ? " tumbling" : "");
}

std::vector<Input> PlannedFeature::inputs() const {
  auto out = expression.inputs();
  if (!aggregate || !aggregate->where) return out;
  for (auto& input : aggregate->where->inputs()) {
    if (std::ranges::find(out, input.name, &Input::name) == out.end())
      out.push_back(std::move(input));
  }
  return out;
}

const PlannedFeature* PlannedView::find(std::string_view feature) const {
  const auto at = std::ranges::find(features, feature, &PlannedFeature::name);
  return at == features.end() ? nullptr : &*at;
}

Result<Catalog> make_catalog(Definitions definitions) {
  return Planner(std::move(definitions)).plan();
}

Result<PlannedService> plan_service(const Catalog& catalog,
                                    const std::vector<std::string>& features,
                                    const std::string& field, bool full_names) {
  PlannedService out;
  std::set<std::string> names;
  Json plan = Json::array();
  for (std::size_t i = 0; i < features.size(); ++i) {
    const std::string at = fmt::format("{}.{}", field, i);
    const std::size_t dot = features[i].find('.');
    if (dot == std::string::npos)
      return invalid(at, fmt::format("{}: '{}' has to be written as view.feature", at,
                                     printable(features[i])));
    const std::string view = features[i].substr(0, dot);
    const std::string feature = features[i].substr(dot + 1);
    const auto planned = catalog.views.find(view);
    if (planned == catalog.views.end()) return unknown(at, "view", view, catalog.views);
    const PlannedFeature* const found = planned->second.find(feature);
    if (found == nullptr) {
      std::map<std::string, int> known;
      for (const auto& one : planned->second.features)
        known.emplace(one.name, 0);
      return unknown(at, "feature of " + view, feature, known);
    }
    if (!names.insert(full_names ? view + "__" + feature : feature).second)
      return invalid(at, fmt::format("{}: two features of this vector have the name '{}'; rename "
                                     "one in its view",
                                     at, feature));
    out.features.push_back({view, feature, found->type()});
    STRATA_TRY(add_keys(catalog, view, out.keys, at));
    for (const auto& column : planned->second.request)
      STRATA_TRY(add_column(out.request, column, at));
    plan.push(
        Json::object({{"view", view}, {"feature", feature}, {"version", planned->second.version}}));
  }
  for (const auto* const columns : {&out.keys, &out.request}) {
    for (const auto& column : *columns) {
      if (names.contains(column.name))
        return invalid(field, fmt::format("{}: '{}' is a feature and also what a request brings; "
                                          "rename the feature in its view",
                                          field, column.name));
    }
  }
  out.plan =
      Json::object({{"plan", kPlanFormat}, {"kind", "service"}, {"features", std::move(plan)}});
  out.version = content_digest(out.plan.dump());
  return out;
}

std::string_view change_name(Change::What what) {
  constexpr std::array<std::string_view, 4> kNames = {"unchanged", "new", "notes", "version"};
  return kNames.at(static_cast<std::size_t>(what));
}

Result<Definitions> merged(const Definitions& now, const Definitions& given) {
  for (const auto& [name, source] : given.sources) {
    const auto before = now.sources.find(name);
    if (before == now.sources.end() || before->second.kind != Source::Kind::kStream) continue;
    const std::string path = "sources." + name;
    if (source.kind != Source::Kind::kStream)
      return invalid(path, path + ": is a stream and stays one; use another name");
    for (const auto& column : before->second.columns) {
      const Column* const same = source.find(column.name);
      if (same != nullptr && same->type == column.type) continue;
      const std::string field = path + ".columns." + column.name;
      return invalid(field,
                     fmt::format("{}: was {} and has to stay so, since rows with it stand in "
                                 "the log; add another column",
                                 field, type_name(column.type)));
    }
    if (source.timestamp != before->second.timestamp || source.created != before->second.created) {
      const std::string field = path + ".timestamp";
      return invalid(field,
                     fmt::format("{}: timestamp and created of a stream cannot change, since "
                                 "rows stand in the log; use another stream",
                                 field));
    }
  }
  Definitions out = now;
  overlay(out.entities, given.entities);
  overlay(out.sources, given.sources);
  overlay(out.views, given.views);
  overlay(out.on_demand, given.on_demand);
  overlay(out.services, given.services);
  return out;
}

std::vector<Change> changes(const Catalog& now, const Catalog& next, const Definitions& given) {
  std::vector<Change> out;
  const Definitions& before = now.definitions;
  const Definitions& after = next.definitions;
  compare_plain("entity", before.entities, after.entities, given.entities, out);
  compare_plain("source", before.sources, after.sources, given.sources, out);
  const auto keep = [&](Change change, bool named) {
    if (named || change.what != Change::What::kSame) out.push_back(std::move(change));
  };
  for (const auto& [name, planned] : next.views)
    keep(compare_view(now, next, name),
         given.views.contains(name) || given.on_demand.contains(name));
  for (const auto& [name, planned] : next.services)
    keep(compare_service(now, next, name), given.services.contains(name));
  return out;
}

Result<std::vector<std::string>> same_computation(const Catalog& catalog,
                                                  const std::string& expression,
                                                  const std::string& source) {
  const auto found = catalog.definitions.sources.find(source);
  if (found == catalog.definitions.sources.end())
    return unknown("source", "source", source, catalog.definitions.sources);
  std::vector<Input> inputs;
  for (const auto& column : found->second.columns)
    inputs.push_back({column.name, column.type});
  const auto wanted = Expression::compile(expression, inputs);
  if (!wanted) return wanted.error();
  std::vector<std::string> out;
  for (const auto& [name, view] : catalog.views) {
    if (view.on_demand || view.source != source) continue;
    for (const auto& feature : view.features) {
      if (feature.canonical() == wanted->canonical()) out.push_back(name + "." + feature.name);
    }
  }
  return out;
}

}  // namespace strata::platform::features
