#include "runtime/process.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.hpp"

namespace strata {

namespace {

// What the child tells when it could not become the program.
struct SpawnFailure {
  int number;
  char step[24];
};

// Everything the child needs, made before fork(): between fork() and exec() a thread of a
// multi-threaded program may call only async-signal-safe functions, so nothing there may allocate.
struct ChildPlan {
  const char* program = nullptr;
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* directory = nullptr;
  std::vector<std::pair<int, int>> descriptors;
  int report = -1;
  pid_t parent = -1;
  int first_free = 0;  // above every descriptor number that the child is to have
};

[[noreturn]] void give_up(int report, const char* step) {
  SpawnFailure failure{errno, {}};
  std::strncpy(failure.step, step, sizeof(failure.step) - 1);
  // Nothing can be done when even this fails; the parent sees the early end.
  [[maybe_unused]] const auto written = ::write(report, &failure, sizeof(failure));
  ::_exit(127);
}

void reset_signals() {
  struct sigaction defaults{};
  defaults.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number)
    ::sigaction(number, &defaults, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Moves the sources out of the way first, because one source's number may be another one's target.
int place_descriptors(ChildPlan& plan) {
  const int report = ::fcntl(plan.report, F_DUPFD_CLOEXEC, plan.first_free);
  if (report < 0) give_up(plan.report, "fcntl");
  for (auto& [from, to] : plan.descriptors) {
    from = ::fcntl(from, F_DUPFD_CLOEXEC, plan.first_free);
    if (from < 0) give_up(report, "fcntl");
  }
  if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) give_up(report, "close_range");
  for (const auto& [from, to] : plan.descriptors) {
    if (::dup2(from, to) < 0) give_up(report, "dup2");
  }
  return report;
}

[[noreturn]] void become(ChildPlan& plan, const ProcessSpec& spec) {
  reset_signals();
  if (spec.new_session) ::setsid();
  if (spec.dies_with_parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(plan.report, "prctl");
    if (::getppid() != plan.parent) ::_exit(127);  // it died before we asked
  }
  const int report = place_descriptors(plan);
  if (plan.directory != nullptr && ::chdir(plan.directory) != 0) give_up(report, "chdir");
  if (spec.nice != 0) {
    errno = 0;
    if (::nice(spec.nice) == -1 && errno != 0) give_up(report, "nice");
  }
  ::execve(plan.program, plan.argv.data(), plan.environment.data());
  give_up(report, "execve");
}

Result<std::string> find_program(const std::string& name) {
  if (name.empty()) return invalid("argv", "the program to start has no name");
  if (name.contains('/')) return name;
  const char* path = std::getenv("PATH");
  for (const auto& folder : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return not_found("the program '" + name + "' is not in PATH");
}

// The descriptors of the spec, completed by the parent's output and by /dev/null, so that 0, 1 and
// 2 always exist.
std::vector<std::pair<int, int>> complete(const ProcessSpec& spec, int dev_null) {
  auto all = spec.descriptors;
  for (int number = 0; number <= 2; ++number) {
    const bool named = std::any_of(all.begin(), all.end(),
                                   [&](const auto& entry) { return entry.second == number; });
    if (named) continue;
    const bool inherit = number > 0 && spec.inherit_output && ::fcntl(number, F_GETFD) != -1;
    all.emplace_back(inherit ? number : dev_null, number);
  }
  return all;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const auto& text : texts)
    out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

ExitStatus to_status(int status, const struct rusage& usage) {
  ExitStatus out;
  if (WIFSIGNALED(status)) {
    out.signal = WTERMSIG(status);
  } else {
    out.code = WEXITSTATUS(status);
  }
  const auto micros = [](const timeval& t) {
    return std::chrono::microseconds(t.tv_sec * 1'000'000 + t.tv_usec);
  };
  out.cpu = micros(usage.ru_utime) + micros(usage.ru_stime);
  out.max_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  return out;
}

}  // namespace

std::string ExitStatus::to_string() const {
  if (signal == 0) return "exited with code " + std::to_string(code);
  const char* name = ::sigdescr_np(signal);
  return "was killed by signal " + std::to_string(signal) +
         (name != nullptr ? " (" + std::string(name) + ")" : "");
}

Result<ChildProcess> ChildProcess::spawn(const ProcessSpec& spec) {
  if (spec.argv.empty()) return invalid("argv", "the program to start has no name");
  auto program = find_program(spec.argv[0]);
  if (!program) return std::move(program).error();

  const int dev_null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (dev_null < 0) return from_errno(errno, "open", "/dev/null");
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    const int number = errno;
    ::close(dev_null);
    return from_errno(number, "pipe2", spec.argv[0]);
  }
  ChildPlan plan;
  plan.program = program->c_str();
  plan.argv = pointers(spec.argv);
  if (spec.environment) {
    plan.environment = pointers(*spec.environment);
  } else {
    for (char** entry = ::environ; *entry != nullptr; ++entry)
      plan.environment.push_back(*entry);
    plan.environment.push_back(nullptr);
  }
  plan.directory = spec.directory.empty() ? nullptr : spec.directory.c_str();
  plan.descriptors = complete(spec, dev_null);
  plan.report = report[1];
  plan.parent = ::getpid();
  plan.first_free = 3;
  for (const auto& [from, to] : plan.descriptors)
    plan.first_free = std::max(plan.first_free, to + 1);

  // All signals wait while the child is still this program, or a handler of ours could run in it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) become(plan, spec);
  const int number = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(dev_null);
  ::close(report[1]);
  if (pid < 0) {
    ::close(report[0]);
    return from_errno(number, "fork", spec.argv[0]);
  }

  SpawnFailure failure{};
  ssize_t got = 0;
  do {
    got = ::read(report[0], &failure, sizeof(failure));
  } while (got < 0 && errno == EINTR);
  ::close(report[0]);
  if (got == sizeof(failure)) {
    ::waitpid(pid, nullptr, 0);
    const bool folder = std::string_view(failure.step) == "chdir";
    return from_errno(failure.number, failure.step, folder ? spec.directory : *program);
  }
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    const int fault = errno;
    ::kill(pid, SIGKILL);  // ours and not yet waited for: the number cannot have been reused
    ::waitpid(pid, nullptr, 0);
    return from_errno(fault, "pidfd_open", *program);
  }
  return ChildProcess(pid, pidfd, spec.new_session);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      own_group_(other.own_group_),
      ended_(other.ended_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    if (pidfd_ >= 0) ::close(pidfd_);
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::exchange(other.pidfd_, -1);
    own_group_ = other.own_group_;
    ended_ = other.ended_;
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pidfd_ >= 0) ::close(pidfd_);
}

Result<ExitStatus> ChildProcess::wait() {
  auto ended = wait_for(std::chrono::milliseconds(-1));
  if (!ended) return std::move(ended).error();
  return **ended;
}

Result<std::optional<ExitStatus>> ChildProcess::wait_for(std::chrono::milliseconds limit) {
  if (ended_) return ended_;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    pollfd watch{pidfd_, POLLIN, 0};
    int left = -1;
    if (limit.count() >= 0) {
      const auto rest =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
              .count();
      left = static_cast<int>(std::clamp<std::int64_t>(rest, 0, 1 << 30));
    }
    const int ready = ::poll(&watch, 1, left);
    if (ready > 0) break;
    if (ready == 0) return std::optional<ExitStatus>();
    if (errno != EINTR) return from_errno(errno, "poll", "child process");
  }
  int status = 0;
  struct rusage usage{};
  pid_t got = 0;
  do {
    got = ::wait4(pid_, &status, 0, &usage);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return from_errno(errno, "wait4", "child process");
  ended_ = to_status(status, usage);
  return ended_;
}

Status ChildProcess::signal(int number) {
  if (ended_) return {};
  if (::syscall(SYS_pidfd_send_signal, pidfd_, number, nullptr, 0) == 0 || errno == ESRCH)
    return {};
  return from_errno(errno, "pidfd_send_signal", "child process");
}

Status ChildProcess::signal_group(int number) {
  if (!own_group_) return signal(number);
  // The group outlives its leader while any member lives, and its number stays taken until then.
  if (::kill(-pid_, number) == 0 || errno == ESRCH) return {};
  return from_errno(errno, "kill", "process group");
}

Error become_program(const std::vector<std::string>& argv, std::optional<std::uint64_t> memory) {
  if (argv.empty()) return invalid("argv", "the program to become has no name");
  auto all = pointers(argv);
  if (memory) {
    const rlimit both{*memory, *memory};
    if (::setrlimit(RLIMIT_DATA, &both) != 0) return from_errno(errno, "setrlimit", argv[0]);
  }
  ::execve(all[0], all.data(), ::environ);
  return from_errno(errno, "execve", argv[0]);
}

}  // namespace strata
