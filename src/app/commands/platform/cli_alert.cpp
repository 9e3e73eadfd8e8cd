#include "app/commands/platform/cli_alert.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"

namespace strata::app {

namespace {

std::string texts(const Json& list) {
  std::string out;
  if (!list.is_array()) return out;
  for (const Json& one : list.as_array())
    out += (out.empty() ? "" : ", ") + (one.is_string() ? one.as_string() : one.dump());
  return out;
}

Json list_of(const std::vector<std::string>& items) {
  Json out = Json::array();
  for (const auto& item : items)
    out.push(item);
  return out;
}

Json alarm_row(const Json& alarm) {
  return Json::object({{"state", alarm.text("state")},
                       {"alert", alarm["labels"].text("alertname")},
                       {"subject", alarm.text("subject")},
                       {"starts", alarm.text("starts")},
                       {"ends", alarm.text("ends", "-")},
                       {"summary", alarm["annotations"].text("summary")}});
}

void add_list(CLI::App& alert, CliContext& context) {
  static bool open = false;
  static std::string state;
  auto* list = alert.add_subcommand("list", "Alarms: the open ones, then those that ended");
  list->add_flag("--open", open, "The open ones only");
  list->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.get(open ? "/api/v1/alerts?open=true" : "/api/v1/alerts");
      if (!answer) return answer.error();
      context.print(*answer, "alerts",
                    {{"state", "STATE"},
                     {"alert", "ALERT"},
                     {"subject", "SUBJECT"},
                     {"starts", "SINCE"},
                     {"ends", "ENDED"},
                     {"summary", "SUMMARY"}},
                    alarm_row);
      return {};
    });
  });
  auto* sent = alert.add_subcommand("deliveries", "What was, is and could not be sent");
  sent->add_option("--state", state, "pending, sent, failed or silenced");
  sent->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const std::string query = state.empty() ? "" : "?state=" + encode_segment(state);
      const auto answer = client.get("/api/v1/alerts/deliveries" + query);
      if (!answer) return answer.error();
      context.print(*answer, "deliveries",
                    {{"route", "ROUTE"},
                     {"subject", "SUBJECT"},
                     {"status", "STATUS"},
                     {"state", "STATE"},
                     {"attempts", "ATTEMPTS"},
                     {"queued", "QUEUED"},
                     {"error", "ERROR"}});
      return {};
    });
  });
}

Status print_test(const CliContext& context, const Json& answer, const std::string& name) {
  if (context.structured()) context.dump(answer);
  if (answer.boolean("delivered")) {
    if (!context.structured()) print_line("delivered to " + name);
    return {};
  }
  const std::string why = answer["error"].is_string()
                              ? answer.text("error")
                              : fmt::format("it answered with status {}", answer.integer("status"));
  return Error(Code::kUnavailable, "not delivered to " + name + ": " + why);
}

struct RouteOptions {
  std::string name, url, kind = "webhook", wait, repeat, bearer, header;
  std::vector<std::string> matchers;
  bool no_resolved = false;
};

Json route_body(const RouteOptions& options) {
  Json body = Json::object({{"name", options.name}, {"kind", options.kind}, {"url", options.url}});
  if (!options.matchers.empty()) body.set("matchers", list_of(options.matchers));
  if (options.no_resolved) body.set("send_resolved", false);
  for (const auto& [field, value] : {std::pair{"wait", options.wait},
                                     {"repeat", options.repeat},
                                     {"bearer", options.bearer},
                                     {"header", options.header}}) {
    if (!value.empty()) body.set(field, value);
  }
  return body;
}

void add_route_add(CLI::App& route, CliContext& context) {
  static RouteOptions options;
  auto* add = route.add_subcommand("add", "Tell a receiver of alarms");
  add->add_option("name", options.name, "Name of the route")->required();
  add->add_option("url", options.url, "http:// or https:// of the receiver")->required();
  add->add_option("--kind", options.kind, "webhook (the default) or alertmanager");
  add->add_option("--match", options.matchers,
                  "label=value or label!=value; several must all hold");
  add->add_option("--wait", options.wait, "Alarms of one subject within it go in one request");
  add->add_option("--repeat", options.repeat, "An open alarm is sent again after it");
  auto* bearer = add->add_option("--bearer", options.bearer, "Token of the receiver")
                     ->envname("STRATA_ALERT_BEARER");
  add->add_option("--header", options.header, "Name: value, sent with each request")
      ->excludes(bearer);
  add->add_flag("--no-resolved", options.no_resolved, "Do not tell the end of alarms");
  add->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.post("/api/v1/alerts/routes", route_body(options));
      if (!answer) return answer.error();
      if (context.structured()) context.dump(*answer);
      return {};
    });
  });
}

void add_routes(CLI::App& alert, CliContext& context) {
  static std::string name;
  auto* route = alert.add_subcommand("route", "Who outside is told of alarms");
  route->require_subcommand(1);
  add_route_add(*route, context);
  route->add_subcommand("list", "All routes, with what waits and failed")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.get("/api/v1/alerts/routes");
      if (!answer) return answer.error();
      context.print(*answer, "routes",
                    {{"name", "NAME"},
                     {"kind", "KIND"},
                     {"url", "URL"},
                     {"matchers", "MATCHERS"},
                     {"pending", "PENDING"},
                     {"failed", "FAILED"},
                     {"error", "LAST ERROR"}},
                    [](const Json& one) {
                      Json row = one;
                      row.set("matchers", texts(one["matchers"]));
                      return row;
                    });
      return {};
    });
  });
  auto* remove = route->add_subcommand("remove", "Tell it no more; what waits is dropped");
  remove->add_option("name", name, "Name of the route")->required();
  remove->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.remove("/api/v1/alerts/routes/" + encode_segment(name));
      return answer ? Status() : Status(answer.error());
    });
  });
  auto* test = route->add_subcommand("test", "Send a test alarm now");
  test->add_option("name", name, "Name of the route")->required();
  test->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer =
          client.post("/api/v1/alerts/routes/" + encode_segment(name) + "/test", Json::object());
      if (!answer) return answer.error();
      return print_test(context, *answer, name);
    });
  });
}

void add_silence_add(CLI::App& silence, CliContext& context) {
  static std::vector<std::string> matchers;
  static std::string from, until, duration, reason;
  auto* add = silence.add_subcommand("add", "Send nothing of some alarms for a time");
  add->add_option("--match", matchers, "label=value or label!=value; several must all hold")
      ->required();
  add->add_option("--reason", reason, "Why")->required();
  add->add_option("--from", from, "RFC 3339; else now");
  auto* end = add->add_option("--until", until, "RFC 3339");
  add->add_option("--for", duration, "For how long, for example 2h")->excludes(end);
  add->callback([&context] {
    Json body = Json::object({{"matchers", list_of(matchers)}, {"reason", reason}});
    for (const auto& [field, value] :
         {std::pair{"from", from}, {"until", until}, {"for", duration}}) {
      if (!value.empty()) body.set(field, value);
    }
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.post("/api/v1/alerts/silences", body);
      if (!answer) return answer.error();
      if (context.structured())
        context.dump(*answer);
      else
        print_line(answer->text("id"));
      return {};
    });
  });
}

void add_silences(CLI::App& alert, CliContext& context) {
  static std::string id;
  auto* silence = alert.add_subcommand("silence", "What is not sent for a time");
  silence->require_subcommand(1);
  add_silence_add(*silence, context);
  silence->add_subcommand("list", "Silences that are not over")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.get("/api/v1/alerts/silences");
      if (!answer) return answer.error();
      context.print(*answer, "silences",
                    {{"id", "ID"},
                     {"matchers", "MATCHERS"},
                     {"from", "FROM"},
                     {"until", "UNTIL"},
                     {"author", "AUTHOR"},
                     {"reason", "REASON"}},
                    [](const Json& one) {
                      Json row = one;
                      row.set("matchers", texts(one["matchers"]));
                      return row;
                    });
      return {};
    });
  });
  auto* remove = silence->add_subcommand("remove", "End a silence");
  remove->add_option("id", id, "Its id")->required();
  remove->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto answer = client.remove("/api/v1/alerts/silences/" + encode_segment(id));
      return answer ? Status() : Status(answer.error());
    });
  });
}

}  // namespace

void add_alert_commands(CLI::App& app, CliContext& context) {
  auto* alert = app.add_subcommand("alert", "Alarms, and who outside is told of them");
  alert->require_subcommand(1);
  add_list(*alert, context);
  add_routes(*alert, context);
  add_silences(*alert, context);
}

}  // namespace strata::app
