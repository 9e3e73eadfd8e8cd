#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"

namespace strata::kernel {

struct AuditEntry {
  std::int64_t sequence = 0;
  Instant time;
  std::string project, actor;  // the project is the actor's; empty before there were any
  std::string action;          // noun.verb, for example "token.create"
  std::string target;          // what it was done to, for example "model:flights/3"
  Json detail;                 // never a secret
};

// The record of who changed what. An entry is written in the transaction that makes the change, so
// neither exists alone. Append-only: no method changes or removes an entry.
class Audit {
 public:
  Audit(Records& records, const Clock& clock);
  static std::span<const Migration> migrations();

  Status record(Writer& writer, const Caller& by, std::string_view action, std::string_view target,
                const Json& detail = Json::object());

  struct Filter {
    std::string actor, action, target;  // empty matches all; target matches as a prefix
    std::string project;                // entries that name none match, too
    std::int64_t before = 0;            // only entries with a smaller sequence; 0 for the newest
    int limit = 100;
  };
  // Newest first. The caller needs Permission::kAuditRead, which the route asks for.
  Task<Result<std::vector<AuditEntry>>> list(const Filter& filter);
  // What was done to one thing ("model:flights", with its versions) in the caller's project, newest
  // first; `before` as in Filter. Errors: kPermissionDenied when the caller may not read about it.
  Task<Result<std::vector<AuditEntry>>> timeline(const Caller& caller, std::string ref,
                                                 std::int64_t before, int limit);

 private:
  Records& records_;
  const Clock& clock_;
};

}  // namespace strata::kernel
