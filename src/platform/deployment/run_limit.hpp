#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stop_token>

#include <fmt/format.h>

#include "base/result.hpp"
#include "runtime/loop.hpp"

namespace strata::platform::deployment {

// Counts while it lives.
class Counted {
 public:
  explicit Counted(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;

 private:
  std::atomic<std::size_t>& count_;
};

// Ends one run of a model: when its time is over, when its endpoint is deleted, when the server
// stops, when its caller has gone. The time counts from the making of this, so that a run which
// waits for its turn waits out of its own time.
class RunLimit {
 public:
  // `gone` is stopped when the caller has; `callers` says that the limit is what its own deadline
  // leaves.
  RunLimit(Loop& loop, std::chrono::milliseconds limit, std::stop_token deleted,
           std::stop_token stopping, std::stop_token gone = {}, bool callers = false)
      : limit_(limit),
        callers_(callers),
        deleted_(std::move(deleted)),
        stopping_(std::move(stopping)),
        gone_(std::move(gone)),
        on_deleted_(deleted_, End{end_}),
        on_stopping_(stopping_, End{end_}),
        on_gone_(gone_, End{end_}),
        timer_(loop.call_after(limit, End{end_})) {}
  ~RunLimit() { Loop::cancel(timer_); }
  RunLimit(const RunLimit&) = delete;

  std::stop_token token() const { return end_.get_token(); }
  bool over() const { return end_.stop_requested(); }

  // What the caller of a run that was ended is told.
  Error why() const {
    if (deleted_.stop_requested())
      return not_found("the endpoint was deleted while its model was at work");
    if (stopping_.stop_requested()) {
      Error error(Code::kUnavailable, "the server is stopping");
      error.retry = true;
      return error;
    }
    if (gone_.stop_requested())
      return Error(Code::kCancelled, "the caller has gone before the model answered");
    if (callers_) return late();
    return Error(Code::kDeadlineExceeded,
                 fmt::format("the model gave no answer within {} s (endpoints.timeout)",
                             static_cast<double>(limit_.count()) / 1000));
  }
  // What a caller is told whose own deadline has passed.
  static Error late() {
    return {Code::kDeadlineExceeded,
            "the call's own deadline passed before the model answered; allow it more time"};
  }

 private:
  struct End {
    std::stop_source source;
    void operator()() { source.request_stop(); }
  };

  const std::chrono::milliseconds limit_;
  const bool callers_;
  const std::stop_token deleted_;
  const std::stop_token stopping_;
  const std::stop_token gone_;
  std::stop_source end_;
  std::stop_callback<End> on_deleted_;
  std::stop_callback<End> on_stopping_;
  std::stop_callback<End> on_gone_;
  std::shared_ptr<Loop::Timer> timer_;
};

}  // namespace strata::platform::deployment
