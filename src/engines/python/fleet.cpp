#include "engines/python/fleet.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace strata::engines::python {

namespace {

using platform::inference::Replicas;
using wire::WorkerFailure;
using wire::WorkerFrame;

constexpr std::chrono::milliseconds kMemoryLook{250};
constexpr std::chrono::seconds kLastWord{2};  // what it may take to learn how a process ended
constexpr std::size_t kMostOutput = 256U << 10U;
constexpr std::size_t kOutputAtOnce = 256U << 10U;
constexpr std::size_t kMostLine = 4096;

Error failed(const WorkerFailure& failure) {
  const std::string text = printable(failure.message, 1000);
  switch (failure.kind) {
    case WorkerFailure::Kind::kRequest:
      return Error(Code::kInvalidArgument, "the model refuses the request: " + text);
    case WorkerFailure::Kind::kTooLarge:
      return Error(Code::kTooLarge, text);
    case WorkerFailure::Kind::kMemory:
      return Error(Code::kInternal, text + " (python.memory)");
    case WorkerFailure::Kind::kUnsupported:
      return Error(Code::kUnsupported, text);
    case WorkerFailure::Kind::kModel:
      break;
  }
  return Error(Code::kInternal, "the model failed: " + text);
}

Error unavailable(std::string message) {
  Error error(Code::kUnavailable, std::move(message));
  error.retry = true;
  return error;
}

Error cancelled() {
  return Error(Code::kCancelled, "the run was ended");
}

}  // namespace

Fleet::Fleet(WorkerPlan plan, int spare, const Clock& clock, std::function<void()> wake)
    : plan_(std::move(plan)),
      clock_(clock),
      wake_(std::move(wake)) {
  staffing_.spare = spare;
  staffing_.last_used = clock_.steady();
}

std::size_t Fleet::count(Worker::State state) const {
  return static_cast<std::size_t>(
      std::count_if(workers_.begin(), workers_.end(),
                    [&](const auto& worker) { return worker->state == state; }));
}

// Needs mutex_.
Staff Fleet::staff() const {
  return {being_started_ + static_cast<int>(count(Worker::State::kStarting)),
          static_cast<int>(count(Worker::State::kIdle)),
          static_cast<int>(count(Worker::State::kBusy)), waiting_};
}

// Needs mutex_. What is to be done is the keeper's, who looks at the same state.
StaffingActions Fleet::consider(StaffingEvent event) {
  if (closed_) return {};
  return step(staffing_, event, staff(), clock_.steady());
}

Status Fleet::wait_ready(std::chrono::seconds limit, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool known =
      changed_.wait_for(lock, stop, limit, [&] { return ever_ready_ || ended_ > 0; });
  if (stop.stop_requested()) return cancelled();
  if (ever_ready_) return {};
  if (!known) {
    return Error(Code::kDeadlineExceeded,
                 fmt::format("the model was not loaded within {} s", limit.count()));
  }
  return Error(last_code_, last_end_);
}

Result<Fleet::WorkerPtr> Fleet::acquire(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto idle = [&] {
    return std::find_if(workers_.rbegin(), workers_.rend(),
                        [](const auto& worker) { return worker->state == Worker::State::kIdle; });
  };
  const auto hopeless = [&] {
    return staffing_.failures >= Staffing::kHopeless && being_started_ == 0 &&
           count(Worker::State::kStarting) == 0 && count(Worker::State::kBusy) == 0;
  };
  ++waiting_;
  const auto actions = consider(StaffingEvent::kLook);
  if (actions.start > 0 || actions.look_again) wake_();
  changed_.wait(lock, stop, [&] { return closed_ || hopeless() || idle() != workers_.rend(); });
  --waiting_;
  if (stop.stop_requested()) return cancelled();
  if (closed_) return unavailable("the model is being taken away");
  const auto found = idle();
  if (found == workers_.rend())
    return unavailable("no process of the model stays up; the last one: " + last_end_);
  auto worker = *found;
  worker->state = Worker::State::kBusy;
  if (consider(StaffingEvent::kLook).start > 0) wake_();
  return worker;
}

void Fleet::release(const WorkerPtr& worker, bool answered) {
  const std::lock_guard lock(mutex_);
  if (answered) worker->answered = true;
  if (worker->state == Worker::State::kBusy)
    worker->state = worker->ending() ? Worker::State::kEnding : Worker::State::kIdle;
  const auto actions = consider(answered ? StaffingEvent::kAnswered : StaffingEvent::kLook);
  if (actions.start > 0 || actions.end > 0 || actions.look_again) wake_();
  changed_.notify_all();
}

Result<wire::WorkerAnswer> Fleet::call(std::span<const wire::Tensor> tensors, std::size_t inputs,
                                       const std::stop_token& stop) {
  const std::uint64_t id = [&] {
    const std::lock_guard lock(mutex_);
    return ++next_call_;
  }();
  const auto payload = wire::encode_worker_call(id, tensors, inputs);
  if (payload.size() > MessageSocket::kMaxPayload) {
    return Error(Code::kTooLarge, fmt::format("the request has {} bytes; one to a model in Python "
                                              "may have {}",
                                              payload.size(), MessageSocket::kMaxPayload));
  }
  while (true) {
    auto worker = acquire(stop);
    if (!worker) return std::move(worker).error();
    const std::stop_callback over(stop, [&] { (*worker)->end("its run was ended"); });
    const auto sent = (*worker)->socket().send(static_cast<char>(WorkerFrame::kCall), payload);
    if (!sent) {
      // It ended before it had the whole of the request, so that another one may have it.
      (*worker)->end("");
      release(*worker, false);
      continue;
    }
    auto answer = receive(**worker, id);
    const bool lost = !answer && answer.error().code == Code::kUnavailable;
    if (lost && answer.error().effect == Effect::kNone && !(*worker)->ending()) {
      // It ended with the request unread, so that another one may have it.
      (*worker)->end("");
      release(*worker, false);
      continue;
    }
    if (lost) answer = stop.stop_requested() ? cancelled() : death(*worker);
    release(*worker, !lost && !(*worker)->ending());
    return answer;
  }
}

// Errors: kUnavailable when the process is lost; else what it said.
Result<wire::WorkerAnswer> Fleet::receive(Worker& worker, std::uint64_t id) {
  auto message = worker.socket().receive();
  if (!message) {
    if (message.error().code == Code::kUnavailable) return std::move(message).error();
    return garbage(worker, message.error().message);
  }
  if (message->descriptor >= 0) {
    ::close(message->descriptor);
    return garbage(worker, "it sent a descriptor");
  }
  if (message->kind == static_cast<char>(WorkerFrame::kAnswer)) {
    auto answer = wire::decode_worker_answer(message->payload);
    if (!answer) return garbage(worker, answer.error().message);
    if (answer->id != id) return garbage(worker, "it answers another request");
    return answer;
  }
  if (message->kind != static_cast<char>(WorkerFrame::kFailure))
    return garbage(worker, "it sent a frame of no known kind");
  auto failure = wire::decode_worker_failure(message->payload);
  if (!failure) return garbage(worker, failure.error().message);
  if (failure->id != id) return garbage(worker, "it answers another request");
  return failed(*failure);
}

// The model's code has written into the connection of its process.
Error Fleet::garbage(Worker& worker, std::string_view what) {
  const std::string reason =
      fmt::format("the model's process sent what is no answer and was ended: {}", what);
  worker.end(reason);
  return internal(reason);
}

// Why a process that was at work is lost.
Error Fleet::death(const WorkerPtr& worker) {
  worker->end("");  // one that has only closed its socket is of no more use
  wake_();
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kLastWord, [&] { return worker->exit.has_value(); });
  if (auto reason = worker->reason(); !reason.empty()) return internal(std::move(reason));
  return internal(fmt::format("the model's process ended while it answered: it {}",
                              worker->exit ? worker->exit->to_string() : "does not end"));
}

void Fleet::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const auto& worker : workers_) {
      worker->end("the model is being taken away");
      worker->state = Worker::State::kEnding;
    }
    changed_.notify_all();
  }
  wake_();
}

bool Fleet::gone() const {
  const std::lock_guard lock(mutex_);
  return closed_ && workers_.empty() && being_started_ == 0;
}

void Fleet::scale(const Replicas& replicas) {
  const std::lock_guard lock(mutex_);
  staffing_.replicas = replicas;
  wake_();
}

platform::inference::ModelProcesses::Info Fleet::info() const {
  const std::lock_guard lock(mutex_);
  const auto now = staff();
  Info info{staffing_.replicas, staffing_.wanted, now.starting, now.idle, now.busy,
            waiting_,           ended_,           last_end_,    0,        plan_.memory_mb};
  for (const auto& worker : workers_)
    info.memory_bytes += worker->resident;
  return info;
}

std::string Fleet::output() const {
  const std::lock_guard lock(mutex_);
  return output_;
}

// Needs mutex_. Lines as text that harms no terminal; the oldest go first.
void Fleet::keep_output(std::string text) {
  for (const auto& line : split(text, '\n')) {
    if (!line.empty()) output_ += printable(line, kMostLine) + "\n";
  }
  if (output_.size() <= kMostOutput) return;
  const auto cut = output_.find('\n', output_.size() - kMostOutput);
  output_.erase(0, cut == std::string::npos ? output_.size() - kMostOutput : cut + 1);
}

// Needs mutex_.
void Fleet::greet(Worker& worker) {
  auto message = worker.socket().try_receive();
  if (message && !*message) return;
  Status ready;
  if (!message) {
    ready = message.error();
  } else {
    if ((*message)->descriptor >= 0) ::close((*message)->descriptor);
    if ((*message)->kind == static_cast<char>(WorkerFrame::kFailure)) {
      const auto failure = wire::decode_worker_failure((*message)->payload);
      if (failure && failure->kind == WorkerFailure::Kind::kUnsupported)
        last_code_ = Code::kUnsupported;
      ready = failure ? failed(*failure) : failure.error();
    } else {
      ready = wire::decode_worker_ready((*message)->payload);
    }
  }
  if (ready) {
    worker.state = Worker::State::kIdle;
    ever_ready_ = true;
    changed_.notify_all();
    return;
  }
  worker.state = Worker::State::kEnding;
  worker.end(ready.error().code == Code::kUnavailable ? "" : ready.error().message);
}

// Needs mutex_. It has ended.
void Fleet::bury(const WorkerPtr& worker) {
  const bool asked = closed_ || worker->reason() == "it is not needed";
  std::string text;
  worker->read_output(text, kOutputAtOnce);
  keep_output(std::move(text));
  std::erase(workers_, worker);
  if (asked) return;
  ++ended_;
  last_end_ = worker->reason();
  if (last_end_.empty()) last_end_ = "the model's process " + worker->exit->to_string();
  log::warn("model.process_ended",
            Json::object({{"model", plan_.directory}, {"why", printable(last_end_, 500)}}));
  consider(StaffingEvent::kEnded);
}

// Needs mutex_.
void Fleet::look_at(const WorkerPtr& worker) {
  std::string text;
  worker->read_output(text, kOutputAtOnce);
  if (!text.empty()) keep_output(std::move(text));
  if (worker->state == Worker::State::kStarting) greet(*worker);
  worker->resident = worker->resident_now();
  if (worker->resident > static_cast<std::uint64_t>(plan_.memory_mb) << 20U) {
    worker->end(
        fmt::format("the model's process was ended: it held {} MiB of memory, more than "
                    "the {} MiB that it may have (python.memory)",
                    worker->resident >> 20U, plan_.memory_mb));
  }
  if (worker->ending()) worker->state = Worker::State::kEnding;
  worker->exit = worker->reap();
  if (!worker->exit) return;
  worker->end("");
  bury(worker);
  changed_.notify_all();
}

void Fleet::start_some(int count) {
  for (int i = 0; i < count; ++i) {
    auto started = Worker::start(plan_, ++next_worker_);
    const std::lock_guard lock(mutex_);
    --being_started_;
    if (!started) {
      ++ended_;
      last_end_ = started.error().to_string();
      last_code_ = started.error().code;
      log::error("model.process_start", Json::object({{"error", last_end_}}));
      consider(StaffingEvent::kEnded);
      changed_.notify_all();
      continue;
    }
    if (closed_) (*started)->end("the model is being taken away");
    workers_.push_back(*std::move(started));
  }
}

std::optional<Staffing::Time> Fleet::turn(std::vector<pollfd>& watch) {
  StaffingActions actions;
  {
    const std::lock_guard lock(mutex_);
    const auto now = workers_;  // which look_at() takes ended ones from
    for (const auto& worker : now)
      look_at(worker);
    actions = consider(StaffingEvent::kLook);
    being_started_ += actions.start;
    for (auto at = workers_.begin(); at != workers_.end() && actions.end > 0; ++at) {
      if ((*at)->state != Worker::State::kIdle) continue;
      (*at)->state = Worker::State::kEnding;
      (*at)->end("it is not needed");
      --actions.end;
    }
  }
  start_some(actions.start);
  const std::lock_guard lock(mutex_);
  bool at_work = false;
  for (const auto& worker : workers_) {
    watch.push_back({worker->pidfd(), POLLIN, 0});
    if (worker->output() >= 0) watch.push_back({worker->output(), POLLIN, 0});
    if (worker->state == Worker::State::kStarting)
      watch.push_back({worker->socket().descriptor(), POLLIN, 0});
    at_work |= worker->state != Worker::State::kIdle;
  }
  const auto memory = clock_.steady() + kMemoryLook;
  if (at_work && (!actions.look_again || memory < *actions.look_again)) return memory;
  return actions.look_again;
}

}  // namespace strata::engines::python
