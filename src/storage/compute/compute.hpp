#pragma once

// What this node is, how fast it is, and what its time costs. Owns the inventory, the measurements
// and the price; measuring takes a child process and about three seconds, everything else is cheap.
// The contract in full stands at the class Compute.

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel/audit/audit.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"
#include "runtime/pool.hpp"
#include "storage/compute/inventory.hpp"
#include "storage/compute/measure.hpp"

namespace strata::storage::compute {

// What an hour of the whole node costs.
struct Price {
  double per_hour = 0;
  std::string currency;
  bool operator==(const Price&) const = default;
};

struct NodeInfo {
  Inventory inventory;
  std::optional<Measurements> measured;
  Instant measured_at;
  std::optional<Price> price;
};

// What a task, run or query keeps from others while it lasts.
struct Reservation {
  double cores = 0;
  std::uint64_t memory_bytes = 0;
  double gpus = 0;
};

struct Cost {
  double amount = 0;
  std::string currency;  // empty while no price is set; amount is 0 then
};

// What this node is, how fast it is, and what its time costs.
//
// Promises: inventory is taken at start; speed is measured once in the background, by a child
// process of low priority in at most about three seconds, and kept in the records until asked anew.
// Threads: all methods from any thread; cost() never blocks.
class Compute {
 public:
  // `measure` runs the measurement, wherever that is done; it blocks.
  using Measure = std::function<Result<Measurements>()>;
  Compute(kernel::Records& records, kernel::Audit& audit, BlockingPool& pool, const Clock& clock,
          std::string data, Measure measure);
  static std::span<const kernel::Migration> migrations();

  // Takes the inventory and loads what is known. Blocks.
  Status start();
  // Measures when that has never been done on this machine; await it in the background.
  Task<Status> measure_once();

  std::vector<NodeInfo> nodes();
  // Measures again. Errors: kNotFound (node), kConflict while a measurement runs.
  Task<Result<NodeInfo>> measure(const kernel::Caller& caller, std::string node);
  // Errors: kNotFound, kInvalidArgument (field "per_hour" or "currency").
  Task<Result<NodeInfo>> set_price(const kernel::Caller& caller, std::string node, Price price);

  // The reserved share of the node, times the time, times its price. The share is the largest of
  // its parts: who takes all of the memory leaves no room for others, however few cores it takes.
  Cost cost(const Reservation& reserved, std::chrono::microseconds time) const;
  // The same from `from` to `to`, or until now when that is 0, at the price that was in force at
  // `from`: a new price does not change what earlier work cost.
  Cost cost_between(const Reservation& reserved, Instant from, Instant to) const;

 private:
  Status load_prices(kernel::Reader& reader, const std::string& node);
  Cost cost_at(const Price& price, const Reservation& reserved,
               std::chrono::microseconds time) const;
  Status check_node(const std::string& node) const;
  Task<Status> measure_and_keep();

  kernel::Records& records_;
  kernel::Audit& audit_;
  BlockingPool& pool_;
  const Clock& clock_;
  std::string data_;
  Measure measure_;
  mutable std::mutex mutex_;
  NodeInfo node_;
  std::map<Instant, Price> prices_;  // by when they came into force
  bool measuring_ = false;
};

Json to_json(const NodeInfo& node);

}  // namespace strata::storage::compute
