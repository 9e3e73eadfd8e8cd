#pragma once

#include <string_view>

#include "resources/scheduler/scheduler.hpp"

// What server and agent say to each other: one JSON object a line.
//   server: {"op":"hello","attempts":[token...]}  {"op":"start","launch":{...}}
//   {"op":"stop","token":...} anyone: {"op":"shutdown","when":"idle"|"now"} agent:
//   {"event":"hello","attempts":[report...]}  {"event":"report","attempt":report}
//   {"event":"waiting","running":N}, the answer to a shutdown while tasks run
namespace strata::resources::orchestrator {

constexpr std::string_view kOpHello = "hello";
constexpr std::string_view kOpStart = "start";
constexpr std::string_view kOpStop = "stop";
constexpr std::string_view kOpShutdown = "shutdown";
constexpr std::string_view kEventHello = "hello";
constexpr std::string_view kEventReport = "report";
constexpr std::string_view kEventWaiting = "waiting";

inline Json report_to_json(const scheduler::AttemptReport& report) {
  constexpr std::string_view kPhases[] = {"unknown", "started", "ended"};
  return Json::object({{"token", report.token},
                       {"phase", kPhases[static_cast<std::size_t>(report.phase)]},
                       {"pid", report.pid},
                       {"at", report.at.micros},
                       {"begun", report.started.micros},
                       {"exit", exit_to_json(report.exit)}});
}

inline scheduler::AttemptReport report_from_json(const Json& json) {
  using Phase = scheduler::AttemptReport::Phase;
  scheduler::AttemptReport out;
  const std::string phase = json.text("phase");
  out.token = json.text("token");
  out.phase = phase == "started" ? Phase::kStarted
              : phase == "ended" ? Phase::kEnded
                                 : Phase::kUnknown;
  out.pid = json.integer("pid");
  out.at = Instant{json.integer("at")};
  out.started = Instant{json.integer("begun")};
  out.exit = scheduler::exit_from_json(json["exit"]);
  return out;
}

}  // namespace strata::resources::orchestrator
