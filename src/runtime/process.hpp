#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.hpp"

namespace strata {

// How a child process ended, and what it used.
struct ExitStatus {
  int code = 0;    // exit code, when `signal` is 0
  int signal = 0;  // the signal that killed it, or 0
  std::chrono::microseconds cpu{
      0};  // user and system time of the process and the children that it waited for
  std::uint64_t max_rss_bytes = 0;

  bool success() const { return code == 0 && signal == 0; }
  // "exited with code 3", "was killed by signal 9 (Killed)".
  std::string to_string() const;
};

// What to start and with what surroundings. Nothing is inherited that is not named here: of the
// parent's descriptors the child has only those in `descriptors` (and /dev/null where 0, 1 or 2 is
// missing), its signals are all at their defaults.
struct ProcessSpec {
  std::vector<std::string> argv =
      {};  // argv[0] is a path; without a '/' it is looked up in the parent's PATH
  // NAME=value lines; the parent's environment when absent.
  std::optional<std::vector<std::string>> environment = {};
  std::string directory = {};  // working directory; the parent's when empty
  // Parent's descriptor -> number in the child. Duplicated; the parent keeps and closes its own.
  std::vector<std::pair<int, int>> descriptors = {};
  bool inherit_output = true;  // 1 and 2 are the parent's unless `descriptors` names them
  bool new_session = true;     // leader of a session and process group of its own: signal_group()
                               // reaches its children
  // The kernel sends SIGKILL when the *thread* that called spawn() ends (prctl PR_SET_PDEATHSIG):
  // spawn such children from a thread that lives as long as the server does, a loop's or a pool's.
  bool dies_with_parent = false;
  int nice = 0;  // added to the parent's niceness
};

// A child process of this one, known by a pidfd, so that no signal ever reaches a process that took
// over its number. Move-only; the destructor neither kills nor waits: end what you started. One
// thread at a time.
class ChildProcess {
 public:
  // Starts it; returns once the program runs (exec succeeded). Blocks for about a millisecond.
  // Errors: kNotFound (no such program or directory), kPermissionDenied, kResourceExhausted.
  static Result<ChildProcess> spawn(const ProcessSpec& spec);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // Becomes readable when the process has ended; for poll and event loops.
  int pidfd() const { return pidfd_; }

  // Blocks until the process ended. Asking again gives the same answer.
  Result<ExitStatus> wait();
  // The same, for at most `limit`; nothing while it still runs. Zero does not block.
  Result<std::optional<ExitStatus>> wait_for(std::chrono::milliseconds limit);

  // Sends a signal to the process, or to its whole group when it has one of its own. A process that
  // has ended is success.
  Status signal(int number);
  Status signal_group(int number);

 private:
  ChildProcess(pid_t pid, int pidfd, bool own_group)
      : pid_(pid),
        pidfd_(pidfd),
        own_group_(own_group) {}

  pid_t pid_ = -1;
  int pidfd_ = -1;
  bool own_group_ = false;
  std::optional<ExitStatus> ended_;
};

// Makes this process the program argv[0], a path, with this process's environment and descriptors
// that are not close-on-exec. With `memory` it may have so many bytes of its own (RLIMIT_DATA), a
// limit that is set last, as this process may hold more. Comes back only with an error.
Error become_program(const std::vector<std::string>& argv,
                     std::optional<std::uint64_t> memory = {});

}  // namespace strata
