// The durable form of the scheduler's values.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.hpp"
#include "resources/scheduler/scheduler.hpp"

namespace strata::resources::scheduler {
namespace {

constexpr std::array<std::string_view, 9> kTaskStates = {"waiting", "ready",    "starting",
                                                         "running", "retrying", "succeeded",
                                                         "failed",  "skipped",  "cancelled"};
constexpr std::array<std::string_view, 6> kRunStates = {"queued",    "running", "cancelling",
                                                        "succeeded", "failed",  "cancelled"};
constexpr std::array<std::string_view, 3> kAttemptStates = {"starting", "running", "ended"};
constexpr std::array<std::string_view, 8> kEndings = {"exited",        "signaled",      "timeout",
                                                      "out_of_memory", "cancelled",     "lost",
                                                      "not_started",   "missing_output"};

template <class E, std::size_t N>
std::optional<E> parse_name(const std::array<std::string_view, N>& names, std::string_view text) {
  const auto* const found = std::ranges::find(names, text);
  if (found == names.end()) return std::nullopt;
  return static_cast<E>(found - names.begin());
}

Json attempt_to_json(const Attempt& a) {
  Json gpus = Json::array();
  for (const int gpu : a.gpus)
    gpus.push(gpu);
  return Json::object({{"number", a.number},
                       {"state", name_of(a.state)},
                       {"stopping", a.stopping},
                       {"created", a.created.micros},
                       {"started", a.started.micros},
                       {"finished", a.finished.micros},
                       {"pid", a.pid},
                       {"gpus", std::move(gpus)},
                       {"exit", exit_to_json(a.exit)}});
}

std::optional<Attempt> attempt_from_json(const Json& json) {
  Attempt a;
  const auto state = parse_name<AttemptState>(kAttemptStates, json.text("state"));
  if (!state) return std::nullopt;
  a.number = static_cast<int>(json.integer("number"));
  a.state = *state;
  a.stopping = json.boolean("stopping");
  a.created.micros = json.integer("created");
  a.started.micros = json.integer("started");
  a.finished.micros = json.integer("finished");
  a.pid = json.integer("pid");
  if (json["gpus"].is_array()) {
    for (const Json& gpu : json["gpus"].as_array())
      a.gpus.push_back(static_cast<int>(gpu.as_int()));
  }
  a.exit = exit_from_json(json["exit"]);
  return a;
}

Json plan_to_json(const TaskPlan& plan) {
  Json needs = Json::array();
  for (const auto& need : plan.needs)
    needs.push(need);
  return Json::object({{"step", plan.step},
                       {"needs", std::move(needs)},
                       {"cpu_millis", plan.resources.cpu_millis},
                       {"memory_bytes", plan.resources.memory_bytes},
                       {"gpus", plan.resources.gpus},
                       {"retries", plan.retries.count},
                       {"backoff", plan.retries.initial.count()},
                       {"factor", plan.retries.factor},
                       {"backoff_max", plan.retries.max.count()},
                       {"jitter", plan.retries.jitter}});
}

TaskPlan plan_from_json(const Json& json) {
  TaskPlan plan;
  plan.step = json.text("step");
  if (json["needs"].is_array()) {
    for (const Json& need : json["needs"].as_array())
      plan.needs.push_back(need.as_string());
  }
  plan.resources.cpu_millis = json.integer("cpu_millis");
  plan.resources.memory_bytes = json.integer("memory_bytes");
  plan.resources.gpus = static_cast<int>(json.integer("gpus"));
  plan.retries.count = static_cast<int>(json.integer("retries"));
  plan.retries.initial = microseconds(json.integer("backoff"));
  plan.retries.factor = json.number("factor", 1);
  plan.retries.max = microseconds(json.integer("backoff_max"));
  plan.retries.jitter = json.number("jitter");
  return plan;
}

Error damaged(std::string_view what, const Json& json) {
  return Error(Code::kDataLoss, fmt::format("stored {} cannot be read: {}", what, json.dump()));
}

}  // namespace

std::string_view name_of(TaskState state) {
  return kTaskStates[static_cast<std::size_t>(state)];
}
std::string_view name_of(RunState state) {
  return kRunStates[static_cast<std::size_t>(state)];
}
std::string_view name_of(AttemptState state) {
  return kAttemptStates[static_cast<std::size_t>(state)];
}
std::string_view name_of(Ending ending) {
  return kEndings[static_cast<std::size_t>(ending)];
}
std::optional<Ending> parse_ending(std::string_view text) {
  return parse_name<Ending>(kEndings, text);
}

Task* Run::task(std::string_view step) {
  const auto found = std::ranges::find(tasks, step, [](const Task& t) { return t.plan.step; });
  return found == tasks.end() ? nullptr : &*found;
}

std::string Token::to_string() const {
  return fmt::format("{}.{}.{}", run, step, number);
}

std::optional<Token> Token::parse(std::string_view text) {
  const auto parts = split(text, '.');
  if (parts.size() != 3 || parts[0].empty() || parts[1].empty()) return std::nullopt;
  const auto number = to_int(parts[2]);
  if (!number || *number < 1 || *number > 1'000'000) return std::nullopt;
  return Token{parts[0], parts[1], static_cast<int>(*number)};
}

Json usage_to_json(const Usage& usage) {
  return Json::object({{"cpu_seconds", static_cast<double>(usage.cpu_micros) / 1e6},
                       {"max_rss_bytes", usage.max_rss_bytes},
                       {"wall_seconds", static_cast<double>(usage.wall_micros) / 1e6}});
}

Json exit_to_json(const Exit& exit) {
  return Json::object({{"ending", name_of(exit.ending)},
                       {"code", exit.code},
                       {"message", exit.message},
                       {"cpu_micros", exit.usage.cpu_micros},
                       {"max_rss_bytes", exit.usage.max_rss_bytes},
                       {"wall_micros", exit.usage.wall_micros}});
}

Exit exit_from_json(const Json& json) {
  Exit exit;
  exit.ending = parse_ending(json.text("ending")).value_or(Ending::kLost);
  exit.code = static_cast<int>(json.integer("code"));
  exit.message = json.text("message");
  exit.usage = {json.integer("cpu_micros"), json.integer("max_rss_bytes"),
                json.integer("wall_micros")};
  return exit;
}

Json task_to_json(const Task& task) {
  Json attempts = Json::array();
  for (const Attempt& attempt : task.attempts)
    attempts.push(attempt_to_json(attempt));
  return Json::object({{"plan", plan_to_json(task.plan)},
                       {"state", name_of(task.state)},
                       {"failures", task.failures},
                       {"ready_since", task.ready_since.micros},
                       {"not_before", task.not_before.micros},
                       {"reason", task.reason},
                       {"attempts", std::move(attempts)}});
}

Result<Task> task_from_json(const Json& json) {
  Task task;
  const auto state = parse_name<TaskState>(kTaskStates, json.text("state"));
  if (!state || !json["attempts"].is_array()) return damaged("task", json);
  task.plan = plan_from_json(json["plan"]);
  task.state = *state;
  task.failures = static_cast<int>(json.integer("failures"));
  task.ready_since.micros = json.integer("ready_since");
  task.not_before.micros = json.integer("not_before");
  task.reason = json.text("reason");
  for (const Json& entry : json["attempts"].as_array()) {
    auto attempt = attempt_from_json(entry);
    if (!attempt) return damaged("attempt", entry);
    task.attempts.push_back(std::move(*attempt));
  }
  if (task.active() && task.attempts.empty()) return damaged("task", json);
  return task;
}

Json run_to_json(const Run& run) {
  return Json::object({{"id", run.id},
                       {"user", run.user},
                       {"group", run.group},
                       {"group_limit", run.group_limit},
                       {"priority", run.priority},
                       {"sequence", run.sequence},
                       {"state", name_of(run.state)},
                       {"created", run.created.micros},
                       {"started", run.started.micros},
                       {"finished", run.finished.micros},
                       {"reason", run.reason}});
}

Result<Run> run_from_json(const Json& json) {
  Run run;
  const auto state = parse_name<RunState>(kRunStates, json.text("state"));
  if (!state) return damaged("run", json);
  run.id = json.text("id");
  run.user = json.text("user");
  run.group = json.text("group");
  run.group_limit = static_cast<int>(json.integer("group_limit"));
  run.priority = static_cast<int>(json.integer("priority"));
  run.sequence = json.integer("sequence");
  run.state = *state;
  run.created.micros = json.integer("created");
  run.started.micros = json.integer("started");
  run.finished.micros = json.integer("finished");
  run.reason = json.text("reason");
  return run;
}

}  // namespace strata::resources::scheduler
