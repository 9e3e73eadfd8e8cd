#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "resources/orchestrator/orchestrator.hpp"
#include "resources/workflow/content.hpp"
#include "resources/workflow/step_launch.hpp"
#include "resources/workflow/workflow.hpp"

namespace strata::resources::workflow {

// Drives the scheduler: takes what happened, steps the state machine, makes the result durable, and
// only then acts. One thread owns the state; events that come together share one commit.
class Engine {
 public:
  Engine(const Ports& ports, ContentStore& content);
  ~Engine();

  // Takes up what earlier lives left unfinished and starts the thread. Blocks.
  Status start();
  void stop();

  // A run that is in the records already.
  void submit(scheduler::Run run, std::shared_ptr<const RunContext> context);
  void cancel(const std::string& run, const std::string& reason);

  // Why each task of the run waits; empty texts for those that do not.
  std::vector<std::string> why_waiting(const scheduler::Run& run);
  const scheduler::Resources& capacity() const { return capacity_; }

 private:
  struct RunOutput {
    std::string run;
    Output output;
  };
  struct Item {
    decltype(scheduler::Event::what) what;
    std::vector<RunOutput> outputs;  // of attempts that `what` reports as succeeded
  };

  void post(Item item);
  Status load();
  void work(const std::stop_token& stop);
  std::vector<Item> take(const std::stop_token& stop);
  void handle(std::vector<Item> items);
  bool wait_for_stop(std::chrono::milliseconds limit);
  Status commit(const std::vector<scheduler::Action>& actions, const std::vector<Item>& items);
  Status record(kernel::Writer& w, const scheduler::RecordRun& record);
  Status record(kernel::Writer& w, const scheduler::RecordTask& record);
  void act(std::vector<scheduler::Action>& actions);
  static std::optional<std::string> ended_attempt(const scheduler::Action& action);
  void dismiss_ended(const std::vector<scheduler::Action>& actions);
  void settle_ended(const std::vector<scheduler::Action>& actions);
  void launch(scheduler::StartAttempt start);
  void prepare(const scheduler::StartAttempt& start);
  void take_report(scheduler::AttemptReport report);
  void take_greeting(std::vector<scheduler::AttemptReport> reports);
  std::vector<RunOutput> collect(scheduler::AttemptReport& report);
  std::shared_ptr<const RunContext> context_of(const std::string& run);
  std::vector<std::string> active_tokens();

  const Ports& ports_;
  ContentStore& content_;
  const scheduler::Resources capacity_;

  std::mutex mutex_;  // guards what follows; never held while anything blocks
  std::condition_variable_any wake_;
  std::deque<Item> mailbox_;
  scheduler::State state_;
  std::map<std::string, std::shared_ptr<const RunContext>> contexts_;
  int pending_ = 0;  // jobs on the pool
  bool stopping_ = false;

  std::unique_ptr<orchestrator::NodeAgent> agent_;
  std::jthread thread_;
};

}  // namespace strata::resources::workflow
