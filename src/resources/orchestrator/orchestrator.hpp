#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "resources/scheduler/scheduler.hpp"

// Runs tasks on this machine by two small processes of the same binary, which outlive the server:
//   `strata agent`  one per data directory; talks with the server over DATA/run/agent.sock, starts
//   shims and watches them; `strata shim`   one per attempt; owns the task's processes and writes
//   their true end into the attempt's folder.
// Neither needs the other to live: what happened stands in DATA/tasks/<run>.<step>/<attempt>/state.
namespace strata::resources::orchestrator {

// One attempt, ready to run. Its folder holds inputs/, outputs/ and what the shim adds: work/, log,
// state.
struct Launch {
  std::string token;
  std::string directory;                 // the attempt's folder, absolute
  std::vector<std::string> argv;         // argv[0] is looked up in the PATH of `environment`
  std::vector<std::string> environment;  // NAME=value
  std::string package;                   // folder that is copied to work/ first; may be empty
  std::chrono::milliseconds timeout{0};  // 0: none
  std::uint64_t log_limit = std::uint64_t{64} << 20;  // bytes kept of the output

  Json to_json() const;
  static Result<Launch> from_json(const Json& json);
};

// The folder of an attempt in a data directory. Errors: kInvalidArgument for a token of another
// form.
Result<std::string> attempt_directory(const std::string& data, const std::string& token);
constexpr std::string_view kLogFile = "log";
constexpr std::string_view kInputsFolder = "inputs";
constexpr std::string_view kOutputsFolder = "outputs";

// Between SIGTERM and SIGKILL of a task that must stop.
constexpr std::chrono::milliseconds kGrace{10'000};

// What this machine (or the container around it) offers to tasks.
scheduler::Resources node_capacity();

// The server's end of the line to the agent. Calls only queue and never block; handlers run on its
// own thread.
//
// Promises: messages arrive in the order of the calls as long as the connection lives; when it
// breaks, `lost` is called once, queued messages are dropped and nothing happens before the next
// want().
class NodeAgent {
 public:
  struct Handlers {
    std::function<void()> connected;  // now hello() is due
    std::function<void(std::vector<scheduler::AttemptReport>)> greeted;
    std::function<void(scheduler::AttemptReport)> report;
    std::function<void()> lost;
  };
  NodeAgent(std::string data, std::string executable, Handlers handlers);
  ~NodeAgent();

  // Connects; starts the agent's process when none listens. No effect while connected.
  void want();
  // Asks what became of these attempts; answered by `greeted`.
  void hello(const std::vector<std::string>& tokens);
  void start(const Launch& launch);
  void stop(const std::string& token);
  // Lets the agent go as soon as no task runs, and disconnects for good. Blocks briefly.
  void release();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Asks the agent of a data directory to end: `now` stops its tasks, otherwise it ends after the
// last one. Waits until it has gone, at most `limit`; `waiting` hears for how many tasks. Whether
// there was an agent. Errors: kDeadlineExceeded. For `strata stop`.
Result<bool> stop_agent(const std::string& data, bool now, std::chrono::milliseconds limit,
                        const std::function<void(std::int64_t running)>& waiting = {});

struct AgentOptions {
  std::string data;
  std::string executable;  // for the shims
  // How long an agent without work and without a server stays.
  std::chrono::milliseconds linger{30'000};
};
// The agent's process: serves until it is told to end or has been idle. Blocks. The exit code.
int run_agent(const AgentOptions& options);
// The shim's process: reads a Launch as JSON from descriptor 0, runs it, and writes its end.
// Blocks. The exit code.
int run_shim();

}  // namespace strata::resources::orchestrator
