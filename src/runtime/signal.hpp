#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/loop.hpp"

namespace strata {

// "Something changed": wakes every coroutine that waits, each on its own loop. Spurious wake-ups
// are allowed, so waiters look at the state again. Thread-safe; must outlive its waiters.
class Signal {
 public:
  void notify_all() {
    std::vector<std::shared_ptr<Waiter>> woken;
    {
      const std::lock_guard lock(mutex_);
      woken.swap(waiters_);
    }
    for (const auto& waiter : woken)
      wake(waiter);
  }

  // Suspends until notify_all() or until `limit` has passed. Must be awaited on a loop.
  Task<void> wait(std::chrono::microseconds limit) {
    struct Awaiter {
      Signal* signal;
      std::chrono::microseconds limit;
      std::shared_ptr<Waiter> waiter = std::make_shared<Waiter>();
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        waiter->handle = handle;
        waiter->loop = Loop::current();
        waiter->timer =
            waiter->loop->call_after(limit, [waking = waiter] { Signal::wake(waking); });
        const std::lock_guard lock(signal->mutex_);
        signal->waiters_.push_back(waiter);
      }
      // Whose time was over is still listed; who waits again and again would fill the list.
      void await_resume() noexcept {
        const std::lock_guard lock(signal->mutex_);
        std::erase(signal->waiters_, waiter);
      }
    };
    Awaiter awaiter{this, limit};
    co_await awaiter;
  }

 private:
  struct Waiter {
    std::coroutine_handle<> handle;
    Loop* loop = nullptr;
    std::shared_ptr<Loop::Timer> timer;
    std::atomic<bool> woken{false};
  };
  static void wake(const std::shared_ptr<Waiter>& waiter) {
    if (waiter->woken.exchange(true)) return;
    Loop::cancel(waiter->timer);
    waiter->loop->resume(waiter->handle);
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace strata
