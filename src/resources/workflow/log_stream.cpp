#include "resources/workflow/log_stream.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "resources/orchestrator/orchestrator.hpp"

namespace strata::resources::workflow {
namespace {

constexpr std::chrono::milliseconds kPoll{80};
constexpr std::size_t kPiece = 256 << 10;

class LogStream final : public ByteSource {
 public:
  LogStream(const Ports& ports, const std::atomic<bool>& draining, kernel::Caller caller,
            Workflows::LogRequest request)
      : ports_(ports),
        draining_(draining),
        caller_(std::move(caller)),
        request_(std::move(request)) {}

  Task<Result<std::string_view>> next() override {
    while (true) {
      // Whether the attempt has ended is asked before the last read: all that it wrote is in the
      // file by then.
      auto look = [this] {
        return advance();
      };
      const Status looked = co_await ports_.pool.run(look);
      if (!looked) co_return looked.error();
      if (request_.follow) STRATA_CO_TRY(may_follow());
      if (!piece_.empty()) co_return std::string_view(piece_);
      if (finished_) co_return std::string_view();
      if (cancelled_) co_return Error(Code::kCancelled, "nobody follows any more");
      if (draining_) co_return Error(Code::kUnavailable, "the server stops; follow again later");
      if (Loop* const loop = Loop::current(); loop != nullptr && waiting_)
        co_await loop->sleep(kPoll);
    }
  }

  void cancel() override { cancelled_ = true; }

 private:
  // Asked after each read and before what it gave is handed out.
  Status may_follow() const {
    const auto caller = ports_.identity.renewed(caller_);
    if (!caller) return caller.error();
    if (caller->may(kernel::Permission::kFlowRead)) return {};
    return Error(Code::kPermissionDenied,
                 fmt::format("'{}' may no longer read runs", caller->user_name));
  }

  // One step on: chooses an attempt, or reads on in the one that is open. Blocks.
  Status advance() {
    piece_.clear();
    waiting_ = false;
    auto run = read_run();
    if (!run) return run.error();
    if (!current_) {
      choose(*run);
      if (!current_) {
        finished_ = !request_.follow || run->ended();
        waiting_ = !finished_;
        return {};
      }
    }
    const bool ended = has_ended(*run);
    STRATA_TRY(read_on());
    if (!piece_.empty()) return {};
    if (ended || !request_.follow) {
      seen_.insert(*current_);
      current_.reset();
    } else {
      waiting_ = true;
    }
    return {};
  }

  Result<scheduler::Run> read_run() {
    const auto read = [&](kernel::Reader& r) -> Result<scheduler::Run> {
      auto row = tables::find_run(r, caller_.project.str(), request_.run);
      if (!row) return row.error();
      if (!*row) return not_found(fmt::format("there is no run '{}'", request_.run));
      STRATA_TRY(tables::read_tasks(r, (*row)->run));
      return std::move((*row)->run);
    };
    return ports_.records.read_blocking(read);
  }

  bool wanted(const scheduler::Task& task, const scheduler::Attempt& attempt) const {
    return (request_.step.empty() || task.plan.step == request_.step) &&
           (request_.attempt == 0 || attempt.number == request_.attempt);
  }

  // The attempt that began first among those not shown yet.
  void choose(const scheduler::Run& run) {
    std::optional<Instant> earliest;
    for (const auto& task : run.tasks) {
      for (const auto& attempt : task.attempts) {
        const std::string token =
            scheduler::Token{run.id, task.plan.step, attempt.number}.to_string();
        if (!wanted(task, attempt) || seen_.contains(token)) continue;
        if (earliest && attempt.created >= *earliest) continue;
        earliest = attempt.created;
        current_ = token;
      }
    }
    offset_ = 0;
    file_.reset();
    if (current_ && request_.step.empty()) {
      const auto token = scheduler::Token::parse(*current_);
      piece_ = fmt::format("==> {} (attempt {})\n", token->step, token->number);
    }
  }

  bool has_ended(const scheduler::Run& run) const {
    const auto token = scheduler::Token::parse(*current_);
    for (const auto& task : run.tasks) {
      if (task.plan.step != token->step) continue;
      for (const auto& attempt : task.attempts) {
        if (attempt.number == token->number)
          return attempt.state == scheduler::AttemptState::kEnded;
      }
    }
    return true;
  }

  Status read_on() {
    if (!file_) {
      const auto directory = orchestrator::attempt_directory(ports_.data, *current_);
      if (!directory) return directory.error();
      auto file = ports_.files.open(fmt::format("{}/{}", *directory, orchestrator::kLogFile));
      if (!file && file.error().code == Code::kNotFound) return {};  // nothing written yet
      if (!file) return file.error();
      file_ = std::move(*file);
    }
    const std::size_t before = piece_.size();
    piece_.resize(before + kPiece);
    const auto count = file_->read_at(std::span(piece_).subspan(before), offset_);
    if (!count) return count.error();
    piece_.resize(before + *count);
    offset_ += *count;
    return {};
  }

  const Ports& ports_;
  const std::atomic<bool>& draining_;
  kernel::Caller caller_;
  Workflows::LogRequest request_;
  std::set<std::string> seen_;
  std::optional<std::string> current_;
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
  std::string piece_;
  bool finished_ = false, waiting_ = false, cancelled_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_logs(const Ports& ports, const std::atomic<bool>& draining,
                                      const kernel::Caller& caller,
                                      const Workflows::LogRequest& request) {
  return std::make_unique<LogStream>(ports, draining, caller, request);
}

}  // namespace strata::resources::workflow
