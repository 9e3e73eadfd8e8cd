// Reads definitions from a document: every field is checked here, once, for YAML and JSON alike.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "platform/features/definitions.hpp"
#include "wire/flow/flow_document.hpp"

namespace strata::platform::features {

namespace {

using Doc = wire::FlowDocument;
using Path = std::string;

constexpr std::size_t kMaxNotes = 4096;
constexpr std::size_t kMaxColumns = 1000;
constexpr std::size_t kMaxDefinitions = 10'000;

// Only the first error counts; reading goes on with defaults, so that no caller must check.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  Result<Document> read(const Doc& doc) {
    Document out;
    if (is_map(doc, "")) {
      check_keys(doc, "", {"entities", "sources", "views", "on_demand", "services"});
      each(doc, "entities", out.definitions.entities,
           [this](const Doc& at, const Path& path) { return entity(at, path); });
      each(doc, "sources", out.definitions.sources,
           [this](const Doc& at, const Path& path) { return source(at, path); });
      each(doc, "views", out.definitions.views,
           [this](const Doc& at, const Path& path) { return view(at, path); });
      each(doc, "on_demand", out.definitions.on_demand,
           [this](const Doc& at, const Path& path) { return on_demand(at, path); });
      each(doc, "services", out.definitions.services,
           [this](const Doc& at, const Path& path) { return service(at, path); });
    }
    if (error_) return *error_;
    out.places = std::move(places_);
    return out;
  }

 private:
  void fail(const Doc& at, const Path& path, std::string_view what) {
    if (error_) return;
    const std::string field = path.empty() ? "definitions" : path;
    std::string message = fmt::format("{}: {}", field, what);
    if (at.line > 0) message = fmt::format("{}:{}:{}: {}", file_, at.line, at.column, message);
    error_ = Error(Code::kInvalidArgument, std::move(message), field);
  }

  void note(const Doc& at, const Path& path) {
    if (at.line > 0) places_.insert_or_assign(path, Place{at.line, at.column});
  }

  bool is_map(const Doc& doc, const Path& path) {
    if (doc.kind == Doc::Kind::kMap) return true;
    fail(doc, path, fmt::format("expected a mapping, found {}", doc.type_name()));
    return false;
  }

  void check_keys(const Doc& map, const Path& path, std::vector<std::string> known) {
    for (const auto& [key, value] : map.members) {
      if (std::ranges::find(known, key.text) != known.end()) continue;
      const std::string nearest = did_you_mean(key.text, known);
      fail(key, path,
           nearest.empty() ? fmt::format("'{}' is not known here; known are {}",
                                         printable(key.text), join(known, ", "))
                           : fmt::format("'{}' is not known here. Did you mean '{}'?",
                                         printable(key.text), nearest));
    }
  }

  bool check_name(const Doc& key, const Path& path) {
    if (is_feature_name(key.text)) return true;
    fail(key, path,
         fmt::format("'{}' is no name: use 1 to 64 letters, digits and '_', no digit first",
                     printable(key.text)));
    return false;
  }

  // The members of `map` under `name`, each read by `one`.
  template <class T, class F>
  void each(const Doc& map, const Path& name, std::map<std::string, T>& to, F one) {
    const Doc* const doc = map.find(name);
    if (doc == nullptr || doc->is_null() || !is_map(*doc, name)) return;
    if (doc->members.size() > kMaxDefinitions)
      fail(*doc, name, fmt::format("more than {}; use several files", kMaxDefinitions));
    for (const auto& [key, value] : doc->members) {
      if (error_) return;
      if (!check_name(key, name)) return;
      const Path path = name + "." + key.text;
      note(key, path);
      if (!is_map(value, path)) return;
      to.emplace(key.text, one(value, path));
    }
  }

  std::string text_of(const Doc& doc, const Path& path) {
    note(doc, path);
    if (doc.kind == Doc::Kind::kScalar && !doc.is_null()) return doc.text;
    fail(doc, path, fmt::format("expected text, found {}", doc.type_name()));
    return "";
  }

  std::string text(const Doc& map, const Path& path, std::string_view name) {
    const Doc* const doc = map.find(name);
    if (doc == nullptr || doc->is_null()) return "";
    std::string out = text_of(*doc, fmt::format("{}.{}", path, name));
    if (out.size() > kMaxNotes)
      fail(*doc, fmt::format("{}.{}", path, name),
           fmt::format("is longer than {} bytes", kMaxNotes));
    return out;
  }

  std::string required(const Doc& map, const Path& path, std::string_view name,
                       std::string_view why) {
    const Doc* const doc = map.find(name);
    if (doc == nullptr || doc->is_null()) {
      fail(map, fmt::format("{}.{}", path, name), why);
      return "";
    }
    return text(map, path, name);
  }

  std::optional<std::chrono::milliseconds> duration(const Doc& map, const Path& path,
                                                    std::string_view name) {
    const Doc* const doc = map.find(name);
    if (doc == nullptr || doc->is_null()) return std::nullopt;
    const Path field = fmt::format("{}.{}", path, name);
    const auto parsed = parse_duration(text_of(*doc, field));
    if (parsed && parsed->count() > 0) return *parsed;
    fail(*doc, field,
         fmt::format("'{}' is no time above zero; write for example 90s, 15m or 7d, or leave it "
                     "out for no limit",
                     printable(doc->text)));
    return std::nullopt;
  }

  // A mapping of names to types, sorted by name.
  std::vector<Column> columns(const Doc& map, const Path& path, std::string_view name) {
    std::vector<Column> out;
    const Doc* const doc = map.find(name);
    const Path field = fmt::format("{}.{}", path, name);
    if (doc == nullptr || doc->is_null()) return out;
    note(*doc, field);
    if (!is_map(*doc, field)) return out;
    if (doc->members.size() > kMaxColumns) fail(*doc, field, "more than 1000 columns");
    for (const auto& [key, value] : doc->members) {
      check_name(key, field);
      const Path at = field + "." + key.text;
      const auto type = expressions::parse_type(text_of(value, at));
      if (!type) {
        fail(value, at,
             fmt::format("'{}' is no type; use bool, int64, double, string or timestamp",
                         printable(value.text)));
      }
      out.push_back({key.text, type.value_or(Type::kInt64)});
    }
    std::ranges::sort(out);
    return out;
  }

  std::vector<std::string> names(const Doc& map, const Path& path, std::string_view name,
                                 std::string_view why) {
    std::vector<std::string> out;
    const Doc* const doc = map.find(name);
    const Path field = fmt::format("{}.{}", path, name);
    if (doc == nullptr || doc->kind != Doc::Kind::kList || doc->items.empty()) {
      fail(doc == nullptr ? map : *doc, field, why);
      return out;
    }
    if (doc->items.size() > kMaxDefinitions) fail(*doc, field, "is too long");
    note(*doc, field);
    for (std::size_t i = 0; i < doc->items.size(); ++i)
      out.push_back(text_of(doc->items[i], fmt::format("{}.{}", field, i)));
    return out;
  }

  Notes notes(const Doc& map, const Path& path) {
    Notes out{text(map, path, "description"), text(map, path, "owner"), {}};
    const Doc* const tags = map.find("tags");
    if (tags == nullptr || tags->is_null() || !is_map(*tags, path + ".tags")) return out;
    for (const auto& [key, value] : tags->members)
      out.tags[key.text] = text_of(value, path + ".tags." + key.text);
    return out;
  }

  Feature aggregate(const Doc& map, const Path& path) {
    check_keys(map, path, {"aggregate", "of", "where", "window", "tumbling", "description"});
    Feature out{text(map, path, "of"), text(map, path, "description"), Aggregate()};
    const std::string name = text(map, path, "aggregate");
    std::vector<std::string> names;
    for (int i = 0; i <= static_cast<int>(Aggregate::Function::kCountDistinct); ++i)
      names.emplace_back(function_name(static_cast<Aggregate::Function>(i)));
    const auto known = std::ranges::find(names, name);
    if (known == names.end()) {
      fail(*map.find("aggregate"), path + ".aggregate",
           fmt::format("'{}' is no aggregate; use one of {}", printable(name), join(names, ", ")));
      return out;
    }
    out.aggregate->function = static_cast<Aggregate::Function>(known - names.begin());
    if (out.expression.empty() && out.aggregate->function != Aggregate::Function::kCount) {
      fail(map, path + ".of",
           fmt::format("is missing: {} needs to know of what, a column or an expression", name));
    }
    out.aggregate->where = text(map, path, "where");
    const auto window = duration(map, path, "window");
    if (!window) fail(map, path + ".window", "is missing: say how long, for example 1h or 7d");
    out.aggregate->window = window.value_or(out.aggregate->window);
    if (out.aggregate->window > kMaxWindow)
      fail(*map.find("window"), path + ".window", "may be up to 400d; use a shorter one");
    if (const Doc* const tumbling = map.find("tumbling")) {
      if (!tumbling->value.is_bool())
        fail(*tumbling, path + ".tumbling", "is true or false; without it the window slides");
      else
        out.aggregate->tumbling = tumbling->value.as_bool();
    }
    return out;
  }

  std::map<std::string, Feature> features(const Doc& map, const Path& path) {
    std::map<std::string, Feature> out;
    const Doc* const doc = map.find("features");
    const Path field = path + ".features";
    if (doc == nullptr || doc->kind != Doc::Kind::kMap || doc->members.empty()) {
      fail(doc == nullptr ? map : *doc, field,
           "needs at least one, as `name: expression`, for example `late: delay > 15`");
      return out;
    }
    if (doc->members.size() > kMaxColumns) fail(*doc, field, "more than 1000 features");
    for (const auto& [key, value] : doc->members) {
      check_name(key, field);
      const Path at = field + "." + key.text;
      note(key, at);
      Feature feature;
      if (value.kind == Doc::Kind::kMap && value.find("aggregate") != nullptr) {
        feature = aggregate(value, at);
      } else if (value.kind == Doc::Kind::kMap) {
        check_keys(value, at, {"expression", "description"});
        feature.expression = required(value, at, "expression", "is missing");
        feature.description = text(value, at, "description");
      } else {
        feature.expression = text_of(value, at);
      }
      out.emplace(key.text, std::move(feature));
    }
    return out;
  }

  Entity entity(const Doc& map, const Path& path) {
    check_keys(map, path, {"keys", "description", "owner", "tags"});
    Entity out{columns(map, path, "keys"), notes(map, path)};
    if (out.keys.empty()) fail(map, path + ".keys", "needs at least one, as `name: type`");
    for (const auto& key : out.keys) {
      if (key.type == Type::kDouble) {
        fail(*map.find("keys"), path + ".keys." + key.name,
             "a double cannot be a key, since nearly equal numbers are different keys; use int64 "
             "or string");
      }
    }
    return out;
  }

  Source source(const Doc& map, const Path& path) {
    check_keys(map, path,
               {"stream", "table", "object", "columns", "timestamp", "created", "description",
                "owner", "tags"});
    Source out;
    int kinds = 0;
    if (const Doc* const stream = map.find("stream")) {
      if (!stream->value.is_bool() || !stream->value.as_bool())
        fail(*stream, path + ".stream", "can only be true; leave it out for a table or an object");
      ++kinds;
    }
    if (map.find("table") != nullptr) {
      out.kind = Source::Kind::kTable;
      out.location = text(map, path, "table");
      if (!out.location.contains('.')) out.location.insert(0, "main.");
      ++kinds;
    }
    if (const Doc* const object = map.find("object")) {
      out.kind = Source::Kind::kObject;
      out.location = text(map, path, "object");
      if (!out.location.starts_with("s3://"))
        fail(*object, path + ".object", "has to begin with s3://bucket/");
      ++kinds;
    }
    if (kinds != 1)
      fail(map, path, "needs exactly one of `stream: true`, `table: name`, `object: s3://...`");
    out.columns = columns(map, path, "columns");
    if (out.columns.empty()) fail(map, path + ".columns", "needs at least one, as `name: type`");
    out.timestamp =
        required(map, path, "timestamp", "is missing: name the column with the event time");
    out.created = text(map, path, "created");
    for (const auto* const field : {"timestamp", "created"}) {
      const std::string& name = std::string_view(field) == "created" ? out.created : out.timestamp;
      if (name.empty()) continue;
      const Column* const column = out.find(name);
      const Doc* const at = map.find(field);
      if (at != nullptr && (column == nullptr || column->type != Type::kTimestamp)) {
        fail(*at, path + "." + field,
             fmt::format("'{}' is no column of type timestamp of this source", printable(name)));
      }
    }
    out.notes = notes(map, path);
    return out;
  }

  View view(const Doc& map, const Path& path) {
    check_keys(map, path,
               {"entities", "source", "ttl", "fresh", "event_id", "features", "description",
                "owner", "tags"});
    View out;
    out.entities = names(map, path, "entities", "needs a list of at least one entity");
    out.source = required(map, path, "source", "is missing: name one of the sources");
    out.ttl = duration(map, path, "ttl");
    out.fresh = duration(map, path, "fresh");
    out.features = features(map, path);
    if (map.find("event_id") != nullptr) {
      out.event_id = names(map, path, "event_id", "needs a list of columns, or leave it out");
      std::ranges::sort(out.event_id);
    }
    out.notes = notes(map, path);
    return out;
  }

  OnDemandView on_demand(const Doc& map, const Path& path) {
    check_keys(map, path, {"request", "features", "description", "owner", "tags"});
    return {columns(map, path, "request"), features(map, path), notes(map, path)};
  }

  Service service(const Doc& map, const Path& path) {
    check_keys(map, path, {"features", "description", "owner", "tags"});
    return {names(map, path, "features", "needs a list of at least one view.feature"),
            notes(map, path)};
  }

  std::string file_;
  Places places_;
  std::optional<Error> error_;
};

}  // namespace

Result<Document> read_features_yaml(std::string_view text, const std::string& file) {
  const auto doc = wire::read_yaml(text, file);
  if (!doc) return doc.error();
  return Reader(file).read(*doc);
}

Result<Document> read_features_json(const Json& json) {
  return Reader("").read(wire::document_of(json));
}

Error located(const Error& error, const std::string& file, const Places& places) {
  for (std::string path = error.field; !path.empty();) {
    if (const auto at = places.find(path); at != places.end()) {
      Error out = error;
      out.message =
          fmt::format("{}:{}:{}: {}", file, at->second.line, at->second.column, error.message);
      return out;
    }
    const std::size_t dot = path.rfind('.');
    path.resize(dot == std::string::npos ? 0 : dot);
  }
  return error;
}

}  // namespace strata::platform::features
