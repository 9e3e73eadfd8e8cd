#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/result.hpp"
#include "platform/deployment/run_limit.hpp"
#include "runtime/clock.hpp"
#include "runtime/loop.hpp"
#include "runtime/pool.hpp"

namespace strata::platform::deployment {

// The run threads as one endpoint has them: at most `width` of its runs are at work at a time, and
// others wait their turn, so that a model which uses up its time leaves the other endpoints theirs;
// and those at work and those that wait hold at most `max_bytes` together, or one that is larger.
// Who waits is answered in time, whatever the threads do. A run that goes on past its time cannot
// be ended; while such runs hold the whole width, no other is let in. Made as a shared pointer.
// Threads: all methods from any thread.
class RunLane : public std::enable_shared_from_this<RunLane> {
 public:
  static constexpr std::size_t kMaxWaiting = 1024;
  // What a run may take to see that its time is over.
  static constexpr std::chrono::milliseconds kNotice{1000};

  // `limit` is how long a run may take.
  RunLane(BlockingPool& pool, LoopGroup& loops, const Clock& clock, std::size_t width,
          std::size_t max_bytes, std::chrono::milliseconds limit)
      : loops_(loops),
        clock_(clock),
        max_bytes_(max_bytes),
        limit_(limit),
        pool_(&pool),
        width_(width) {}

  // From now on runs begin on `pool`, at most `width` at a time; those at work go on where they
  // are.
  void widen(BlockingPool& pool, std::size_t width) {
    std::vector<std::shared_ptr<Job>> next;
    {
      const std::lock_guard lock(mutex_);
      pool_ = &pool;
      width_ = width;
      while (busy_ < width_ && !waiting_.empty()) {
        ++busy_;
        next.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    for (auto& job : next)
      start(std::move(job));
  }

  // How many runs go on past their time.
  std::size_t overdue() const {
    const std::lock_guard lock(mutex_);
    return overdue_now();
  }

  // What a request holds, given back with this.
  class Held {
   public:
    Held(std::shared_ptr<RunLane> lane, std::size_t bytes)
        : lane_(std::move(lane)),
          bytes_(bytes) {}
    Held(Held&& other) noexcept = default;
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (lane_ != nullptr) lane_->give_back(bytes_);
    }

   private:
    std::shared_ptr<RunLane> lane_;
    std::size_t bytes_;
  };
  // Lets one more come that holds so much. Errors, all to be tried again: kUnavailable,
  // kResourceExhausted.
  Result<Held> admit(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto refuse = [](Code code, std::string message) -> Result<Held> {
      Error error(code, std::move(message));
      error.retry = true;
      return error;
    };
    if (const auto overdue = overdue_now(); overdue >= width_)
      return refuse(Code::kUnavailable, why(overdue));
    const bool too_much = held_ > 0 && held_ + bytes > max_bytes_;
    if (waiting_.size() >= kMaxWaiting || too_much) {
      return refuse(Code::kResourceExhausted,
                    fmt::format("{} requests wait for the endpoint's model, which hold {} MiB with "
                                "those that it is at; try again later",
                                waiting_.size(), held_ >> 20U));
    }
    held_ += bytes;
    return Held(shared_from_this(), bytes);
  }

  // What is to be said of so many overdue runs.
  std::string why(std::size_t overdue) const {
    return fmt::format(
        "{} run{} of the model could not be ended after {} s (endpoints.timeout), as a part of it "
        "takes long that cannot be interrupted; while {} do so, no other is begun",
        overdue, overdue == 1 ? "" : "s", static_cast<double>(limit_.count()) / 1000, width_);
  }

  // co_await lane.run(f, limit): calls f on a run thread when it is its turn, or on a loop once
  // `limit` is over, when f must return at once; and goes on where it was awaited. Both must
  // outlive the await.
  template <class F>
  auto run(F& f, const RunLimit& limit) {
    using R = std::invoke_result_t<F&>;
    struct Awaiter {
      std::shared_ptr<RunLane> lane;
      F* call;
      const RunLimit* limit;
      std::optional<R> result;
      std::optional<std::stop_callback<Expire>> over;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        Loop* home = Loop::current();
        auto job = std::make_shared<Job>();
        job->call = [this, handle, home] {
          result.emplace((*call)());
          if (home != nullptr) {
            home->resume(handle);
          } else {
            handle.resume();
          }
        };
        const auto mine = lane;
        over.emplace(limit->token(), Expire{mine.get(), job});
        mine->enter(std::move(job));  // behind it, the coroutine and this may be gone
      }
      R await_resume() { return std::move(*result); }
    };
    return Awaiter{shared_from_this(), &f, &limit, std::nullopt, std::nullopt};
  }

 private:
  struct Job {
    std::move_only_function<void()> call;
    std::atomic<bool> taken{false};  // by a run thread, or because its time is over
    bool take() { return !taken.exchange(true); }
    // Guarded by the lane.
    bool entered = false;
    std::optional<std::chrono::steady_clock::time_point> over;  // since when
  };
  struct Expire {
    RunLane* lane;
    std::shared_ptr<Job> job;
    void operator()() { lane->expire(job); }
  };

  void enter(std::shared_ptr<Job> job) {
    bool over = false;
    {
      const std::lock_guard lock(mutex_);
      job->entered = true;
      over = job->over.has_value();
      if (!over && busy_ >= width_) {
        waiting_.push_back(std::move(job));
        return;
      }
      if (!over) ++busy_;
    }
    if (over) {
      give_up(std::move(job));
    } else {
      start(std::move(job));
    }
  }

  void expire(const std::shared_ptr<Job>& job) {
    {
      const std::lock_guard lock(mutex_);
      job->over = clock_.steady();
      if (!job->entered) return;  // enter() sees it
      std::erase(waiting_, job);
    }
    give_up(job);
  }

  // Not on a thread that is in the middle of ending the run's limit.
  void give_up(std::shared_ptr<Job> job) {
    if (!job->take()) return;
    loops_.next().post([job = std::move(job)] { job->call(); });
  }

  // With a place of the width taken.
  void start(std::shared_ptr<Job> job) {
    BlockingPool* const pool = [this] {
      const std::lock_guard lock(mutex_);
      return pool_;
    }();
    pool->submit([self = shared_from_this(), job = std::move(job)] {
      if (job->take()) {
        self->begin(job);
        job->call();
      }
      self->leave(job);
    });
  }

  void begin(const std::shared_ptr<Job>& job) {
    const std::lock_guard lock(mutex_);
    at_work_.push_back(job);
  }

  void give_back(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    held_ -= bytes;
  }

  // Hands its place on.
  void leave(const std::shared_ptr<Job>& job) {
    std::shared_ptr<Job> next;
    {
      const std::lock_guard lock(mutex_);
      std::erase(at_work_, job);
      if (waiting_.empty() || busy_ > width_) {
        --busy_;
        return;
      }
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    start(std::move(next));
  }

  std::size_t overdue_now() const {
    const auto now = clock_.steady();
    return static_cast<std::size_t>(
        std::count_if(at_work_.begin(), at_work_.end(),
                      [&](const auto& job) { return job->over && *job->over + kNotice < now; }));
  }

  LoopGroup& loops_;
  const Clock& clock_;
  const std::size_t max_bytes_;
  const std::chrono::milliseconds limit_;

  mutable std::mutex mutex_;
  BlockingPool* pool_;
  std::atomic<std::size_t> width_;
  std::size_t busy_ = 0;  // places taken, by runs at work and by those that a thread will take next
  std::size_t held_ = 0;  // bytes
  std::vector<std::shared_ptr<Job>> at_work_;
  std::deque<std::shared_ptr<Job>> waiting_;
};

}  // namespace strata::platform::deployment
