#include "app/stop.hpp"

#include <cerrno>

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.hpp"
#include "runtime/files.hpp"

namespace strata::app {

namespace {
constexpr int kWaitMs = 10'000;
}

Status stop_server(const std::string& data_dir, bool /*now*/) {
  SystemFiles files;
  const auto lock = FileLock::acquire(data_dir + "/run/lock");
  if (lock) return not_found("no server runs on " + data_dir);
  if (lock.error().code != Code::kConflict) return lock.error();
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

}  // namespace strata::app
