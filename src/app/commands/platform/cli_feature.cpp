#include "app/commands/platform/cli_feature.hpp"

#include <fstream>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "base/text.hpp"

namespace strata::app {

namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return not_found(fmt::format("cannot read {}", path));
  return std::move(text).str();
}

std::string joined(const Json& list) {
  std::vector<std::string> out;
  if (list.is_array()) {
    for (const Json& one : list.as_array())
      out.push_back(one.as_string());
  }
  return join(out, ", ");
}

std::string joined_names(const Json& map) {
  std::vector<std::string> out;
  if (map.is_array()) return joined(map);
  if (map.is_object()) {
    for (const auto& [one, ignored] : map.as_object())
      out.push_back(one);
  }
  return join(out, ", ");
}

// "3f2a91c0d4e5" of "sha256:3f2a91c0d4e5...": enough to tell versions apart by eye.
std::string short_version(const std::string& version) {
  const std::size_t colon = version.find(':');
  return colon == std::string::npos ? "-" : version.substr(colon + 1, 12);
}

// What a change means for others, in one line.
std::string effects(const Json& change) {
  std::vector<std::string> out;
  if (change["changed_features"].size() > 0 && change.text("change") == "version")
    out.push_back("computes anew: " + joined(change["changed_features"]));
  if (change["removed_features"].size() > 0)
    out.push_back("removes: " + joined(change["removed_features"]));
  if (change["services"].size() > 0)
    out.push_back("new version of services: " + joined(change["services"]));
  if (change["models"].size() > 0)
    out.push_back("made with the old one: " + joined(change["models"]));
  if (change["equal_to"].size() > 0)
    out.push_back("computes the same as: " + joined(change["equal_to"]));
  return join(out, "; ");
}

Json change_row(const Json& change) {
  Json row = change;
  row.set("version", short_version(change.text("version")));
  row.set("effects", effects(change));
  return row;
}

Status take(CliContext& context, ApiClient& client, const std::string& verb,
            const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  Json body = Json::object({{"file", path}});
  if (path.ends_with(".json")) {
    auto json = parse_json(*text);
    if (!json) return json.error().wrap(path);
    body.set("definitions", *std::move(json));
  } else {
    body.set("yaml", *text);
  }
  const auto answer = client.post("/api/v1/features/" + verb, body);
  if (!answer) return answer.error();
  context.print(*answer, "changes",
                {{"kind", "KIND"},
                 {"name", "NAME"},
                 {"change", "CHANGE"},
                 {"version", "VERSION"},
                 {"effects", "EFFECTS"}},
                change_row);
  return {};
}

Json listed_row(const Json& one) {
  Json row = one;
  row.set("version", short_version(one.text("version")));
  row.set("features", joined_names(one["definition"]["features"]));
  return row;
}

struct Filters {
  std::string text, kind, owner, column, expression, source;
};

Status list(CliContext& context, ApiClient& client, const Filters& filters) {
  Json all = Json::array();
  Json found = Json::array();
  for (std::string after;;) {
    std::string path = "/api/v1/features?limit=1000";
    const std::pair<std::string_view, const std::string*> members[] = {
        {"q", &filters.text},
        {"kind", &filters.kind},
        {"owner", &filters.owner},
        {"column", &filters.column},
        {"source", &filters.source},
        {"expression", &filters.expression},
        {"after", &after}};
    for (const auto& [name, value] : members) {
      if (!value->empty()) path += fmt::format("&{}={}", name, encode_segment(*value));
    }
    const auto page = client.get(path);
    if (!page) return page.error();
    for (const Json& one : (*page)["items"].as_array())
      all.push(one);
    found = (*page)["features"];
    after = page->text("next");
    if (after.empty()) break;
  }
  if (!filters.expression.empty() && !context.structured()) {
    print_line(found.size() == 0 ? "no feature computes this" : "computed by " + joined(found));
    return {};
  }
  context.print(Json::object({{"items", all}, {"features", found}}), "items",
                {{"kind", "KIND"},
                 {"name", "NAME"},
                 {"version", "VERSION"},
                 {"owner", "OWNER"},
                 {"features", "FEATURES"},
                 {"description", "DESCRIPTION"}},
                listed_row);
  return {};
}

Status show(CliContext& context, ApiClient& client, const std::string& kind,
            const std::string& name) {
  const auto one =
      client.get(fmt::format("/api/v1/features/{}/{}", encode_segment(kind), encode_segment(name)));
  if (!one) return one.error();
  if (context.structured()) {
    context.dump(*one);
    return {};
  }
  print_line(fmt::format("{} {} {}", kind, name, one->text("version")));
  for (const auto* field : {"description", "owner"}) {
    if (!one->text(field).empty()) print_line(fmt::format("  {}: {}", field, one->text(field)));
  }
  for (const auto& [field, label] : {std::pair{"readers", "read by"}, {"equal_to", "equal to"}}) {
    if ((*one)[field].size() > 0) print_line(fmt::format("  {}: {}", label, joined((*one)[field])));
  }
  print_line((*one)["definition"].dump(2));
  return {};
}

struct Asked {
  std::string service, offline, known_at;
  std::vector<std::string> features, entities;
};

// "carrier=AA" again and again: lists by name, in order. What reads as JSON is taken as that, all
// else as a text.
Result<Json> entities_of(const std::vector<std::string>& texts) {
  std::map<std::string, Json::Array> lists;
  for (const auto& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      return invalid("entity", fmt::format("--entity {}: write NAME=VALUE", text));
    const std::string value = text.substr(equals + 1);
    const auto json = parse_json(value);
    const bool plain = json && !json->is_array() && !json->is_object();
    lists[text.substr(0, equals)].push_back(plain ? *json : Json(value));
  }
  Json out = Json::object();
  for (auto& [name, list] : lists)
    out.set(name, Json(std::move(list)));
  return out;
}

// Lists by name, from a JSON file.
Result<Json> spine_of(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto json = parse_json(*text);
  if (!json) return json.error().wrap(path);
  return *std::move(json);
}

Status get(CliContext& context, ApiClient& client, const Asked& asked) {
  auto entities = asked.offline.empty() ? entities_of(asked.entities) : spine_of(asked.offline);
  if (!entities) return std::move(entities).error();
  Json body = Json::object({{"entities", *std::move(entities)}});
  if (!asked.service.empty()) body.set("service", asked.service);
  if (!asked.features.empty()) {
    Json names = Json::array();
    for (const auto& name : asked.features)
      names.push(name);
    body.set("features", std::move(names));
  }
  if (!asked.known_at.empty()) body.set("known_at", asked.known_at);
  const auto answer = client.post(
      asked.offline.empty() ? "/api/v1/features/online" : "/api/v1/features/historical", body);
  if (!answer) return answer.error();
  context.print(
      *answer, "features",
      {{"view", "VIEW"},
       {"name", "FEATURE"},
       {"values", "VALUES"},
       {"statuses", "STATUS"},
       {"event_times", "AS OF"}},
      [](const Json& feature) {
        Json row = feature;
        for (const auto* list : {"values", "statuses", "event_times"}) {
          std::vector<std::string> texts;
          for (const Json& one : feature[list].as_array())
            texts.push_back(one.is_string() ? one.as_string() : one.is_null() ? "-" : one.dump());
          row.set(list, join(texts, ", "));
        }
        return row;
      });
  return {};
}

struct Whys {
  std::string name, at;
  std::vector<std::string> entities;
};

Status why(CliContext& context, ApiClient& client, const Whys& asked) {
  auto entities = entities_of(asked.entities);
  if (!entities) return std::move(entities).error();
  Json body = Json::object({{"name", asked.name}, {"entities", *std::move(entities)}});
  if (!asked.at.empty()) body.set("at", asked.at);
  const auto answer = client.post("/api/v1/features/why", body);
  if (!answer) return answer.error();
  if (context.structured()) {
    context.dump(*answer);
    return {};
  }
  for (const Json& one : (*answer)["values"].as_array()) {
    print_line(fmt::format("{}.{} = {} ({}) at {}", one.text("view"), one.text("name"),
                           one["value"].dump(), one.text("status"), answer->text("time")));
  }
  Json rows = Json::array();
  for (const Json& feature : (*answer)["features"].as_array()) {
    for (const Json& row : feature["rows"].as_array()) {
      Json shown = row;
      shown.set("feature", feature.text("view") + "." + feature.text("name"));
      shown.set("place", fmt::format("{}/{}", row.integer("sequence"), row.integer("row")));
      rows.push(std::move(shown));
    }
    if (feature.integer("not_shown") > 0)
      print_line(fmt::format("{}.{}: {} older rows are not shown", feature.text("view"),
                             feature.text("name"), feature.integer("not_shown")));
  }
  context.print(Json::object({{"rows", std::move(rows)}}), "rows",
                {{"feature", "FEATURE"},
                 {"reason", "WHAT BECAME OF IT"},
                 {"event", "EVENT"},
                 {"created", "MADE"},
                 {"place", "IN THE LOG"},
                 {"pushed_by", "PUSHED BY"}},
                [](const Json& row) { return row; });
  return {};
}

Status push(CliContext& context, ApiClient& client, const std::string& stream,
            const std::string& path, const std::string& key) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto body = parse_json(*text);
  if (!body) return body.error().wrap(path);
  Json request = body->is_array() ? Json::object({{"rows", *body}}) : *std::move(body);
  if (!key.empty()) request.set("idempotency_key", key);
  const auto answer =
      client.post(fmt::format("/api/v1/features/streams/{}/push", encode_segment(stream)), request);
  if (!answer) return answer.error();
  if (context.structured()) {
    context.dump(*answer);
    return {};
  }
  print_line(fmt::format("{} {} as {} of the log", stream,
                         answer->boolean("repeated") ? "had it already" : "has it",
                         answer->integer("sequence")));
  return {};
}

void add_run_time(CLI::App& feature, CliContext& context) {
  static Asked asked;
  static std::string stream, file, key;
  auto* const getting = feature.add_subcommand("get", "Features of some keys as of now");
  getting->add_option("service", asked.service, "A service; or name --feature");
  getting->add_option("--feature", asked.features, "view.feature, again for more");
  getting->add_option("--entity", asked.entities, "NAME=VALUE of a key or field, again for more");
  auto* const offline = getting->add_option("--offline", asked.offline,
                                            "JSON file of lists: keys, fields and event_timestamp");
  getting->add_option("--known-at", asked.known_at, "asked (the default), now, or a time")
      ->needs(offline);
  getting->callback([&context] {
    context.with_client([&](ApiClient& client) { return get(context, client, asked); });
  });
  auto* const pushing = feature.add_subcommand("push", "Add rows to a stream");
  pushing->add_option("stream", stream, "Its name")->required();
  pushing->add_option("file", file, "JSON: a list of rows, or rows and deletes")->required();
  pushing->add_option("--idempotency-key", key, "The same push again adds nothing");
  pushing->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return push(context, client, stream, file, key); });
  });
}

void add_why(CLI::App& feature, CliContext& context) {
  static Whys asked;
  auto* const command =
      feature.add_subcommand("why", "Which rows gave features of a key their values");
  command->add_option("name", asked.name, "A service, a view, or view.feature")->required();
  command->add_option("--entity", asked.entities, "NAME=VALUE of a key or field, again for more");
  command->add_option("--at", asked.at, "As of a time; now if not given");
  command->callback([&context] {
    context.with_client([&](ApiClient& client) { return why(context, client, asked); });
  });
}

void add_list(CLI::App& feature, CliContext& context) {
  static Filters filters;
  auto* const all = feature.add_subcommand("list", "Definitions of features");
  all->add_option("--kind", filters.kind, "entity, source, view, on_demand or service");
  all->add_option("--owner", filters.owner, "Whose");
  auto* const search = feature.add_subcommand("search", "Definitions by text or computation");
  search->add_option("text", filters.text, "In names, descriptions, expressions and tags");
  search->add_option("--owner", filters.owner, "Whose");
  search->add_option("--column", filters.column, "Column of a source that they read");
  auto* const source =
      search->add_option("--source", filters.source, "Source of the columns in --expression");
  search->add_option("--expression", filters.expression, "What computes the same")->needs(source);
  for (auto* const command : {all, search}) {
    command->callback([&context] {
      context.with_client([&](ApiClient& client) { return list(context, client, filters); });
    });
  }
}

}  // namespace

void add_feature_commands(CLI::App& app, CliContext& context) {
  auto* const feature = app.add_subcommand("feature", "The feature store");
  feature->require_subcommand(1);
  static std::string file, kind, name;
  for (const auto& [verb, says] :
       {std::pair{"plan", "What applying a file of definitions would change and break"},
        {"apply", "Take a file of definitions, as a whole"}}) {
    auto* const command = feature->add_subcommand(verb, says);
    command->add_option("file", file, "YAML or JSON")->required();
    command->callback([&context, what = std::string(verb)] {
      context.with_client([&](ApiClient& client) { return take(context, client, what, file); });
    });
  }
  add_list(*feature, context);
  add_run_time(*feature, context);
  add_why(*feature, context);
  auto* const command = feature->add_subcommand("show", "One definition with its versions");
  command->add_option("kind", kind, "entity, source, view, on_demand or service")->required();
  command->add_option("name", name, "Its name")->required();
  command->callback([&context] {
    context.with_client([&](ApiClient& client) { return show(context, client, kind, name); });
  });
}

}  // namespace strata::app
