#include "app/commands/models/cli_model_rules.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"

namespace strata::app {

namespace {

struct Words {
  std::string name, alias, reason;
  std::vector<std::string> approvers, rules;
  std::int64_t request = 0;
  bool all = false;
};

const std::vector<std::pair<std::string, std::string>> kRequestColumns = {
    {"id", "REQUEST"},         {"model", "MODEL"}, {"alias", "ALIAS"},
    {"action", "ACTION"},      {"from", "FROM"},   {"to", "TO"},
    {"requested_by", "ASKED"}, {"state", "STATE"}, {"expires", "EXPIRES"}};

std::string path_of(const Words& words) {
  return "/api/v1/models/" + encode_segment(words.name) + "/aliases/" +
         encode_segment(words.alias) + "/protection";
}

Status protect(CliContext& context, ApiClient& client, const Words& words) {
  Json approvers = Json::array();
  for (const auto& one : words.approvers)
    approvers.push(Json(one));
  const Json body = Json::object(
      {{"approvers", std::move(approvers)}, {"questions", Json(!words.rules.empty())}});
  const auto done = client.request("PUT", path_of(words), body.dump());
  if (!done) return done.error();
  const auto answer = parse_json(done->body);
  if (!answer) return answer.error();
  if (context.structured()) {
    context.dump(*answer);
  } else {
    print_line(
        fmt::format("{}@{} moves only when a second person approves", words.name, words.alias));
  }
  return {};
}

Status unprotect(CliContext& context, ApiClient& client, const Words& words) {
  const auto done = client.remove(path_of(words));
  if (!done) return done.error();
  if (!context.structured())
    print_line(fmt::format("{}@{} is not protected", words.name, words.alias));
  return {};
}

// One line of the table: values as people read them.
Json change_row(const Json& change) {
  Json row = change;
  for (const char* side : {"a", "b"}) {
    const Json& value = change[side];
    if (value.is_object()) {
      row.set(side, fmt::format("{} bytes, {}", value.integer("size"),
                                value.text("sha256").substr(0, 12)));
    } else if (value.is_array()) {
      row.set(side, value.dump());
    }
  }
  return row;
}

Status diff(CliContext& context, ApiClient& client, const Words& words) {
  const auto answer = client.get(fmt::format(
      "/api/v1/models/diff?a={}&b={}", encode_segment(words.name), encode_segment(words.alias)));
  if (!answer) return answer.error();
  if (context.structured()) {
    context.dump(*answer);
    return {};
  }
  for (const char* side : {"a", "b"}) {
    const Json& one = (*answer)[side];
    print_line(fmt::format("{}  {}/{}  {}", side, one.text("model"), one.integer("version"),
                           one.text("digest")));
  }
  for (const Json& section : (*answer)["hidden"].as_array())
    print_line(fmt::format("{}: left out, your token may not read it", section.as_string()));
  if (answer->boolean("equal")) {
    print_line("equal");
    return {};
  }
  context.print(
      *answer, "changes",
      {{"section", "SECTION"}, {"change", "CHANGE"}, {"name", "NAME"}, {"a", "A"}, {"b", "B"}},
      change_row);
  return {};
}

Status list_requests(CliContext& context, ApiClient& client, const Words& words) {
  const auto found =
      client.get(fmt::format("/api/v1/alias-requests?limit=500&state={}&model={}",
                             words.all ? "all" : "waiting", encode_segment(words.name)));
  if (!found) return found.error();
  context.print(*found, "requests", kRequestColumns);
  return {};
}

// The one request that waits for that alias, unless it was named.
Result<std::int64_t> request_of(ApiClient& client, const Words& words) {
  if (words.request != 0) return words.request;
  const auto found = client.get("/api/v1/alias-requests?limit=500&state=waiting&model=" +
                                encode_segment(words.name));
  if (!found) return found.error();
  std::vector<std::int64_t> waiting;
  for (const auto& request : (*found)["requests"].as_array()) {
    if (request.text("alias") == words.alias) waiting.push_back(request.integer("id"));
  }
  if (waiting.size() == 1) return waiting.front();
  if (waiting.empty())
    return not_found(fmt::format("nothing waits for {}@{}", words.name, words.alias));
  return Error(Code::kConflict,
               fmt::format("{} requests wait for {}@{}: say which by --request (strata model "
                           "requests {})",
                           waiting.size(), words.name, words.alias, words.name));
}

Status decide(CliContext& context, ApiClient& client, const Words& words, std::string_view how) {
  const auto id = request_of(client, words);
  if (!id) return id.error();
  Json body = Json::object();
  if (!words.reason.empty()) body.set("reason", words.reason);
  const auto answer = client.post(fmt::format("/api/v1/alias-requests/{}/{}", *id, how), body);
  if (!answer) return answer.error();
  context.print(Json::object({{"requests", Json(Json::Array{*answer})}}), "requests",
                kRequestColumns);
  return {};
}

void add_decision(CLI::App& model, CliContext& context, Words& words, const char* how,
                  const char* does) {
  auto* command = model.add_subcommand(how, does);
  command->add_option("name", words.name, "Name of the model")->required();
  command->add_option("alias", words.alias, "The alias")->required();
  command->add_option("--request", words.request, "Which, when several wait");
  command->add_option("--reason", words.reason, "Kept with the request");
  command->callback([&context, &words, how] {
    context.with_client([&](ApiClient& client) { return decide(context, client, words, how); });
  });
}

}  // namespace

void add_model_rule_commands(CLI::App& app, CliContext& context) {
  static Words words;
  auto* model = app.get_subcommand("model");
  auto* protecting =
      model->add_subcommand("protect", "Let an alias move only when a second person approves");
  protecting->add_option("name", words.name, "Name of the model")->required();
  protecting->add_option("alias", words.alias, "The alias, there or not")->required();
  protecting->add_option("--approvers", words.approvers,
                         "Users and teams who may approve; else all who may write models");
  protecting->add_option("--require", words.rules, "What else a version needs: questions")
      ->check(CLI::IsMember({"questions"}));
  protecting->callback([&context] {
    context.with_client([&](ApiClient& client) { return protect(context, client, words); });
  });
  auto* freeing = model->add_subcommand("unprotect", "Ask to end the protection of an alias");
  freeing->add_option("name", words.name, "Name of the model")->required();
  freeing->add_option("alias", words.alias, "The alias")->required();
  freeing->callback([&context] {
    context.with_client([&](ApiClient& client) { return unprotect(context, client, words); });
  });
  auto* requests =
      model->add_subcommand("requests", "What waits for a second person, newest first");
  requests->add_option("name", words.name, "Only of this model");
  requests->add_flag("--all", words.all, "Also what is decided, outdated or expired");
  requests->callback([&context] {
    context.with_client([&](ApiClient& client) { return list_requests(context, client, words); });
  });
  auto* comparing = model->add_subcommand("diff", "What differs between two versions");
  comparing->add_option("a", words.name, "NAME@ALIAS or NAME/VERSION")->required();
  comparing->add_option("b", words.alias, "What it is compared with")->required();
  comparing->callback([&context] {
    context.with_client([&](ApiClient& client) { return diff(context, client, words); });
  });
  add_decision(*model, context, words, "approve", "Approve what another person asked of an alias");
  add_decision(*model, context, words, "refuse", "Refuse it, or take your own request back");
}

}  // namespace strata::app
