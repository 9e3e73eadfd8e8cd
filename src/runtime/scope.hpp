#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <utility>

#include "runtime/loop.hpp"

namespace strata {

// Owns background coroutines: none outlives it. join() asks them to stop and blocks until the last
// one has ended.
class TaskScope {
 public:
  TaskScope() = default;
  ~TaskScope() { join(); }
  TaskScope(const TaskScope&) = delete;

  // Starts `task` on `loop`. After join() began the task is dropped unrun.
  void spawn(Loop& loop, Task<void> task) {
    {
      const std::lock_guard lock(mutex_);
      if (stop_.stop_requested()) return;
      ++running_;
    }
    loop.post([this, task = std::move(task)]() mutable { run(this, std::move(task)); });
  }

  std::stop_token token() const { return stop_.get_token(); }
  std::size_t running() const {
    const std::lock_guard lock(mutex_);
    return running_;
  }

  void request_stop() {
    const std::lock_guard lock(mutex_);
    stop_.request_stop();
  }
  void join() {
    request_stop();
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return running_ == 0; });
  }
  // Waits at most `d` for the last task to end; false when some still run.
  template <class Duration>
  bool wait_for(Duration d) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, d, [&] { return running_ == 0; });
  }

 private:
  static detail::Detached run(TaskScope* self, Task<void> task) {
    co_await std::move(task);
    const std::lock_guard lock(self->mutex_);
    if (--self->running_ == 0) self->ended_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;
  std::stop_source stop_;
};

}  // namespace strata
