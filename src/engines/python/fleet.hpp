#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include <poll.h>

#include "base/result.hpp"
#include "engines/python/staffing.hpp"
#include "engines/python/worker.hpp"
#include "platform/inference/model_runner.hpp"
#include "runtime/clock.hpp"
#include "wire/worker/worker_frames.hpp"

namespace strata::engines::python {

// The processes of one model. A request has one of them to itself; when that dies, no other request
// is lost with it, and it is never asked of another process by itself, as a model's code may have
// effects. Threads: the ModelProcesses, call() and close() from any; turn() from the keeper's.
class Fleet final : public platform::inference::ModelProcesses {
 public:
  // `wake` lets the keeper take a turn.
  Fleet(WorkerPlan plan, int spare, const Clock& clock, std::function<void()> wake);

  // Blocks until the first process is ready. Errors: why it ended, kDeadlineExceeded, kCancelled.
  Status wait_ready(std::chrono::seconds limit, const std::stop_token& stop);
  // Blocks for a free process and its answer. The first `inputs` of `tensors` are inputs, the rest
  // parameters. Errors: as ModelRunner::run(); kUnavailable when no process can be had.
  Result<wire::WorkerAnswer> call(std::span<const wire::Tensor> tensors, std::size_t inputs,
                                  const std::stop_token& stop);
  // Ends all processes, for good.
  void close();

  void scale(const platform::inference::Replicas& replicas) override;
  Info info() const override;
  std::string output() const override;

  // Looks after the processes: starts, ends and reaps them, reads what they write, holds them to
  // their memory. Adds to `watch` what wakes the next turn, and gives when there must be one at the
  // latest. Blocks no longer than it takes to start processes.
  std::optional<Staffing::Time> turn(std::vector<pollfd>& watch);
  // Closed, and no process is left.
  bool gone() const;

 private:
  using WorkerPtr = std::shared_ptr<Worker>;

  Result<WorkerPtr> acquire(const std::stop_token& stop);
  void release(const WorkerPtr& worker, bool answered);
  Result<wire::WorkerAnswer> receive(Worker& worker, std::uint64_t id);
  Error garbage(Worker& worker, std::string_view what);
  Error death(const WorkerPtr& worker);
  Staff staff() const;
  StaffingActions consider(StaffingEvent event);
  void look_at(const WorkerPtr& worker);
  void greet(Worker& worker);
  void bury(const WorkerPtr& worker);
  void keep_output(std::string text);
  void start_some(int count);
  std::size_t count(Worker::State state) const;

  const WorkerPlan plan_;
  const Clock& clock_;
  const std::function<void()> wake_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  Staffing staffing_;
  std::vector<WorkerPtr> workers_;
  int being_started_ = 0;
  int waiting_ = 0;
  bool closed_ = false;
  bool ever_ready_ = false;
  std::uint64_t next_call_ = 0;
  std::uint64_t next_worker_ = 0;
  std::uint64_t ended_ = 0;
  std::string last_end_;
  Code last_code_ = Code::kInternal;
  std::string output_;
};

}  // namespace strata::engines::python
