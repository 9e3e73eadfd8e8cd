#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.hpp"
#include "doors/http/http.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/loop.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"

namespace strata::app {

// Where things lie on this machine; all paths absolute.
struct Paths {
  std::string data;        // the data directory
  std::string executable;  // this binary, for the processes that it starts
  std::string libraries;   // folder of the prebuilt engines (libduckdb.so, libonnxruntime.so.1,
                           // lib_lightgbm.so, libxgboost.so)
  std::string run() const { return data + "/run"; }
};

// What an administrator limits by settings.
struct Limits {
  std::int64_t sql_memory_mb = 0;  // 0: what fits the machine
  int sql_threads = 0;             // 0: one for each core
  int running_per_user = 0;
  std::chrono::seconds model_run{60};
  std::string python_interpreter, python_index_url, python_find_links;
  std::string python_environment;     // where models that need Python find what they need
  std::int64_t python_memory_mb = 0;  // of one of their processes; 0: what fits the machine
  int python_spare = 1;
};

// What every part of the server is built from. Owned by the composition root, outlives all parts.
struct Core {
  Paths paths;
  Limits limits;
  const Clock& clock;
  Random& random;
  Files& files;
  LoopGroup& loops;
  BlockingPool& pool;
  TaskScope& scope;  // background coroutines; joined before any part is destroyed
  metrics::Registry& metrics;
  kernel::Records& records;
  kernel::Identity& identity;
  kernel::Audit& audit;
  kernel::EventBus& events;
  kernel::Lineage& lineage;
};

enum class Port : std::uint8_t { kHttp, kS3 };

// One vertical of the server: its services and doors. Built in order, stopped and destroyed in
// reverse.
class Part {
 public:
  virtual ~Part() = default;
  // The doors to open on each port.
  virtual std::vector<std::pair<Port, http::Door*>> doors() { return {}; }
  // Called once the doors listen, and again in reverse order before they are destroyed. May block
  // briefly.
  virtual Status start() { return {}; }
  virtual void stop() {}
  // Called when the server begins to stop, while its doors still answer what is in flight: calls
  // that could last must end within about two seconds from here. Does not block.
  virtual void drain() {}
};

}  // namespace strata::app
