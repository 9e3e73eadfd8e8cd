#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.hpp"
#include "runtime/clock.hpp"
#include "runtime/message_socket.hpp"
#include "runtime/pool.hpp"
#include "runtime/process.hpp"
#include "runtime/random.hpp"
#include "wire/sql_engine.hpp"

namespace strata::storage::warehouse {

struct EngineHostOptions {
  std::vector<std::string> command;  // program and first arguments of the engine's process
  std::string data;                  // data directory
  std::string folder = "warehouse";  // of the database, below `data`
  std::int64_t memory_mb = 1024;
  int threads = 2;
  std::chrono::milliseconds start_limit{30'000};
  std::chrono::milliseconds idle_limit{300'000};
};

// The SQL engine's process: started when the first query needs it, replaced when it died or ran out
// of memory, ended when it has been idle. Threads: all methods from any thread. All but session()
// may block.
class EngineHost {
 public:
  // Gets the tables of the database each time the engine has started, and the commits that may not
  // have been recorded, on a thread that may block; gives the versions of tables that the records
  // know. What it has got is settled then.
  using OnCatalog = std::function<Result<std::vector<wire::sql_engine::TableVersion>>(
      const std::vector<wire::sql_engine::TableFacts>&,
      const std::vector<wire::sql_engine::CommitRecord>&)>;
  EngineHost(EngineHostOptions options, BlockingPool& pool, Random& random, const Clock& clock,
             OnCatalog on_catalog);
  ~EngineHost();

  // One engine process, as long as somebody uses it.
  struct Engine;
  // A query's line to the engine and the folder that only this engine may read.
  struct Session {
    MessageSocket socket;
    std::shared_ptr<Engine> engine;
    std::string spool;  // relative to the data directory
  };
  // Errors: kUnavailable when the engine does not start, with its reason.
  Task<Result<Session>> session();
  // Every session ends here. `recycle`: no new session gets this process.
  void release(Session& session, bool recycle);
  // Why a session's socket closed: how the process ended.
  std::string epitaph(const std::shared_ptr<Engine>& engine);
  // Ends a process that does not answer any more.
  void kill(const std::shared_ptr<Engine>& engine);

  // Ends the process as soon as its last session has ended; the next session starts another one.
  void retire();
  // Ends the process when it has not been used for the idle limit.
  void end_if_idle();
  void stop();
  // Adds a folder that system views read; counts from the next start of the engine.
  void allow_folder(std::string relative);
  std::optional<pid_t> pid();

 private:
  Result<Session> open_session();
  Result<std::shared_ptr<Engine>> start();
  Status wait_until_ready(Engine& engine);
  void end(const std::shared_ptr<Engine>& engine, std::chrono::milliseconds grace);
  bool is_alive(Engine& engine);

  EngineHostOptions options_;
  BlockingPool& pool_;
  Random& random_;
  const Clock& clock_;
  OnCatalog on_catalog_;
  std::mutex starting_;  // held while a process starts or is replaced
  std::mutex mutex_;     // guards what follows; never held while blocking
  std::condition_variable released_;
  std::shared_ptr<Engine> engine_;
  std::vector<std::string> folders_;
  bool stopped_ = false;
};

}  // namespace strata::storage::warehouse
