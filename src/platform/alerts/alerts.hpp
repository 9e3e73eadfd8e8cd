#pragma once

// Alarms of the project, and who outside is told of them. The contract stands at class Alerts.

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "platform/alerts/alarm.hpp"
#include "runtime/clock.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"

namespace strata::platform::alerts {

// Sends one request; blocks. The status of the answer, or why there was none.
using Send = std::function<Result<int>(const std::string& url, const std::string& header,
                                       const std::string& secret, const std::string& body)>;

// Follows the event bus, keeps which alarms are open, and tells those whom a project named.
//
// Promises: an event that opens or closes an alarm leads to at least one delivery on each route
// that it concerns, across kill -9: the alarm, what is to be sent and how far the bus was read are
// one commit, and a delivery ends only when the receiver answered or it was given up, which is kept
// with the reason. One alarm is not sent twice while it is open but for a route's `repeat`; its end
// is sent once to whom its beginning was. A request that was answered just before the server died
// is sent again. Each route has one request on its way at most, and routes that fail share half of
// the threads, so that a dead receiver holds up no other. Owns its records only. Costs: a look at
// each event; nothing is kept of those about no alarm. Threads: all methods from any loop.
class Alerts {
 public:
  struct Ports {
    kernel::Records& records;
    kernel::Audit& audit;
    kernel::EventBus& events;
    const Clock& clock;
    Random& random;
    LoopGroup& loops;
    TaskScope& scope;
    Send send;
    std::function<std::string()> server_url;  // asked for once there is something to send
  };
  explicit Alerts(Ports ports);
  static std::span<const kernel::Migration> migrations();

  void start();

  // Alarms that the caller may read about: open ones and those that ended, newest first.
  Task<Result<Json>> alarms(const kernel::Caller& caller, bool open_only, std::int64_t limit);
  // What was, is and could not be sent, newest first; `state` is empty or one of pending, sent,
  // failed, silenced. Errors: kInvalidArgument.
  Task<Result<Json>> deliveries(const kernel::Caller& caller, std::string state,
                                std::int64_t limit);

  // Errors: kInvalidArgument naming the field, kAlreadyExists, kResourceExhausted.
  Task<Result<Json>> add_route(const kernel::Caller& caller, const Json& body);
  Task<Result<Json>> routes(const kernel::Caller& caller);
  // What waits to be sent on it is dropped. Errors: kNotFound.
  Task<Status> remove_route(const kernel::Caller& caller, std::string name);
  // Sends a test alarm at once, and tells how that went. Errors: kNotFound, kResourceExhausted
  // while too many do.
  Task<Result<Json>> test_route(const kernel::Caller& caller, std::string name);

  // Errors: kInvalidArgument naming the field, kResourceExhausted.
  Task<Result<Json>> add_silence(const kernel::Caller& caller, const Json& body);
  Task<Result<Json>> silences(const kernel::Caller& caller);
  // Errors: kNotFound.
  Task<Status> remove_silence(const kernel::Caller& caller, std::string id);

 private:
  struct Batch;  // what goes in one request
  Task<void> watch();
  Task<Status> follow();
  Task<Status> sweep(Instant now);
  Task<Status> start_routes(Instant now);
  Task<void> serve(std::string project, std::string name);
  Task<Result<bool>> serve_next(const std::string& project, const std::string& name);
  Result<int> post(const Route& route, const std::vector<Notice>& notices);
  Status settle(kernel::Writer& writer, const Batch& batch, const Result<int>& answer);
  Task<Result<Route>> find_route(std::string project, std::string name);

  Ports ports_;
  std::int64_t cursor_ = 0;       // how far the bus was read
  std::int64_t kept_cursor_ = 0;  // and how far that is kept
  Instant next_sweep_;
  Instant next_prune_;
  std::atomic<bool> changed_{true};                           // routes or silences did
  std::mutex mutex_;                                          // over what follows
  std::map<std::pair<std::string, std::string>, bool> busy_;  // routes; whether they fail
  std::size_t tests_ = 0;
  BlockingPool pool_;  // of its own: a receiver may be slow
};

}  // namespace strata::platform::alerts
