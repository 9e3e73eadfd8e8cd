#include "app/commands/platform/cli_label.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"

namespace strata::app {

namespace {

// Lines of a file that go in one request.
constexpr std::size_t kLines = 20'000;

Result<std::string> text_of(const std::string& path) {
  std::stringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return std::move(text).str();
  }
  std::ifstream file(path, std::ios::binary);
  text << file.rdbuf();
  if (!file) return not_found(fmt::format("cannot read {}", path));
  return std::move(text).str();
}

Result<std::string> type_of(const std::string& path, const std::string& format) {
  std::string ending = format;
  if (ending.empty()) ending = path.substr(std::min(path.size(), path.rfind('.') + 1));
  if (ending == "csv") return std::string("text/csv");
  if (ending == "ndjson" || ending == "jsonl") return std::string("application/x-ndjson");
  if (ending == "json") return std::string("application/json");
  return invalid("format", fmt::format("cannot tell what {} is; give --format csv, ndjson or json",
                                       path == "-" ? "the standard input" : path));
}

// The text in pieces of kLines records, each with the head line if there is one. A line break
// within quotes ends no record.
std::vector<std::string> pieces_of(const std::string& text, bool csv) {
  std::vector<std::string> out;
  std::string head;
  std::size_t begin = 0, records = 0;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (csv && text[at] == '"') quoted = !quoted;
    if (text[at] != '\n' || quoted) continue;
    if (csv && head.empty()) {
      head = text.substr(0, at + 1);
      begin = at + 1;
      continue;
    }
    if (++records < kLines) continue;
    out.push_back(head + text.substr(begin, at + 1 - begin));
    begin = at + 1;
    records = 0;
  }
  if (begin < text.size() || out.empty()) out.push_back(head + text.substr(begin));
  return out;
}

Result<std::int64_t> push(ApiClient& client, const std::string& endpoint, const std::string& text,
                          const std::string& type) {
  const auto pieces =
      type == "application/json" ? std::vector{text} : pieces_of(text, type == "text/csv");
  std::int64_t pushed = 0;
  for (const auto& piece : pieces) {
    const auto answer = client.request(
        "POST", fmt::format("/api/v1/endpoints/{}/labels", encode_segment(endpoint)), piece, type);
    if (!answer) {
      if (pushed == 0) return answer.error();
      return answer.error().wrap(fmt::format(
          "after {} labels, which are kept; push the file again when it is mended", pushed));
    }
    const auto json = parse_json(answer->body);
    if (!json) return json.error();
    pushed += json->integer("labels");
  }
  return pushed;
}

}  // namespace

void add_label_commands(CLI::App& app, CliContext& context) {
  auto* label = app.add_subcommand("label", "What turned out to be true of predictions");
  label->require_subcommand(1);
  static std::string endpoint, file, format;
  auto* command = label->add_subcommand("push", "Send labels of an endpoint's predictions");
  command->add_option("endpoint", endpoint, "Name of the endpoint")->required();
  command
      ->add_option("--file", file,
                   "CSV, NDJSON or JSON with prediction_id, value and, if you like, row, name, "
                   "event_time; - for standard input")
      ->required();
  command->add_option("--format", format, "csv, ndjson or json, where the name does not tell");
  command->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto type = type_of(file, format);
      if (!type) return type.error();
      const auto text = text_of(file);
      if (!text) return text.error();
      const auto pushed = push(client, endpoint, *text, *type);
      if (!pushed) return pushed.error().wrap(file);
      if (context.structured()) {
        context.dump(Json::object({{"labels", *pushed}}));
      } else {
        print_line(fmt::format("{} labels", *pushed));
      }
      return {};
    });
  });
}

}  // namespace strata::app
