#include "app/stop.hpp"

#include <cerrno>

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/data_dir.hpp"
#include "base/text.hpp"
#include "resources/orchestrator/orchestrator.hpp"
#include "runtime/files.hpp"

namespace strata::app {

namespace {
constexpr int kWaitMs = 10'000;

// The agent ends after the last running task, or at once with `now`.
Result<bool> stop_agent(const std::string& data_dir, bool now) {
  constexpr std::chrono::seconds kTasksEnd{15};
  constexpr std::chrono::hours kForAsLongAsTasksRun{24 * 365};
  const auto tell = [now](std::int64_t running) {
    if (now) return;
    fmt::print(stderr, "waiting for {} running task{}; strata stop --now ends {}\n", running,
               running == 1 ? "" : "s", running == 1 ? "it" : "them");
  };
  return resources::orchestrator::stop_agent(
      data_dir, now, now ? std::chrono::milliseconds(kTasksEnd) : kForAsLongAsTasksRun, tell);
}

Status stop_process(const std::string& data_dir) {
  SystemFiles files;
  const auto lock = FileLock::acquire(data_dir + "/run/lock");
  if (lock) return not_found("no server runs on " + data_dir);
  if (lock.error().code == Code::kNotFound) {
    return not_found(fmt::format(
        "no server runs on {}, which holds no server's data; name its directory by --data or "
        "STRATA_DATA",
        data_dir));
  }
  if (lock.error().code == Code::kPermissionDenied) {
    return lock.error().wrap(
        fmt::format("only the user that runs the server on {} may stop it", data_dir));
  }
  if (lock.error().code != Code::kConflict) return lock.error();
  if (!server_holds(data_dir)) return not_found("no server runs on " + data_dir);
  const auto text = files.read_all(data_dir + "/run/server.pid");
  if (!text) return text.error();
  const auto pid = to_int(trim(*text));
  if (!pid || *pid <= 1)
    return Error(Code::kDataLoss, data_dir + "/run/server.pid holds no process id");
  const auto handle = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0));
  if (handle < 0) return from_errno(errno, "pidfd_open", *text);
  Status outcome;
  if (::syscall(SYS_pidfd_send_signal, handle, SIGTERM, nullptr, 0) != 0) {
    outcome = from_errno(errno, "kill", *text);
  } else {
    pollfd ended{handle, POLLIN, 0};
    if (::poll(&ended, 1, kWaitMs) <= 0) {
      outcome = Error(Code::kDeadlineExceeded,
                      "the server did not end within 10 s; its log says what it waits for");
    }
  }
  ::close(handle);
  return outcome;
}

}  // namespace

Status stop_server(const std::string& data_dir, bool now) {
  auto stopped = stop_process(data_dir);
  // An agent may outlive its server; that there is no server is no reason to leave it.
  if (!stopped && stopped.error().code != Code::kNotFound) return stopped;
  const auto agent = stop_agent(data_dir, now);
  if (!agent) return agent.error();
  if (stopped || !*agent) return stopped;
  fmt::print(stderr, "no server ran on {}; its node agent was stopped\n", data_dir);
  return {};
}

}  // namespace strata::app
