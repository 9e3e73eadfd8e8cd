#include "app/commands/platform/cli_audit.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"

namespace strata::app {

namespace {

Status list(CliContext& context, ApiClient& client, const std::string& path) {
  const auto entries = client.get(path);
  if (!entries) return entries.error();
  context.print(*entries, "entries",
                {{"time", "TIME"},
                 {"project", "PROJECT"},
                 {"actor", "ACTOR"},
                 {"action", "ACTION"},
                 {"target", "TARGET"}});
  return {};
}

std::string head_text(const Json& head) {
  return fmt::format("{}:{}", head.integer("sequence"), head.text("hash"));
}

Status head(CliContext& context, ApiClient& client) {
  const auto newest = client.get("/api/v1/audit/head");
  if (!newest) return newest.error();
  if (context.structured()) {
    context.dump(*newest);
  } else {
    print_line(head_text(*newest));
  }
  return {};
}

Status verify(CliContext& context, ApiClient& client, const std::string& since) {
  const auto report =
      client.get("/api/v1/audit/verify" + (since.empty() ? "" : "?since=" + encode_segment(since)));
  if (!report) return report.error();
  const bool sound = report->boolean("sound");
  if (!sound) context.exit_code = kExitFailed;
  if (context.structured()) {
    context.dump(*report);
    return {};
  }
  if (!sound) print_line((*report)["finding"].text("message"));
  print_line(fmt::format("{} of {} entries fit; the head is {}",
                         (*report)["head"].integer("sequence"), report->integer("entries"),
                         head_text((*report)["head"])));
  return {};
}

}  // namespace

void add_audit_commands(CLI::App& app, CliContext& context) {
  static std::string actor, action, target, in, since;
  static int limit = 100;
  auto* audit = app.add_subcommand("audit", "Who changed what, newest first");
  audit->add_option("--actor", actor, "Only what this user did");
  audit->add_option("--action", action, "Only this action, for example token.create");
  audit->add_option("--target", target, "Only targets that begin so, for example model:flights");
  audit->add_option("--in", in, "Only this project, and what names none");
  audit->add_option("--limit", limit, "At most so many entries, 1 to 1000");
  audit->add_subcommand("head", "The newest entry and the hash over all of the log")
      ->callback([&context] {
        context.with_client([&](ApiClient& client) { return head(context, client); });
      });
  auto* check = audit->add_subcommand("verify", "Whether the log is what was written");
  check->add_option("--since-head", since, "The log has only grown since this SEQUENCE:HASH");
  check->callback([&context] {
    context.with_client([&](ApiClient& client) { return verify(context, client, since); });
  });
  audit->require_subcommand(0, 1);
  audit->callback([&context, audit] {
    if (!audit->get_subcommands().empty()) return;
    std::string path = fmt::format("/api/v1/audit?limit={}", limit);
    for (const auto& [name, value] :
         {std::pair("actor", &actor), {"action", &action}, {"target", &target}, {"project", &in}}) {
      if (!value->empty()) path += fmt::format("&{}={}", name, encode_segment(*value));
    }
    context.with_client([&](ApiClient& client) { return list(context, client, path); });
  });
}

}  // namespace strata::app
