#include "app/commands/platform/cli_flag.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "app/commands/platform/input.hpp"

namespace strata::app {

namespace {

using Columns = std::vector<std::pair<std::string, std::string>>;

const Columns kFlagColumns = {{"name", "NAME"},   {"state", "STATE"},     {"default", "DEFAULT"},
                              {"rules", "RULES"}, {"version", "VERSION"}, {"updated", "UPDATED"},
                              {"by", "BY"}};
const Columns kVersionColumns = {{"version", "VERSION"},
                                 {"state", "STATE"},
                                 {"updated", "UPDATED"},
                                 {"by", "BY"},
                                 {"reason", "REASON"}};
const Columns kPartColumns = {
    {"name", "NAME"}, {"version", "VERSION"}, {"updated", "UPDATED"}, {"by", "BY"}};
const Columns kKeyColumns = {{"id", "ID"},         {"key", "KEY"},         {"name", "NAME"},
                             {"remote", "REMOTE"}, {"created", "CREATED"}, {"revoked", "REVOKED"}};

// What the commands of one word share; options are bound to it before a callback runs.
struct Given {
  std::string name;
  std::string file;
  std::string reason;
  std::string attributes = "{}";
  std::int64_t version = -1;
  bool remote = false;
};

// A rule in words: what it gives, to which share, under which condition.
std::string rule_text(const Json& rule) {
  std::string out =
      rule.find("variations") != nullptr
          ? fmt::format("experiment {} of {}", rule.text("key"), rule["variations"].dump())
          : "force " + rule["force"].dump();
  if (rule.find("coverage") != nullptr)
    out += fmt::format(" for {:g} %", 100 * rule.number("coverage"));
  if (rule.find("ramp") != nullptr) out += " along a ramp";
  if (rule.find("condition") != nullptr) out += " where " + rule["condition"].dump();
  if (rule.find("parentConditions") != nullptr) out += " with prerequisites";
  if (rule.find("layer") != nullptr) out += " in layer " + rule["layer"].text("name");
  return out;
}

Json row_of(const Json& flag) {
  Json row = flag;
  row.set("default", flag["default"].dump());
  row.set("rules", static_cast<std::int64_t>(flag["rules"].size()));
  if (flag.boolean("deleted")) row.set("state", "deleted");
  return row;
}

void show(CliContext& context, const Json& flag) {
  if (context.structured()) {
    context.dump(flag);
    return;
  }
  context.print(Json::object({{"flags", Json(Json::Array{flag})}}), "flags", kFlagColumns, row_of);
  if (const auto text = flag.text("description"); !text.empty()) print_line(text);
  for (std::size_t i = 0; i < flag["rules"].size(); ++i)
    print_line(fmt::format("  {}. {}", i + 1, rule_text(flag["rules"].as_array()[i])));
  print_line("reason: " + flag.text("reason"));
}

Status list(CliContext& context, ApiClient& client, const std::string& path,
            const std::string& items, const Columns& columns,
            const std::function<Json(const Json&)>& row) {
  Json all = Json::array();
  std::string token;
  do {
    const auto page =
        client.get(path + (token.empty() ? "" : "?page_token=" + encode_segment(token)));
    if (!page) return page.error();
    for (const Json& one : (*page)[items].as_array())
      all.push(one);
    token = page->text("next_page_token");
  } while (!token.empty());
  context.print(Json::object({{items, std::move(all)}}), items, columns, row);
  return {};
}

Result<Json> set(ApiClient& client, const std::string& path, const Given& given) {
  auto definition = read_json_input(given.file);
  if (!definition) return definition;
  Json body = Json::object({{"definition", *std::move(definition)}, {"reason", given.reason}});
  if (given.version >= 0) body.set("version", given.version);
  const auto answer = client.request("PUT", path, body.dump());
  if (!answer) return answer.error();
  return parse_json(answer->body);
}

CLI::App* command(CLI::App& parent, const std::string& word, const std::string& help,
                  CliContext& context, std::function<Status(ApiClient&, const Given&)> run,
                  bool named, bool reason) {
  auto given = std::make_shared<Given>();
  auto* made = parent.add_subcommand(word, help);
  if (named) made->add_option("name", given->name, "Name")->required();
  if (reason) made->add_option("--reason", given->reason, "Why; kept with the version")->required();
  if (word == "set") {
    made->add_option("file", given->file, "JSON with the definition; - for standard input")
        ->required();
    made->add_option("--expect", given->version, "Only if this is its version; 0 for a new one");
  }
  if (word == "create")
    made->add_flag("--remote", given->remote, "SDKs only ask the server, and never see rules");
  if (word == "eval")
    made->add_option("--attributes", given->attributes,
                     "JSON object, for example {\"id\": \"u1\"}");
  made->callback([&context, given, run = std::move(run)] {
    context.with_client([&](ApiClient& client) { return run(client, *given); });
  });
  return made;
}

void add_states(CLI::App& flag, CliContext& context) {
  for (const auto& [word, state, help] :
       {std::tuple{"on", "on", "Let the rules decide"},
        {"off", "off", "Give everyone the default"},
        {"kill", "killed", "Take the flag away from SDKs: the value in the code holds"}}) {
    command(
        flag, word, help, context,
        [&context, state](ApiClient& client, const Given& given) -> Status {
          const Json body = Json::object({{"state", state}, {"reason", given.reason}});
          const auto answer =
              client.post(fmt::format("/api/v1/flags/{}/state", encode_segment(given.name)), body);
          if (!answer) return answer.error();
          show(context, *answer);
          return {};
        },
        true, true);
  }
}

// list, show, set and delete of flags, groups and holdouts.
void add_things(CLI::App& parent, CliContext& context, const std::string& path,
                const std::string& items, bool flags) {
  const auto shown = [&context, flags](const Result<Json>& answer) -> Status {
    if (!answer) return answer.error();
    if (flags) {
      show(context, *answer);
    } else {
      context.dump(*answer);
    }
    return {};
  };
  const auto one = [path](const Given& given) {
    return path + "/" + encode_segment(given.name);
  };
  command(
      parent, "list", "All by name", context,
      [=, &context](ApiClient& client, const Given&) {
        const auto as_is = [](const Json& item) {
          return item;
        };
        if (flags) return list(context, client, path, items, kFlagColumns, row_of);
        return list(context, client, path, items, kPartColumns, as_is);
      },
      false, false);
  command(
      parent, "show", "One, with its definition", context,
      [=](ApiClient& client, const Given& given) { return shown(client.get(one(given))); }, true,
      false);
  command(
      parent, "set", "Make a new version", context,
      [=](ApiClient& client, const Given& given) { return shown(set(client, one(given), given)); },
      true, true);
  command(
      parent, "delete", "Delete; the versions stay", context,
      [=](ApiClient& client, const Given& given) -> Status {
        return shown(client.remove(one(given) + "?reason=" + encode_segment(given.reason)));
      },
      true, true);
}

void add_keys(CLI::App& flag, CliContext& context) {
  auto* key = flag.add_subcommand("key", "Public keys by which SDKs read flags");
  key->require_subcommand(1);
  const auto shown = [&context](const Result<Json>& answer) -> Status {
    if (!answer) return answer.error();
    if (context.structured()) {
      context.dump(*answer);
    } else {
      context.print(Json::object({{"keys", Json(Json::Array{*answer})}}), "keys", kKeyColumns);
    }
    return {};
  };
  command(
      *key, "list", "Keys of the project", context,
      [&context](ApiClient& client, const Given&) -> Status {
        const auto answer = client.get("/api/v1/flag-keys");
        if (!answer) return answer.error();
        context.print(*answer, "keys", kKeyColumns);
        return {};
      },
      false, false);
  command(
      *key, "create", "Make one; the name says who uses it", context,
      [shown](ApiClient& client, const Given& given) {
        return shown(client.post("/api/v1/flag-keys",
                                 Json::object({{"name", given.name}, {"remote", given.remote}})));
      },
      true, false);
  auto* revoke = command(
      *key, "revoke", "Refuse SDKs with this key", context,
      [shown](ApiClient& client, const Given& given) {
        return shown(client.remove("/api/v1/flag-keys/" + encode_segment(given.name)));
      },
      true, false);
  revoke->get_option("name")->description("The id that key list shows");
}

}  // namespace

void add_flag_commands(CLI::App& app, CliContext& context) {
  auto* flag = app.add_subcommand("flag", "Feature flags: who gets which value");
  flag->require_subcommand(1);
  add_things(*flag, context, "/api/v1/flags", "flags", true);
  add_states(*flag, context);
  command(
      *flag, "history", "The versions of a flag, newest first", context,
      [&context](ApiClient& client, const Given& given) -> Status {
        const auto answer =
            client.get(fmt::format("/api/v1/flags/{}/versions", encode_segment(given.name)));
        if (!answer) return answer.error();
        context.print(*answer, "versions", kVersionColumns, row_of);
        return {};
      },
      true, false);
  command(
      *flag, "eval", "What a unit gets, and by which rule", context,
      [&context](ApiClient& client, const Given& given) -> Status {
        auto attributes = parse_json(given.attributes);
        if (!attributes) return attributes.error().wrap("--attributes");
        const auto answer =
            client.post(fmt::format("/api/v1/flags/{}/evaluate", encode_segment(given.name)),
                        Json::object({{"attributes", *std::move(attributes)}}));
        if (!answer) return answer.error();
        if (context.structured()) {
          context.dump(*answer);
          return {};
        }
        const std::string variation = (*answer)["experimentResult"].text("key");
        print_line(fmt::format("{}  {}{}", (*answer)["value"].dump(), answer->text("source"),
                               variation.empty() ? "" : ", variation " + variation));
        return {};
      },
      true, false);
  auto* group = flag->add_subcommand("group", "Saved groups, which conditions name by $inGroup");
  group->require_subcommand(1);
  add_things(*group, context, "/api/v1/flag-groups", "groups", false);
  auto* holdout = flag->add_subcommand("holdout", "Shares of all units that see no experiment");
  holdout->require_subcommand(1);
  add_things(*holdout, context, "/api/v1/flag-holdouts", "holdouts", false);
  add_keys(*flag, context);
}

}  // namespace strata::app
