#pragma once

// The record of who changed what, an entry for each change, chained by hashes. The contract stands
// at class Audit.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "kernel/audit/chain.hpp"
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
  std::string hash;            // covers this entry and all before it
};

// The record of who changed what. An entry is written in the transaction that makes the change, so
// neither exists alone. Append-only: no method changes or removes an entry, and each entry's hash
// covers it and the hash of the one before it, in the order of their commits: who changes the
// records behind the server's back breaks the chain, or has to make all of its rest anew, which
// gives another head.
class Audit {
 public:
  Audit(Records& records, const Clock& clock);
  static std::span<const Migration> migrations();
  // Gives the entries of a database from before there were hashes theirs, once, and adds an entry
  // "audit.seal" that says so. Call it behind the migrations, before anything is recorded. Blocks.
  Status seal();

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
  // The newest entry and its hash, to be kept elsewhere.
  Task<Result<ChainHead>> head();
  // Whether every entry fits behind the one before it, and, with a head that was kept, whether the
  // log has only grown since. Costs a look at every entry.
  Task<Result<ChainReport>> verify(std::optional<ChainHead> kept);
  // The same for records that no server uses; nothing of a database that has no chain yet. Blocks.
  static Result<std::optional<ChainReport>> verify_unused(Records& records,
                                                          std::optional<ChainHead> kept);

 private:
  Records& records_;
  const Clock& clock_;
};

}  // namespace strata::kernel
