#include <list>
#include <map>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.hpp"
#include "resources/orchestrator/attempt_state.hpp"
#include "resources/orchestrator/line_channel.hpp"
#include "resources/orchestrator/messages.hpp"
#include "resources/orchestrator/orchestrator.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/process.hpp"

namespace strata::resources::orchestrator {
namespace {

using scheduler::AttemptReport;
using scheduler::Ending;
using scheduler::Exit;
using Phase = AttemptReport::Phase;
using Steady = std::chrono::steady_clock;

// An attempt whose shim lives, whether this agent started it or an earlier one.
struct Watched {
  std::string directory;
  int pidfd = -1;
  int word = -1;  // the shim writes to it when the task has started; -1 when adopted
  std::optional<ChildProcess> child;
  ProcessIdentity shim;
  bool told_started = false;
};

struct Connection {
  LineChannel channel;
  bool is_server = false;
};

class Agent {
 public:
  explicit Agent(AgentOptions options) : options_(std::move(options)) {}
  ~Agent() {
    for (auto& [token, watched] : watched_)
      close_of(watched);
    if (listener_ >= 0) close(listener_);
    if (signals_ >= 0) close(signals_);
  }

  Status open() {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    signals_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    auto listener = listen_at(options_.data);
    if (!listener) return listener.error();
    listener_ = *listener;
    idle_since_ = Steady::now();
    return {};
  }

  void serve() {
    while (!may_end()) {
      std::vector<pollfd> waits = {{signals_, POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const auto& c : connections_) {
        const short events = c.channel.wants_write() ? POLLIN | POLLOUT : POLLIN;
        waits.push_back({c.channel.fd(), events, 0});
      }
      for (const auto& [token, w] : watched_) {
        waits.push_back({w.pidfd, POLLIN, 0});
        if (w.word >= 0) waits.push_back({w.word, POLLIN, 0});
      }
      poll(waits.data(), waits.size(), wait_ms());
      signalfd_siginfo info{};
      if (read(signals_, &info, sizeof info) == sizeof info) drain_ = true;
      accept_all();
      look_at_shims();
      talk();
    }
  }

 private:
  bool busy() const { return !watched_.empty(); }
  bool served() const { return std::ranges::any_of(connections_, &Connection::is_server); }

  bool may_end() {
    if (busy() || served()) idle_since_ = Steady::now();
    if (busy()) return false;
    if (drain_) return true;
    return !served() && Steady::now() - idle_since_ >= options_.linger;
  }

  int wait_ms() const {
    // Adopted shims have no pipe: until they have told their start, their files are looked at.
    for (const auto& [token, w] : watched_) {
      if (!w.told_started && w.word < 0) return 50;
    }
    if (busy() || served()) return -1;
    const auto left = options_.linger - (Steady::now() - idle_since_);
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 3'600'000));
  }

  void accept_all() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) return;
      if (!is_same_user(fd)) {
        close(fd);
        continue;
      }
      connections_.push_back({LineChannel(fd)});
    }
  }

  void talk() {
    for (auto it = connections_.begin(); it != connections_.end();) {
      // What came before the end of the stream still counts.
      const Status filled = it->channel.fill();
      bool ok = true;
      while (ok) {
        auto message = it->channel.take();
        ok = message.ok();
        if (!ok || !*message) break;
        handle(*it, **message);
      }
      ok = ok && filled.ok() && it->channel.flush().ok();
      it = ok ? std::next(it) : connections_.erase(it);
    }
  }

  void handle(Connection& from, const Json& message) {
    const std::string op = message.text("op");
    if (op == kOpHello) {
      greet(from, message);
    } else if (op == kOpStart) {
      start(message);
    } else if (op == kOpStop) {
      stop(message.text("token"));
    } else if (op == kOpShutdown) {
      drain_ = true;
      if (message.text("when") == "now") {
        for (auto& [token, w] : watched_)
          signal_shim(w);
      }
      if (busy()) {
        from.channel.put(Json::object(
            {{"event", kEventWaiting}, {"running", static_cast<std::int64_t>(watched_.size())}}));
      }
    }
  }

  // A new server: it alone hears the news from here on.
  void greet(Connection& from, const Json& message) {
    for (auto& c : connections_)
      c.is_server = false;
    from.is_server = true;
    drain_ = false;
    Json reports = Json::array();
    if (message["attempts"].is_array()) {
      for (const Json& token : message["attempts"].as_array()) {
        if (token.is_string()) reports.push(report_to_json(look(token.as_string())));
      }
    }
    from.channel.put(Json::object({{"event", kEventHello}, {"attempts", std::move(reports)}}));
  }

  void tell(const AttemptReport& report) {
    for (auto& c : connections_) {
      if (!c.is_server) continue;
      c.channel.put(Json::object({{"event", kEventReport}, {"attempt", report_to_json(report)}}));
    }
  }

  // What stands on disk about an attempt; takes over a living shim and buries a dead one's attempt.
  AttemptReport look(const std::string& token) {
    AttemptReport report;
    report.token = token;
    const auto directory = attempt_directory(options_.data, token);
    if (!directory) return ended(report, {.ending = Ending::kNotStarted, .message = "bad token"});
    const auto content = AttemptState::read(*directory);
    if (!content) {
      return ended(report, {.ending = Ending::kLost, .message = content.error().message});
    }
    if (!*content) return report;
    const AttemptState::Content& state = **content;
    if (state.task) report.pid = state.task->pid;
    report.started = state.started;
    if (state.exit) {
      report.phase = Phase::kEnded;
      report.exit = *state.exit;
      report.at = state.finished;
      return report;
    }
    if (!watched_.contains(token) && !adopt(token, *directory, state)) {
      return bury(report, *directory, state);
    }
    if (!state.task) return report;
    watched_.at(token).told_started = true;
    report.phase = Phase::kStarted;
    report.at = state.started;
    return report;
  }

  AttemptReport ended(AttemptReport report, Exit exit) const {
    report.phase = Phase::kEnded;
    report.exit = std::move(exit);
    report.at = clock_.now();
    return report;
  }

  bool adopt(const std::string& token, const std::string& directory,
             const AttemptState::Content& state) {
    if (!state.owner.alive()) return false;
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, state.owner.pid, 0));
    if (pidfd < 0) return false;
    // Between the look and the open its number may have changed hands.
    if (!state.owner.alive()) {
      close(pidfd);
      return false;
    }
    Watched watched;
    watched.directory = directory;
    watched.pidfd = pidfd;
    watched.shim = state.owner;
    watched_.emplace(token, std::move(watched));
    return true;
  }

  // The shim died without writing an end (power loss, kill -9): end what it left and say so,
  // durably.
  AttemptReport bury(const AttemptReport& report, const std::string& directory,
                     const AttemptState::Content& seen) {
    // It may have ended properly between our two looks.
    const auto again = AttemptState::read(directory);
    if (again && *again && (*again)->exit) return look(report.token);
    if (seen.task && seen.task->alive()) kill(-seen.task->pid, SIGKILL);
    const Exit exit{
        .ending = Ending::kLost,
        .code = -1,
        .message = "the task's supervisor died before it could tell how the task ended"};
    AttemptReport out = ended(report, exit);
    auto state = AttemptState::reopen(directory);
    const Status written = state ? state->write_exit(exit, out.at) : Status(state.error());
    if (!written) log::error("agent.bury", Json::object({{"error", written.error().message}}));
    return out;
  }

  void start(const Json& message) {
    auto launch = Launch::from_json(message["launch"]);
    if (!launch) {
      log::error("agent.start", Json::object({{"error", launch.error().message}}));
      return;
    }
    if (watched_.contains(launch->token)) return;
    AttemptReport known = look(launch->token);
    if (known.phase != Phase::kUnknown) return tell(known);
    if (watched_.contains(launch->token)) return;
    auto child = spawn(*launch);
    if (!child) return tell(fence(launch->token, child.error().message));
  }

  Status spawn(const Launch& launch) {
    STRATA_TRY(make_directories(launch.directory));
    int input[2], word[2];
    if (pipe2(input, O_CLOEXEC) != 0) return from_errno(errno, "pipe", "shim");
    if (pipe2(word, O_CLOEXEC) != 0) {
      close(input[0]);
      close(input[1]);
      return from_errno(errno, "pipe", "shim");
    }
    ProcessSpec spec;
    spec.argv = {options_.executable, "shim"};
    spec.directory = "/";
    spec.descriptors = {{input[0], 0}, {word[1], 1}};
    auto child = ChildProcess::spawn(spec);
    close(input[0]);
    close(word[1]);
    if (!child) {
      close(input[1]);
      close(word[0]);
      return child.error();
    }
    const bool handed = hand_over(input[1], launch.to_json().dump());
    close(input[1]);
    if (!handed) log::error("agent.hand_over", Json::object({{"token", launch.token}}));
    fcntl(word[0], F_SETFL, O_NONBLOCK);
    Watched watched;
    watched.directory = launch.directory;
    watched.pidfd = dup(child->pidfd());
    watched.word = word[0];
    if (const auto identity = ProcessIdentity::of(child->pid())) watched.shim = *identity;
    watched.child.emplace(std::move(*child));
    watched_.emplace(launch.token, std::move(watched));
    return {};
  }

  static bool hand_over(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = write(fd, text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  void signal_shim(const Watched& watched) {
    syscall(SYS_pidfd_send_signal, watched.pidfd, SIGTERM, nullptr, 0);
  }

  void stop(const std::string& token) {
    const AttemptReport known = look(token);
    if (const auto found = watched_.find(token); found != watched_.end()) {
      return signal_shim(found->second);
    }
    if (known.phase == Phase::kEnded) return tell(known);
    tell(fence(token, "stopped before it began", Ending::kCancelled));
  }

  // Claims an attempt that no shim has, so that none ever will, and records why.
  AttemptReport fence(const std::string& token, const std::string& why,
                      Ending ending = Ending::kNotStarted) {
    AttemptReport report;
    report.token = token;
    report = ended(report, {.ending = ending, .code = 127, .message = why});
    const auto directory = attempt_directory(options_.data, token);
    if (!directory || !make_directories(*directory)) return report;
    auto state = AttemptState::claim(*directory);
    if (!state && state.error().code == Code::kAlreadyExists) return look(token);
    const Status written =
        state ? state->write_exit(report.exit, report.at) : Status(state.error());
    if (!written) log::error("agent.fence", Json::object({{"error", written.error().message}}));
    return report;
  }

  static void close_of(Watched& watched) {
    if (watched.pidfd >= 0) close(watched.pidfd);
    if (watched.word >= 0) close(watched.word);
    watched.pidfd = watched.word = -1;
  }

  static bool has_ended(int pidfd) {
    pollfd wait = {pidfd, POLLIN, 0};
    return poll(&wait, 1, 0) > 0;
  }

  void look_at_shims() {
    std::vector<std::string> over;
    for (auto& [token, w] : watched_) {
      if (has_ended(w.pidfd)) {
        over.push_back(token);
        continue;
      }
      char word = 0;
      bool ask = !w.told_started && w.word < 0;
      if (w.word >= 0) {
        const ssize_t count = read(w.word, &word, 1);
        if (count >= 0) close(std::exchange(w.word, -1));
        ask = count == 1;
      }
      if (!ask) continue;
      const AttemptReport report = look(token);
      if (report.phase == Phase::kStarted) tell(report);
    }
    for (const std::string& token : over)
      bring_home(token);
  }

  void bring_home(const std::string& token) {
    Watched watched = std::move(watched_.at(token));
    watched_.erase(token);
    if (watched.child) (void)watched.child->wait_for(std::chrono::milliseconds(0));
    close_of(watched);
    AttemptReport report = look(token);
    if (report.phase == Phase::kEnded) return tell(report);
    // Owned by another shim that lives, which look() has taken over; or by nobody.
    if (watched_.contains(token)) return;
    tell(fence(token, "the task's supervisor could not start"));
  }

  AgentOptions options_;
  SystemClock clock_;
  int signals_ = -1, listener_ = -1;
  std::list<Connection> connections_;
  std::map<std::string, Watched> watched_;
  bool drain_ = false;
  Steady::time_point idle_since_;
};

}  // namespace

int run_agent(const AgentOptions& options) {
  umask(0077);
  if (const auto made = make_directories(options.data + "/run"); !made) {
    fmt::print(stderr, "strata agent: {}\n", made.error().message);
    return 1;
  }
  // The lock, not the socket, says who the agent is; a second one has nothing to do.
  const auto lock = FileLock::acquire(options.data + "/run/agent.lock");
  if (!lock) return lock.error().code == Code::kConflict ? 0 : 1;
  Agent agent(options);
  if (const auto opened = agent.open(); !opened) {
    fmt::print(stderr, "strata agent: {}\n", opened.error().message);
    return 1;
  }
  agent.serve();
  unlink((options.data + "/run/agent.sock").c_str());
  return 0;
}

}  // namespace strata::resources::orchestrator
