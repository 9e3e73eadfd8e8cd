#include "runtime/pool.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace strata {

struct BlockingPool::Impl {
  std::mutex mutex;
  std::condition_variable ready;
  std::deque<std::move_only_function<void()>> queue;
  std::size_t limit = 0;
  std::size_t idle = 0;
  bool stopping = false;
  std::vector<std::jthread> threads;

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      ready.wait(lock, [&] { return stopping || !queue.empty(); });
      --idle;
      if (queue.empty()) return;
      auto job = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }
};

BlockingPool::BlockingPool(std::size_t threads) : impl_(std::make_unique<Impl>()) {
  impl_->limit = threads;
}

BlockingPool::~BlockingPool() {
  stop();
}

// Threads start on demand: an idle server keeps no stacks for work that it does not have.
void BlockingPool::submit(std::move_only_function<void()> f) {
  const std::lock_guard lock(impl_->mutex);
  impl_->queue.push_back(std::move(f));
  if (impl_->idle < impl_->queue.size() && impl_->threads.size() < impl_->limit &&
      !impl_->stopping) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
  }
  impl_->ready.notify_one();
}

void BlockingPool::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->ready.notify_all();
  impl_->threads.clear();
}

}  // namespace strata
