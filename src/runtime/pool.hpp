#pragma once

#include <coroutine>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "runtime/loop.hpp"

namespace strata {

// Threads for calls that block: file and database I/O, hashing of large bodies, waiting for a child
// process. The queue is bounded by the callers: each request awaits at most one call at a time.
class BlockingPool {
 public:
  explicit BlockingPool(std::size_t threads);
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;

  void submit(std::move_only_function<void()> f);
  // Finishes what is queued, then joins.
  void stop();

  // co_await pool.run(f): calls f on a pool thread and goes on, with its result, on the loop that
  // awaited (on the pool thread itself when the awaiting thread was no loop). `f` must be a named
  // callable that outlives the await.
  template <class F>
  auto run(F& f) {
    using R = std::invoke_result_t<F&>;
    struct Awaiter {
      BlockingPool* pool;
      F* call;
      std::optional<R> result;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        Loop* home = Loop::current();
        pool->submit([this, handle, home] {
          result.emplace((*call)());
          if (home != nullptr) {
            home->resume(handle);
          } else {
            handle.resume();
          }
        });
      }
      R await_resume() { return std::move(*result); }
    };
    return Awaiter{this, &f, std::nullopt};
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata
