#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "base/result.hpp"
#include "resources/scheduler/scheduler.hpp"

namespace strata::resources::orchestrator {

// A process that cannot be confused with a later one of the same number.
struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // since boot
  std::string boot;               // which boot

  // Nothing when there is no such process.
  static std::optional<ProcessIdentity> of(pid_t pid);
  // Still the same process, and not a zombie.
  bool alive() const;
  Json to_json() const;
  static ProcessIdentity from_json(const Json& json);
};

// The journal of one attempt: lines of JSON, each durable when written() returns. Whoever creates
// the file owns the attempt; there is no second one. A torn last line counts as not written.
class AttemptState {
 public:
  struct Content {
    ProcessIdentity owner;  // the shim
    std::optional<ProcessIdentity> task;
    Instant started;
    std::optional<scheduler::Exit> exit;
    Instant finished;
  };

  // Errors: kAlreadyExists when the attempt has an owner.
  static Result<AttemptState> claim(const std::string& directory);
  // For an owner that died: continues its file.
  static Result<AttemptState> reopen(const std::string& directory);
  // What stands there; nothing when nobody has claimed it.
  static Result<std::optional<Content>> read(const std::string& directory);

  AttemptState(AttemptState&& other) noexcept;
  AttemptState& operator=(AttemptState&&) = delete;
  ~AttemptState();

  Status write_started(const ProcessIdentity& task, Instant at);
  Status write_exit(const scheduler::Exit& exit, Instant at);

 private:
  AttemptState(int fd, std::string directory) : fd_(fd), directory_(std::move(directory)) {}
  Status append(const Json& line, bool sync);

  int fd_ = -1;
  std::string directory_;
};

Status make_directories(const std::string& path);
Status sync_directory(const std::string& path);

}  // namespace strata::resources::orchestrator
