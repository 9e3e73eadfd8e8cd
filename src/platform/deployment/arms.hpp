#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "platform/predictions/predictions.hpp"

namespace strata::platform::deployment {

using predictions::Exchange;
using predictions::Route;

struct LiveModel;

// Into so many equal parts the traffic of an endpoint is cut while a release runs.
inline constexpr std::uint32_t kBuckets = 10'000;

// Where an entity falls, below kBuckets: the first eight bytes of SHA-256 over salt, a line feed
// and the entity, big-endian, modulo kBuckets. Fixed for ever, so that others can compute it.
std::uint32_t bucket_of(std::string_view salt, std::string_view entity);

// What answers a bucket while the candidate has a share: the first `share` buckets are the canary,
// as many at the other end the concurrent control, or what is left. Another share moves no bucket
// but those that it adds or takes away.
Route route_of(std::uint32_t bucket, std::uint32_t share);

// Who compares the arms. Called on the thread that answered, so it must not block.
class ArmObserver {
 public:
  virtual ~ArmObserver() = default;
  // A request of the canary or control, whether its model failed or not.
  virtual void answered(const Exchange& exchange) = 0;
  // A request of the canary or control that its model never saw, as too many wait for it.
  virtual void crowded_out(Route route) = 0;
  // A request that does not fit the signature of the arm's model, or is none.
  virtual void rejected(Route route) = 0;
  // The candidate was asked what `live` had answered.
  virtual void shadowed(const Exchange& live, const Exchange& shadow) = 0;
  virtual void shadow_dropped() = 0;
};

// A candidate beside the live version. Immutable: another share is another value.
struct Arms {
  std::string release;  // names it, and salts the assignment
  std::shared_ptr<const LiveModel> candidate;
  std::uint32_t share = 0;  // buckets that the candidate answers
  bool shadow = false;      // it is asked what the live version answered, too
  std::shared_ptr<ArmObserver> observer;
};

}  // namespace strata::platform::deployment
