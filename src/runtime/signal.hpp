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
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        auto waiter = std::make_shared<Waiter>();
        waiter->handle = handle;
        waiter->loop = Loop::current();
        waiter->timer = waiter->loop->call_after(limit, [waiter] { wake(waiter); });
        const std::lock_guard lock(signal->mutex_);
        signal->waiters_.push_back(waiter);
      }
      void await_resume() const noexcept {}
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
