#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "kernel/identity/identity.hpp"

namespace strata::platform::models {

// An alias that moves only when a second person approves.
struct Protection {
  std::string alias;
  std::vector<std::string> approvers;  // "user:ada", "team:risk"; empty: whoever may write models
  bool questions = false;              // a version whose five questions are bad is refused, too
  std::string by;
  Instant time;
};

struct ProtectionDraft {
  std::vector<std::string> approvers;  // as above, or a name that is a user's or a team's
  bool questions = false;
};

// What a protected alias shall become, until a second person decides. A move is of exactly these
// two versions, the second with this digest.
struct AliasRequest {
  std::int64_t id = 0;
  std::string model, alias;
  std::string action;  // "move", "delete", "protect" (other approvers or rules) or "unprotect"
  std::optional<std::int64_t> from, to;
  std::string digest;
  std::string requester;
  Instant time, expires;
  // "waiting", "approved", "refused" (also when taken back), "outdated" (the alias or its
  // protection changed meanwhile) or "expired".
  std::string state;
  std::string decided_by;
  std::optional<Instant> decided;
  std::string reason;  // of who decided
  Json override_of;    // {reason, questions}, null when nothing was overridden
  Json settings;       // of "protect": {approvers, questions}
  UserId requester_id;
};

struct RequestFilter {
  std::string model;         // empty for all
  bool waiting = false;      // only what can still be decided
  std::int64_t before = 0;   // only smaller ids; 0 for the newest
  std::int64_t limit = 100;  // 1 to 500
};

inline constexpr std::chrono::hours kRequestLifetime{7 * 24};
inline constexpr std::int64_t kMaxWaiting = 100;  // of one model

// What speaks against letting an alias name that version: an array of the questions that are bad,
// each with its evidence; empty when none is. Plugged in by the composition root, since the room
// that knows stands above this one.
using PromotionGate = std::function<Task<Result<Json>>(const kernel::Caller&, std::string model,
                                                       std::int64_t version)>;

}  // namespace strata::platform::models
