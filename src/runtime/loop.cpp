#include "runtime/loop.hpp"

#include <atomic>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace strata {

namespace asio = boost::asio;

namespace {
thread_local Loop* current_loop = nullptr;
}

// What waits belongs to the loop, in the handler; the token of a caller may outlive both.
class Loop::Timer {
 public:
  explicit Timer(std::weak_ptr<asio::steady_timer> pending) : waiting(std::move(pending)) {}
  const std::weak_ptr<asio::steady_timer> waiting;
  std::atomic<bool> cancelled{false};
};

struct Loop::Impl {
  // Asio wakes the loop's thread after it has let go of the queue, so what was posted may have run,
  // and have ended the loop, before the posting thread is done with it.
  ~Impl() {
    while (posting.load(std::memory_order_acquire) != 0)
      std::this_thread::yield();
  }
  template <class F>
  void post(F&& f) {
    posting.fetch_add(1, std::memory_order_relaxed);
    asio::post(context, std::forward<F>(f));
    posting.fetch_sub(1, std::memory_order_release);
  }

  std::atomic<int> posting{0};
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

void Loop::post(std::move_only_function<void()> f) {
  impl_->post(std::move(f));
}

void Loop::resume(std::coroutine_handle<> handle) {
  impl_->post([handle] { handle.resume(); });
}

void Loop::run() {
  current_loop = this;
  impl_->context.run();
  current_loop = nullptr;
}

void Loop::stop() {
  impl_->context.stop();
}

std::shared_ptr<Loop::Timer> Loop::call_after(std::chrono::microseconds d,
                                              std::move_only_function<void()> f) {
  auto waiting = std::make_shared<asio::steady_timer>(impl_->context);
  auto timer = std::make_shared<Timer>(waiting);
  post([waiting = std::move(waiting), timer, d, f = std::move(f)]() mutable {
    auto& clock = *waiting;
    clock.expires_after(d);
    clock.async_wait([waiting = std::move(waiting), timer = std::move(timer),
                      f = std::move(f)](const boost::system::error_code& fault) mutable {
      if (!fault && !timer->cancelled.load()) f();
    });
  });
  return timer;
}

void Loop::cancel(const std::shared_ptr<Timer>& timer) {
  if (!timer || timer->cancelled.exchange(true)) return;
  auto waiting = timer->waiting.lock();
  if (!waiting) return;
  const auto executor = waiting->get_executor();
  asio::post(executor, [waiting = std::move(waiting)] { waiting->cancel(); });
}

Task<void> Loop::sleep(std::chrono::microseconds d) {
  struct Awaiter {
    Loop* loop;
    std::chrono::microseconds wait;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      loop->call_after(wait, [handle] { handle.resume(); });
    }
    void await_resume() const noexcept {}
  };
  Awaiter awaiter{this, d};
  co_await awaiter;
}

Loop* Loop::current() {
  return current_loop;
}
asio::io_context& Loop::context() {
  return impl_->context;
}

struct LoopGroup::Threads {
  std::vector<std::jthread> all;
  std::atomic<std::size_t> turn{0};
};

LoopGroup::LoopGroup(std::size_t count) : threads_(std::make_unique<Threads>()) {
  for (std::size_t i = 0; i < count; ++i)
    loops_.push_back(std::make_unique<Loop>());
  for (auto& loop : loops_)
    threads_->all.emplace_back([&loop] { loop->run(); });
}

LoopGroup::~LoopGroup() {
  stop();
}

Loop& LoopGroup::next() {
  return *loops_[threads_->turn.fetch_add(1) % loops_.size()];
}

void LoopGroup::stop() {
  for (auto& loop : loops_)
    loop->stop();
  threads_->all.clear();
}

}  // namespace strata
