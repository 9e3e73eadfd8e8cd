// The owner of one attempt's processes. Small and alone: it needs neither agent nor server once it
// has its Launch.
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.hpp"
#include "resources/orchestrator/attempt_state.hpp"
#include "resources/orchestrator/orchestrator.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"

namespace strata::resources::orchestrator {
namespace {

using scheduler::Ending;
using scheduler::Exit;
using Steady = std::chrono::steady_clock;

// Kills by the kernel for lack of memory in our control group so far; nothing where that is not
// told.
std::optional<std::int64_t> memory_kills() {
  for (const auto* const path :
       {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}) {
    SystemFiles files;
    const auto text = files.read_all(path);
    if (!text) continue;
    for (const std::string& line : split(*text, '\n')) {
      if (line.starts_with("oom_kill ")) return to_int(std::string_view(line).substr(9));
    }
  }
  return std::nullopt;
}

// Where the program of argv[0] is, by the PATH of the task's own environment.
std::string program_of(const Launch& launch) {
  const std::string& name = launch.argv.front();
  if (name.contains('/')) return name;
  for (const std::string& line : launch.environment) {
    if (!line.starts_with("PATH=")) continue;
    for (const std::string& folder : split(std::string_view(line).substr(5), ':')) {
      const std::string path = (folder.empty() ? "." : folder) + "/" + name;
      if (access(path.c_str(), X_OK) == 0) return path;
    }
  }
  return "";
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts)
    out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The kept part of the task's output.
class Log {
 public:
  Log(const std::string& directory, std::uint64_t limit)
      : fd_(open((directory + "/" + std::string(kLogFile)).c_str(),
                 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)),
        left_(limit),
        limit_(limit) {}
  ~Log() {
    if (fd_ >= 0) close(fd_);
  }
  Log(const Log&) = delete;

  void write(std::string_view text) {
    if (left_ == 0) return;
    const std::string_view kept = text.substr(0, left_);
    put(kept);
    left_ -= kept.size();
    if (left_ == 0) {
      put(fmt::format("\n[strata: the output is longer than {}; the rest was dropped]\n",
                      show_bytes(limit_)));
    }
  }

 private:
  // A log that cannot be written (a full disk) must not stop the task.
  void put(std::string_view text) {
    while (fd_ >= 0 && !text.empty()) {
      const ssize_t count = ::write(fd_, text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  int fd_;
  std::uint64_t left_, limit_;
};

struct Pipe {
  int read = -1, write = -1;
  bool open(int flags = 0) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | flags) != 0) return false;
    read = ends[0];
    write = ends[1];
    return true;
  }
  static void shut(int& fd) {
    if (fd >= 0) close(std::exchange(fd, -1));
  }
  ~Pipe() {
    shut(read);
    shut(write);
  }
};

class Shim {
 public:
  explicit Shim(Launch launch)
      : launch_(std::move(launch)),
        log_(launch_.directory, launch_.log_limit) {}

  int run() {
    auto claimed = AttemptState::claim(launch_.directory);
    // Another shim owns the attempt: this one was started in vain.
    if (!claimed) return claimed.error().code == Code::kAlreadyExists ? 0 : 1;
    state_ = &*claimed;
    kills_before_ = memory_kills();
    exit_.ending = Ending::kNotStarted;
    exit_.code = 127;
    if (prepare() && spawn() && announce()) supervise();
    finish();
    return 0;
  }

 private:
  bool refuse(std::string message) {
    exit_.message = std::move(message);
    log_.write("[strata: " + exit_.message + "]\n");
    return false;
  }

  bool prepare() {
    sigemptyset(&watched_);
    for (const int number : {SIGTERM, SIGINT, SIGCHLD})
      sigaddset(&watched_, number);
    sigprocmask(SIG_BLOCK, &watched_, nullptr);
    signals_ = signalfd(-1, &watched_, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    // Orphans of the task come to us, so that nothing of it outlives it.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    work_ = launch_.directory + "/work";
    if (const auto made = make_directories(work_); !made) return refuse(made.error().message);
    if (!launch_.package.empty()) {
      std::error_code failed;
      std::filesystem::copy(launch_.package, work_,
                            std::filesystem::copy_options::recursive |
                                std::filesystem::copy_options::overwrite_existing,
                            failed);
      if (failed) return refuse("cannot copy the source package: " + failed.message());
    }
    program_ = program_of(launch_);
    if (program_.empty()) {
      return refuse(fmt::format("cannot run '{}': no such program on PATH", launch_.argv.front()));
    }
    if (signals_ < 0 || !output_.open() || !go_.open() || !failure_.open()) {
      return refuse(fmt::format("no pipe: {}", std::strerror(errno)));
    }
    return true;
  }

  // Makes the task's process; it waits for the word "go", so that it never runs before its start is
  // durable.
  bool spawn() {
    auto argv = pointers(launch_.argv);
    auto environment = pointers(launch_.environment);
    const pid_t self = getpid();
    task_ = fork();
    if (task_ < 0) return refuse(fmt::format("fork: {}", std::strerror(errno)));
    if (task_ > 0) {
      Pipe::shut(output_.write);
      Pipe::shut(go_.read);
      Pipe::shut(failure_.write);
      fcntl(output_.read, F_SETFL, O_NONBLOCK);
      return true;
    }
    sigprocmask(SIG_UNBLOCK, &watched_, nullptr);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != self) _exit(127);
    Pipe::shut(go_.write);
    char word = 0;
    if (read(go_.read, &word, 1) != 1) _exit(127);
    const int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && dup2(null, 0) == 0 && dup2(output_.write, 1) == 1 &&
        dup2(output_.write, 2) == 2 && chdir(work_.c_str()) == 0) {
      close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
      execve(program_.c_str(), argv.data(), environment.data());
    }
    const int number = errno;
    (void)!write(failure_.write, &number, sizeof number);
    _exit(127);
  }

  // Makes the start durable, lets the task go and tells the agent.
  bool announce() {
    const auto identity = ProcessIdentity::of(task_);
    const auto written = identity ? state_->write_started(*identity, clock_.now())
                                  : Status(internal("cannot read the state of the new process"));
    began_ = Steady::now();
    if (!written) {
      kill_all();
      return refuse(written.error().message);
    }
    (void)!write(go_.write, "g", 1);
    Pipe::shut(go_.write);
    int number = 0;
    if (read(failure_.read, &number, sizeof number) == sizeof number) {
      kill_all();
      return refuse(fmt::format("cannot run '{}': {}", program_, std::strerror(number)));
    }
    (void)!write(STDOUT_FILENO, "s", 1);
    if (launch_.timeout.count() > 0) deadline_ = began_ + launch_.timeout;
    return true;
  }

  void supervise() {
    while (!status_) {
      pollfd waits[] = {{signals_, POLLIN, 0}, {output_.read, POLLIN, 0}};
      poll(waits, output_.read >= 0 ? 2 : 1, wait_ms());
      drain();
      signalfd_siginfo info{};
      while (read(signals_, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD) stop(Ending::kCancelled);
      }
      reap();
      if (status_) break;
      if (deadline_ && Steady::now() >= *deadline_) {
        deadline_.reset();
        stop(Ending::kTimeout);
      }
      if (kill_at_ && Steady::now() >= *kill_at_) {
        kill_at_.reset();
        kill(-task_, SIGKILL);
        kill(task_, SIGKILL);
      }
    }
    exit_.usage.wall_micros =
        std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - began_).count();
    judge();
  }

  int wait_ms() const {
    std::optional<Steady::time_point> next = deadline_;
    if (kill_at_ && (!next || *kill_at_ < *next)) next = kill_at_;
    if (!next) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Steady::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
  }

  void stop(Ending why) {
    if (stopped_for_) return;
    stopped_for_ = why;
    kill_at_ = Steady::now() + kGrace;
    kill(-task_, SIGTERM);
  }

  void reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
      if (pid == task_) status_ = status;
    }
  }

  void drain() {
    char buffer[65536];
    while (output_.read >= 0) {
      const ssize_t count = read(output_.read, buffer, sizeof buffer);
      if (count < 0) return;
      if (count == 0) return Pipe::shut(output_.read);
      log_.write({buffer, static_cast<std::size_t>(count)});
    }
  }

  // How the task ended, from its status and from what we did to it.
  void judge() {
    const bool by_signal = WIFSIGNALED(*status_);
    const int number = by_signal ? WTERMSIG(*status_) : WEXITSTATUS(*status_);
    exit_.ending = by_signal ? Ending::kSignaled : Ending::kExited;
    exit_.code = by_signal ? 128 + number : number;
    exit_.message.clear();
    if (stopped_for_ == Ending::kTimeout) {
      exit_.ending = Ending::kTimeout;
      exit_.message = "timed out after " + show_duration(launch_.timeout);
    } else if (stopped_for_) {
      exit_.ending = Ending::kCancelled;
      exit_.message = "stopped on request";
    } else if (by_signal && number == SIGKILL && memory_kills() > kills_before_) {
      exit_.ending = Ending::kOutOfMemory;
      exit_.message = "killed by the kernel for lack of memory";
    } else if (by_signal) {
      exit_.message = fmt::format("killed by signal {} ({})", number, strsignal(number));
    }
  }

  // Whatever the task left running ends with it, also what escaped into sessions of its own. All of
  // that is below a child of ours: without one there is nothing to look for among all processes of
  // the machine.
  void kill_all() {
    if (task_ <= 0) return;
    const auto give_up = Steady::now() + std::chrono::seconds(5);
    while (Steady::now() < give_up) {
      const pid_t pid = waitpid(-1, nullptr, WNOHANG);
      if (pid < 0 && errno == ECHILD) return;
      if (pid > 0) continue;
      kill(-task_, SIGKILL);
      for (const pid_t child : children())
        kill(child, SIGKILL);
      pollfd wait = {signals_, POLLIN, 0};
      poll(&wait, 1, 20);
      signalfd_siginfo info{};
      while (read(signals_, &info, sizeof info) == sizeof info)
        continue;
    }
  }

  static std::vector<pid_t> children() {
    std::vector<pid_t> out;
    DIR* const folder = opendir("/proc");
    if (folder == nullptr) return out;
    while (const dirent* const entry = readdir(folder)) {
      const auto pid = to_int(entry->d_name);
      if (!pid) continue;
      SystemFiles files;
      const std::string text = files.read_all(fmt::format("/proc/{}/stat", *pid)).value_or("");
      const auto end = text.rfind(')');
      if (end == std::string::npos || text.size() < end + 5) continue;
      const auto fields = split(std::string_view(text).substr(end + 2), ' ');
      if (fields.size() > 1 && to_int(fields[1]) == getpid()) {
        out.push_back(static_cast<pid_t>(*pid));
      }
    }
    closedir(folder);
    return out;
  }

  void finish() {
    kill_all();
    drain();
    rusage used{};
    if (getrusage(RUSAGE_CHILDREN, &used) == 0) {
      const auto micros = [](const timeval& t) {
        return t.tv_sec * 1'000'000 + t.tv_usec;
      };
      exit_.usage.cpu_micros = micros(used.ru_utime) + micros(used.ru_stime);
      exit_.usage.max_rss_bytes = used.ru_maxrss * 1024;
    }
    // When even this fails (a full disk) the attempt counts as lost, which is what is known of it.
    (void)state_->write_exit(exit_, clock_.now());
  }

  Launch launch_;
  Log log_;
  SystemClock clock_;
  AttemptState* state_ = nullptr;
  std::string work_, program_;
  sigset_t watched_{};
  int signals_ = -1;
  Pipe output_, go_, failure_;
  pid_t task_ = -1;
  std::optional<int> status_;
  std::optional<Ending> stopped_for_;
  std::optional<Steady::time_point> deadline_, kill_at_;
  Steady::time_point began_;
  std::optional<std::int64_t> kills_before_;
  Exit exit_;
};

}  // namespace

int run_shim() {
  std::string text;
  char buffer[65536];
  ssize_t count = 0;
  while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  const auto json = parse_json(text);
  if (!json) return 1;
  auto launch = Launch::from_json(*json);
  if (!launch || !make_directories(launch->directory)) return 1;
  return Shim(std::move(*launch)).run();
}

}  // namespace strata::resources::orchestrator
