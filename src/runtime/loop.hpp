#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/task.hpp"

namespace boost::asio {
class io_context;
}

namespace strata {

// An event loop: one thread that runs ready coroutines and callbacks in turn. Nothing that blocks
// may run here.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;

  // Runs `f` on this loop, from any thread. Work posted after stop() is dropped unrun.
  void post(std::move_only_function<void()> f);
  void resume(std::coroutine_handle<> handle);

  // Runs until stop(); called by the loop's own thread.
  void run();
  void stop();

  // Suspends the awaiting coroutine for at least `d`; it goes on here.
  Task<void> sleep(std::chrono::microseconds d);
  // Calls `f` on this loop after `d`, unless the returned token was cancelled before. Thread-safe.
  class Timer;
  std::shared_ptr<Timer> call_after(std::chrono::microseconds d, std::move_only_function<void()> f);
  static void cancel(const std::shared_ptr<Timer>& timer);

  // The loop whose thread calls, or null on any other thread.
  static Loop* current();
  boost::asio::io_context& context();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The server's loops, one thread each. Threads start in the constructor and are joined by stop() or
// the destructor.
class LoopGroup {
 public:
  explicit LoopGroup(std::size_t count);
  ~LoopGroup();

  std::size_t size() const { return loops_.size(); }
  Loop& at(std::size_t i) { return *loops_[i]; }
  // Round robin, for new connections and background work.
  Loop& next();
  void stop();

 private:
  struct Threads;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::unique_ptr<Threads> threads_;
};

}  // namespace strata
