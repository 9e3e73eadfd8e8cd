#include <condition_variable>
#include <deque>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.hpp"
#include "resources/orchestrator/attempt_state.hpp"
#include "resources/orchestrator/line_channel.hpp"
#include "resources/orchestrator/messages.hpp"
#include "resources/orchestrator/orchestrator.hpp"
#include "runtime/process.hpp"

namespace strata::resources::orchestrator {

using Steady = std::chrono::steady_clock;

struct NodeAgent::Impl {
  Impl(std::string data_dir, std::string program, Handlers on)
      : data(std::move(data_dir)),
        executable(std::move(program)),
        handlers(std::move(on)),
        bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    thread = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~Impl() {
    end();
    close(bell);
  }
  Impl(const Impl&) = delete;

  void end() {
    thread.request_stop();
    ring();
    if (thread.joinable()) thread.join();
  }

  void ring() {
    const std::uint64_t one = 1;
    (void)!write(bell, &one, sizeof one);
    wake.notify_all();
  }

  void put(Json message) {
    {
      const std::lock_guard lock(mutex);
      if (!connected) return;
      queue.push_back(std::move(message));
    }
    ring();
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, stop, [&] { return wanted; });
        if (stop.stop_requested()) return;
        wanted = false;
      }
      auto channel = reach(stop);
      if (!channel) {
        log::error("agent.unreachable", Json::object({{"error", channel.error().message}}));
        handlers.lost();
        continue;
      }
      {
        const std::lock_guard lock(mutex);
        connected = true;
        queue.clear();
      }
      handlers.connected();
      converse(*channel, stop);
      {
        const std::lock_guard lock(mutex);
        connected = false;
      }
      if (!stop.stop_requested()) handlers.lost();
    }
  }

  // Connects, having started the process when nobody listens.
  Result<LineChannel> reach(const std::stop_token& stop) {
    const auto give_up = Steady::now() + std::chrono::seconds(10);
    bool started = false;
    while (true) {
      auto channel = connect_to(data);
      if (channel || channel.error().code != Code::kUnavailable) return channel;
      if (stop.stop_requested() || Steady::now() >= give_up) return channel;
      // An agent that ended at once (it lost the race against a leaving one) is started again.
      if (!started || (process && process->wait_for(std::chrono::milliseconds(0)).value_or({}))) {
        if (const auto spawned = spawn(); !spawned) return spawned.error();
        started = true;
      }
      pollfd wait = {bell, POLLIN, 0};
      poll(&wait, 1, 5);
    }
  }

  Status spawn() {
    STRATA_TRY(make_directories(data + "/run"));
    const std::string path = data + "/run/agent.log";
    const int log_fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) return from_errno(errno, "open", path);
    ProcessSpec spec;
    spec.argv = {executable, "agent", "--data", data};
    spec.directory = "/";
    spec.descriptors = {{log_fd, 1}, {log_fd, 2}};
    auto child = ChildProcess::spawn(spec);
    close(log_fd);
    if (!child) return child.error();
    process.emplace(std::move(*child));
    return {};
  }

  void converse(LineChannel& channel, const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      {
        const std::lock_guard lock(mutex);
        for (; !queue.empty(); queue.pop_front())
          channel.put(queue.front());
      }
      if (!channel.flush()) return;
      const short events = channel.wants_write() ? POLLIN | POLLOUT : POLLIN;
      pollfd waits[] = {{channel.fd(), events, 0}, {bell, POLLIN, 0}};
      poll(waits, 2, -1);
      std::uint64_t rung = 0;
      (void)!read(bell, &rung, sizeof rung);
      const bool open = channel.fill().ok();
      while (true) {
        auto message = channel.take();
        if (!message)
          return log::error("agent.message", Json::object({{"error", message.error().message}}));
        if (!*message) break;
        hear(**message);
      }
      if (!open) return;
    }
  }

  void hear(const Json& message) {
    const std::string event = message.text("event");
    if (event == kEventReport) return handlers.report(report_from_json(message["attempt"]));
    if (event != kEventHello || !message["attempts"].is_array()) return;
    std::vector<scheduler::AttemptReport> reports;
    for (const Json& entry : message["attempts"].as_array()) {
      reports.push_back(report_from_json(entry));
    }
    handlers.greeted(std::move(reports));
  }

  const std::string data, executable;
  const Handlers handlers;
  const int bell;
  std::mutex mutex;
  std::condition_variable_any wake;
  bool wanted = false, connected = false;
  std::deque<Json> queue;
  std::optional<ChildProcess> process;  // of the thread
  std::jthread thread;
};

NodeAgent::NodeAgent(std::string data, std::string executable, Handlers handlers)
    : impl_(std::make_unique<Impl>(std::move(data), std::move(executable), std::move(handlers))) {}
NodeAgent::~NodeAgent() = default;

void NodeAgent::want() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->connected) return;
    impl_->wanted = true;
  }
  impl_->wake.notify_all();
}

void NodeAgent::hello(const std::vector<std::string>& tokens) {
  Json attempts = Json::array();
  for (const auto& token : tokens)
    attempts.push(token);
  impl_->put(Json::object({{"op", kOpHello}, {"attempts", std::move(attempts)}}));
}

void NodeAgent::start(const Launch& launch) {
  impl_->put(Json::object({{"op", kOpStart}, {"launch", launch.to_json()}}));
}

void NodeAgent::stop(const std::string& token) {
  impl_->put(Json::object({{"op", kOpStop}, {"token", token}}));
}

void NodeAgent::release() {
  impl_->end();
  auto channel = connect_to(impl_->data);
  if (!channel) return;
  channel->put(Json::object({{"op", kOpShutdown}, {"when", "idle"}}));
  (void)channel->flush();
}

Result<bool> stop_agent(const std::string& data, bool now, std::chrono::milliseconds limit,
                        const std::function<void(std::int64_t running)>& waiting) {
  auto channel = connect_to(data);
  if (!channel) {
    if (channel.error().code == Code::kUnavailable) return false;
    return channel.error();
  }
  channel->put(Json::object({{"op", kOpShutdown}, {"when", now ? "now" : "idle"}}));
  STRATA_TRY(channel->flush());
  // It has gone when it closes the connection.
  const auto give_up = Steady::now() + limit;
  while (channel->fill().ok()) {
    for (auto message = channel->take(); message && *message; message = channel->take()) {
      if (waiting && (*message)->text("event") == kEventWaiting)
        waiting((*message)->integer("running"));
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - Steady::now());
    if (left.count() <= 0) {
      return Error(Code::kDeadlineExceeded,
                   "the node agent still runs tasks; use --now to stop them");
    }
    pollfd wait = {channel->fd(), POLLIN, 0};
    poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 3'600'000)));
  }
  return true;
}

}  // namespace strata::resources::orchestrator
