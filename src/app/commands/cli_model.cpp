#include "app/commands/cli_model.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/numbers.hpp"
#include "base/text.hpp"

namespace strata::app {

namespace {

const std::vector<std::pair<std::string, std::string>> kModelColumns = {
    {"name", "NAME"}, {"latest_version", "LATEST"}, {"aliases", "ALIASES"}, {"owner", "OWNER"},
    {"team", "TEAM"}, {"updated", "UPDATED"}};
const std::vector<std::pair<std::string, std::string>> kVersionColumns = {
    {"version", "VERSION"}, {"aliases", "ALIASES"}, {"digest", "DIGEST"},
    {"owner", "OWNER"},     {"run_id", "RUN"},      {"created", "CREATED"}};
const std::vector<std::pair<std::string, std::string>> kMoveColumns = {
    {"time", "TIME"}, {"alias", "ALIAS"}, {"from", "FROM"},
    {"to", "TO"},     {"actor", "ACTOR"}, {"approved_by", "APPROVED BY"}};

// Names, and where they lead if that is known: "champion", "champion" with an arrow to 2.
Json with_alias_names(const Json& item) {
  std::vector<std::string> names;
  const Json& aliases = item["aliases"];
  for (const auto& alias : aliases.is_array() ? aliases.as_array() : Json::Array{})
    names.push_back(alias.as_string());
  if (aliases.is_object()) {
    for (const auto& [name, version] : aliases.as_object())
      names.push_back(name + " \u2192 " +
                      (version.is_string() ? version.as_string() : version.dump()));
  }
  Json row = item;
  row.set("aliases", names.empty() ? Json() : Json(join(names, ", ")));
  return row;
}

Status list_models(CliContext& context, ApiClient& client) {
  Json all = Json::array();
  std::string token;
  do {
    const auto page = client.get("/api/v1/models?limit=1000" +
                                 (token.empty() ? "" : "&page_token=" + encode_segment(token)));
    if (!page) return page.error();
    for (const auto& model : (*page)["models"].as_array())
      all.push(model);
    token = page->text("next_page_token");
  } while (!token.empty());
  context.print(Json::object({{"models", std::move(all)}}), "models", kModelColumns,
                with_alias_names);
  return {};
}

Status show_model(CliContext& context, ApiClient& client, const std::string& name) {
  const auto model = client.get("/api/v1/models/" + encode_segment(name));
  if (!model) return model.error();
  if (context.structured()) {
    context.dump(*model);
    return {};
  }
  print_line(fmt::format("{}  owner {} (team {})", model->text("name"), model->text("owner"),
                         model->text("team")));
  for (const auto& line : split(model->text("description"), '\n'))
    print_line(line);
  context.print(*model, "versions", kVersionColumns, with_alias_names);
  std::printf("\n");
  context.print(*model, "alias_history", kMoveColumns);
  return {};
}

Status move_alias(CliContext& context, ApiClient& client, const std::string& name,
                  const std::string& alias, std::int64_t version, const std::string& reason) {
  Json body = Json::object({{"version", Json(version)}});
  if (!reason.empty()) body.set("override", reason);
  const auto moved = client.request(
      "PUT", "/api/v1/models/" + encode_segment(name) + "/aliases/" + encode_segment(alias),
      body.dump());
  if (!moved) return moved.error();
  const auto answer = parse_json(moved->body);
  if (!answer) return answer.error();
  context.print(Json::object({{"versions", Json(Json::Array{*answer})}}), "versions",
                kVersionColumns, with_alias_names);
  return {};
}

// What "flights@champion", "flights/3" or "models:/flights@champion" names: model and subject.
std::pair<std::string, std::string> model_and_subject(std::string_view text) {
  constexpr std::string_view kScheme = "models:/";
  if (text.starts_with(kScheme)) text.remove_prefix(kScheme.size());
  const auto at = text.find_first_of("@/");
  if (at == std::string_view::npos) return {std::string(text), ""};
  return {std::string(text.substr(0, at)), std::string(text.substr(text[at] == '@' ? at : at + 1))};
}

Status explain_model(CliContext& context, ApiClient& client, const std::string& reference,
                     const std::string& at) {
  const auto [model, subject] = model_and_subject(reference);
  std::string path = "/api/v1/models/" + encode_segment(model) + "/explain";
  if (!subject.empty()) path += "?subject=" + encode_segment(subject);
  if (!at.empty()) path += (subject.empty() ? "?at=" : "&at=") + encode_segment(at);
  const auto found = client.get(path);
  if (!found) return found.error();
  if (context.structured()) {
    context.dump(*found);
    return {};
  }
  print_line(fmt::format("{}{}{}  version {}  {}", found->text("model"),
                         found->text("subject").starts_with('@') ? "" : "/", found->text("subject"),
                         found->integer("version"), found->text("digest")));
  for (const auto& one : (*found)["answered"].as_array()) {
    print_line(fmt::format("answered by endpoint {} with version {} since {}", one.text("endpoint"),
                           one.text("version"), one.text("since")));
  }
  for (const auto& question : (*found)["questions"].as_array()) {
    print_line(fmt::format("\n{:<8} {}", question.text("verdict"), question.text("text")));
    for (const auto& evidence : question["evidence"].as_array())
      print_line(fmt::format("         {:<8} {}", evidence.text("verdict"), evidence.text("text")));
  }
  return {};
}

Status set_owner(CliContext& context, ApiClient& client, const std::string& model,
                 const std::string& user, const std::string& team) {
  Json body = Json::object({{"user", user}});
  if (!team.empty()) body.set("team", team);
  const auto done =
      client.request("PUT", "/api/v1/models/" + encode_segment(model) + "/owner", body.dump());
  if (!done) return done.error();
  const auto answer = parse_json(done->body);
  if (!answer) return answer.error();
  if (context.structured()) {
    context.dump(*answer);
  } else {
    print_line(fmt::format("{} of team {} owns {}", answer->text("owner"), answer->text("team"),
                           answer->text("name")));
  }
  return {};
}

}  // namespace

void add_model_commands(CLI::App& app, CliContext& context) {
  static std::string name, alias, at, user, team, reason;
  static std::int64_t version = 0;
  auto* model = app.add_subcommand("model", "Registered models, their versions and aliases");
  model->require_subcommand(1);
  model->add_subcommand("list", "All registered models")->callback([&context] {
    context.with_client([&](ApiClient& client) { return list_models(context, client); });
  });
  auto* show =
      model->add_subcommand("show", "A model with its versions and the history of its aliases");
  show->add_option("name", name, "Name of the model")->required();
  show->callback([&context] {
    context.with_client([&](ApiClient& client) { return show_model(context, client, name); });
  });
  auto* move = model->add_subcommand("alias", "Let an alias name a version");
  move->add_option("name", name, "Name of the model")->required();
  move->add_option("alias", alias, "Alias, for example champion")->required();
  move->add_option("version", version, "Number of the version")->required()->check(whole_number(1));
  move->add_option("--override", reason, "Why, although questions are bad; it stays for ever");
  move->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return move_alias(context, client, name, alias, version, reason);
    });
  });
  auto* explain = model->add_subcommand(
      "explain", "Owner, binary, features, code and data of a model: a verdict each");
  explain->add_option("model", name, "NAME, NAME@ALIAS or NAME/VERSION")->required();
  explain->add_option("--at", at, "As it was then, for example 2026-11-17T10:32:00Z");
  explain->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return explain_model(context, client, name, at); });
  });
  auto* owner = model->add_subcommand("owner", "Make another person responsible for a model");
  owner->add_option("name", name, "Name of the model")->required();
  owner->add_option("user", user, "Name of the user")->required();
  owner->add_option("--team", team, "Team of that user; the user's own if it is not said");
  owner->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return set_owner(context, client, name, user, team); });
  });
}

}  // namespace strata::app
