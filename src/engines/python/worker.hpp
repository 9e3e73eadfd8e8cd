#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "runtime/message_socket.hpp"
#include "runtime/process.hpp"

namespace strata::engines::python {

// The word by which this program becomes a model's process: `strata run-model MEMORY_MB SCRATCH
// INTERPRETER SCRIPT DIRECTORY`, with the socket to the server as descriptor 3.
inline constexpr std::string_view kRunModel = "run-model";
inline constexpr int kWorkerSocket = 3;

// What a model's processes are started with. All paths are absolute.
struct WorkerPlan {
  std::string executable;   // this program
  std::string interpreter;  // a Python that has what the model needs
  std::string script;       // worker.py
  std::string directory;    // the model's package
  std::string scratch;      // a folder for what processes write, each in one of its own
  std::int64_t memory_mb = 0;
};

// One process that runs a model. `state`, `exit` and `resident` belong to the fleet, under its
// lock; output and socket to whoever the fleet lets at them; end() is for any thread.
class Worker {
 public:
  enum class State : std::uint8_t { kStarting, kIdle, kBusy, kEnding };

  // Call on a thread that lives as long as the server: the process ends with it.
  static Result<std::shared_ptr<Worker>> start(const WorkerPlan& plan, std::uint64_t number);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  MessageSocket& socket() { return socket_; }
  // Kills it with all of its group, for a `reason` that its last request is told, once.
  void end(std::string_view reason);
  std::string reason() const;
  bool ending() const;
  // How it ended, once it has. Does not block; for the one thread that watches it.
  std::optional<ExitStatus> reap();
  int pidfd() const { return child_.pidfd(); }
  // Standard output and error; -1 when it has closed them.
  int output() const { return output_; }
  // Appends what it wrote, at most `most` bytes. Does not block.
  void read_output(std::string& out, std::size_t most);
  // Resident bytes now; 0 when it has ended.
  std::uint64_t resident_now() const;

  State state = State::kStarting;
  bool answered = false;
  std::optional<ExitStatus> exit;
  std::uint64_t resident = 0;

 private:
  Worker(ChildProcess child, MessageSocket socket, int output, std::string scratch)
      : child_(std::move(child)),
        socket_(std::move(socket)),
        output_(output),
        scratch_(std::move(scratch)) {}

  mutable std::mutex mutex_;  // over child_'s signals against its reaping, and reason_
  ChildProcess child_;
  MessageSocket socket_;
  int output_ = -1;
  std::string scratch_;
  bool ending_ = false;
  bool reaped_ = false;
  std::string reason_;
};

}  // namespace strata::engines::python
