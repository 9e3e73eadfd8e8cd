#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

// Decides which task runs when. Pure: no clock, no files, no network; see step() below.
namespace strata::resources::scheduler {

using std::chrono::microseconds;

struct Resources {
  std::int64_t cpu_millis = 1000;
  std::int64_t memory_bytes = 0;
  int gpus = 0;
};

struct RetryPolicy {
  int count = 0;  // repetitions after the first attempt
  microseconds initial{1'000'000};
  double factor = 2;
  microseconds max{300'000'000};
  double jitter = 0;  // fraction either way
};

// How an attempt ended. kLost: nobody saw its end (power loss, or its shim was killed).
enum class Ending : std::uint8_t {
  kExited,
  kSignaled,
  kTimeout,
  kOutOfMemory,
  kCancelled,
  kLost,
  kNotStarted,
  kMissingOutput
};

struct Usage {
  std::int64_t cpu_micros = 0;
  std::int64_t max_rss_bytes = 0;
  std::int64_t wall_micros = 0;
};

struct Exit {
  Ending ending = Ending::kExited;
  int code = 0;  // 128 + signal when a signal ended it
  std::string message{};
  Usage usage{};
  bool succeeded() const { return ending == Ending::kExited && code == 0; }
};

enum class AttemptState : std::uint8_t { kStarting, kRunning, kEnded };

struct Attempt {
  int number = 1;
  AttemptState state = AttemptState::kStarting;
  bool stopping = false;
  Instant created, started, finished;
  std::int64_t pid = 0;
  std::vector<int> gpus;  // indices of the devices it may use
  Exit exit;
};

struct TaskPlan {
  std::string step;
  std::vector<std::string> needs;
  Resources resources;
  RetryPolicy retries;
};

enum class TaskState : std::uint8_t {
  kWaiting,
  kReady,
  kStarting,
  kRunning,
  kRetrying,
  kSucceeded,
  kFailed,
  kSkipped,
  kCancelled
};

struct Task {
  TaskPlan plan;
  TaskState state = TaskState::kWaiting;
  int failures = 0;  // counted against the retries; a lost attempt is one
  Instant ready_since, not_before;
  std::string reason;
  std::vector<Attempt> attempts;
  bool active() const { return state == TaskState::kStarting || state == TaskState::kRunning; }
  bool ended() const { return state >= TaskState::kSucceeded; }
};

enum class RunState : std::uint8_t {
  kQueued,
  kRunning,
  kCancelling,
  kSucceeded,
  kFailed,
  kCancelled
};

struct Run {
  std::string id;  // no dot in it
  std::string user;
  std::string group;    // runs of one group share `group_limit`
  int group_limit = 0;  // 0: none
  int priority = 0;
  std::int64_t sequence = 0;  // submission order
  RunState state = RunState::kQueued;
  Instant created, started, finished;
  std::string reason;
  std::vector<Task> tasks;
  bool ended() const { return state >= RunState::kSucceeded; }
  Task* task(std::string_view step);
};

// Names one attempt for ever: "<run>.<step>.<number>". A message about any other attempt of the
// task is stale.
struct Token {
  std::string run, step;
  int number = 0;
  std::string to_string() const;
  static std::optional<Token> parse(std::string_view text);
};

// --- what happens ---
struct RunSubmitted {
  Run run;
};
struct CancelRequested {
  std::string run;
  std::string reason;
};
// What an agent knows of one attempt when it is asked.
struct AttemptReport {
  std::string token;
  enum class Phase : std::uint8_t { kUnknown, kStarted, kEnded } phase = Phase::kUnknown;
  std::int64_t pid = 0;
  Instant at{};
  Instant started{};  // 0: nothing was started
  Exit exit{};
};
struct AgentUp {
  std::vector<AttemptReport> attempts;
};  // one report for each active attempt
struct AgentDown {};
struct AttemptStarted {
  std::string token;
  std::int64_t pid = 0;
  Instant at;
};
struct AttemptEnded {
  std::string token;
  Exit exit;
  Instant at;
  Instant started{};  // 0: nothing was started
  std::int64_t pid = 0;
};
struct Tick {};

struct Event {
  Instant now;
  std::variant<RunSubmitted, CancelRequested, AgentUp, AgentDown, AttemptStarted, AttemptEnded,
               Tick>
      what;
};

// --- what to do about it: first all records in one durable write, then the rest in order ---
struct RecordRun {
  Run run;
};  // its tasks are left out
struct RecordTask {
  std::string run;
  std::size_t ordinal = 0;
  Task task;
};
struct StartAttempt {
  std::string token;
  Run run;
  Task task;
};  // `run` without its tasks
struct StopAttempt {
  std::string token;
};
struct WantAgent {};  // there is work and no agent
using Action = std::variant<RecordRun, RecordTask, StartAttempt, StopAttempt, WantAgent>;

struct Settings {
  Resources capacity;  // of the node
  int running_per_user = 64;
  // A ready task that waited this long for room is passed by no later one.
  microseconds patience{30'000'000};
};

struct State {
  Settings settings;
  bool agent_up = false;
  std::map<std::string, Run> runs;  // those that have not ended

  // The attempts that a new connection to the agent must ask about.
  std::vector<std::string> active_tokens() const;
  // When a Tick is due at the latest; nothing when only messages can change anything.
  std::optional<Instant> next_wake() const;
  // Why a ready or waiting task does not run now, in words.
  std::string why_waiting(const Run& run, const Task& task) const;
};

// Decides; never acts. The same state and event give the same actions in the same order. Actions
// are idempotent by attempt token: a start is sent again until the agent has seen it, a late or
// repeated report changes nothing.
//
// Invariants: at most one attempt of a task is active; an attempt follows another only after that
// one has ended; active attempts never ask for more than the node has; tasks are admitted by
// priority, then submission.
std::vector<Action> step(State& state, const Event& event);

// Whether a task can ever run here. Errors: kInvalidArgument naming the resource, the request and
// what there is.
Status check_fits(const Resources& capacity, const TaskPlan& plan);

// The durable form of runs and tasks. Reading back gives the same value.
Json run_to_json(const Run& run);
Json task_to_json(const Task& task);
Result<Run> run_from_json(const Json& json);
Result<Task> task_from_json(const Json& json);
Json usage_to_json(const Usage& usage);

std::string_view name_of(TaskState state);
std::string_view name_of(RunState state);
std::string_view name_of(AttemptState state);
std::string_view name_of(Ending ending);
std::optional<Ending> parse_ending(std::string_view text);
Json exit_to_json(const Exit& exit);
Exit exit_from_json(const Json& json);

}  // namespace strata::resources::scheduler
