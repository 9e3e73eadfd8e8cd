#include "app/commands/models/cli_scoring.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/commands/cells.hpp"
#include "base/text.hpp"

namespace strata::app {

namespace {

const std::vector<std::pair<std::string, std::string>> kColumns = {
    {"id", "SCORING"},  {"model", "MODEL"},    {"version", "VERSION"}, {"state", "STATE"},
    {"rows", "ROWS"},   {"input", "INPUT"},    {"output", "OUTPUT"},   {"result", "RESULT"},
    {"actor", "ACTOR"}, {"created", "CREATED"}};

struct Options {
  std::string model, input, output, prediction, scoring;
  std::vector<std::string> keep, features;
  bool replace = false, append = false, no_wait = false;
};

bool is_over(const Json& scoring) {
  const auto state = scoring.text("state");
  return state == "finished" || state == "failed" || state == "cancelled";
}

void show(CliContext& context, const Json& scoring) {
  if (context.structured()) {
    context.dump(scoring);
    return;
  }
  context.print(Json::object({{"scorings", Json(Json::Array{scoring})}}), "scorings", kColumns);
  if (scoring["error"].is_object()) print_line(scoring["error"].text("message"));
}

void show_progress(const Json& scoring) {
  if (::isatty(STDERR_FILENO) == 0 || !scoring["total"].is_int()) return;
  std::fprintf(stderr, "\r%lld of %lld rows", static_cast<long long>(scoring.integer("rows")),
               static_cast<long long>(scoring.integer("total")));
  if (is_over(scoring)) std::fprintf(stderr, "\n");
}

// "NAME@ALIAS" and "NAME/VERSION" are written without their scheme as well.
std::string reference_of(const std::string& text) {
  return text.starts_with("models:/") ? text : "models:/" + text;
}

Json array_of(const std::vector<std::string>& items) {
  Json array = Json::array();
  for (const auto& item : items)
    array.push(item);
  return array;
}

Status score(CliContext& context, ApiClient& client, const Options& options) {
  Json body = Json::object({{"model", reference_of(options.model)},
                            {"input", options.input},
                            {"output", options.output}});
  if (options.replace) body.set("mode", "replace");
  if (options.append) body.set("mode", "append");
  if (!options.keep.empty()) body.set("keep", array_of(options.keep));
  if (!options.features.empty()) body.set("features", array_of(options.features));
  if (!options.prediction.empty()) body.set("prediction", options.prediction);
  auto scoring = client.post("/api/v1/scorings", body);
  if (!scoring) return scoring.error();
  const std::string path = "/api/v1/scorings/" + encode_segment(scoring->text("id"));
  while (!options.no_wait && !is_over(*scoring)) {
    show_progress(*scoring);
    scoring = client.get(path + "?wait=2");
    if (!scoring) return scoring.error();
  }
  show_progress(*scoring);
  show(context, *scoring);
  if (is_over(*scoring) && scoring->text("state") != "finished") context.exit_code = kExitFailed;
  return {};
}

}  // namespace

void add_scoring_commands(CLI::App& app, CliContext& context) {
  static Options options;
  auto* model = app.get_subcommand("model");
  auto* start = model->add_subcommand("score", "Run a model over a whole table or object");
  start->add_option("model", options.model, "NAME@ALIAS or NAME/VERSION")->required();
  start->add_option("--input", options.input, "TABLE, SCHEMA.TABLE or s3://bucket/key")->required();
  start->add_option("--into", options.output, "TABLE, SCHEMA.TABLE or s3://bucket/key")->required();
  auto* replace = start->add_flag("--replace", options.replace, "Replace the output table");
  start->add_flag("--append", options.append, "Add rows to the output table")->excludes(replace);
  start->add_option("--keep", options.keep, "Columns of the input in the output; default: all")
      ->delimiter(',');
  start
      ->add_option("--features", options.features,
                   "For a model of one tensor: its columns in order")
      ->delimiter(',');
  start->add_option("--prediction", options.prediction,
                    "Name of the predictions' column, or how several begin");
  start->add_flag("--no-wait", options.no_wait, "Return once it has begun");
  start->callback([&context] {
    context.with_client([&](ApiClient& client) { return score(context, client, options); });
  });
  auto* scoring = app.add_subcommand("scoring", "Models over whole tables and objects");
  scoring->require_subcommand(1);
  scoring->add_subcommand("list", "Scorings, newest first")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto all = client.get("/api/v1/scorings");
      if (!all) return all.error();
      context.print(*all, "scorings", kColumns);
      return {};
    });
  });
  auto* status = scoring->add_subcommand("status", "A scoring: how far it is, or how it ended");
  status->add_option("scoring", options.scoring, "Id of the scoring")->required();
  status->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto found = client.get("/api/v1/scorings/" + encode_segment(options.scoring));
      if (!found) return found.error();
      show(context, *found);
      return {};
    });
  });
  auto* cancel = scoring->add_subcommand("cancel", "End a scoring; nothing is written");
  cancel->add_option("scoring", options.scoring, "Id of the scoring")->required();
  cancel->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto done = client.post(
          "/api/v1/scorings/" + encode_segment(options.scoring) + "/cancel", Json::object({}));
      if (!done) return done.error();
      show(context, *done);
      return {};
    });
  });
}

}  // namespace strata::app
