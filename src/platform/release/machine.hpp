#pragma once

// The life of a release as a pure function. step() decides; what is to hold outside follows from
// the state alone (wanted()), so that whoever begins with a state that was recorded long ago brings
// the world there, whatever happened since.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "platform/release/evidence.hpp"

namespace strata::platform::release {

enum class Stage : std::uint8_t {
  kRegistered,  // its gates are looked at
  kGated,       // they hold, or were overridden
  kShadow,      // asked beside the live version
  kCanary,      // answers its share
  kLive,        // the alias is moved, and the endpoint follows
  kDraining,    // it answers everything; the version before is kept at hand
  kRetired,     // done
  kRolledBack
};
std::string_view stage_name(Stage stage);
Result<Stage> parse_stage(std::string_view name);

struct Step {
  std::uint32_t share = 0;   // of deployment::kBuckets
  std::uint64_t sample = 0;  // requests in each arm, over all steps, before the next one
};

// Rows with known answers, on which a candidate is measured against the live version.
struct Golden {
  std::string input;                // a table, or "s3://bucket/key"
  std::string label;                // its column with the true values
  std::vector<std::string> slices;  // columns; each of their values is judged by itself
  std::string metric;               // of check_golden(); empty takes what fits
  double margin = 0.02;             // of the live version's loss, by which it may be worse
  bool operator==(const Golden&) const = default;

  Json to_json() const;
  // Errors: kInvalidArgument naming the field.
  static Result<Golden> from_json(const Json& json);
};

// Fixed at the start.
struct Plan {
  std::string endpoint;
  std::string model, alias;           // what the endpoint follows
  std::string version, digest;        // the candidate's
  std::string live, live_digest;      // what answered at the start
  std::uint64_t shadow_sample = 200;  // answers of the shadow before the canary; 0: no shadow
  std::vector<Step> steps = {{100, 100}, {500, 300}, {1'000, 500}, {2'500, 1'000}, {5'000, 2'000}};
  Limits limits{};
  std::int64_t drain_seconds = 60;
  std::optional<Golden> golden{};

  Json to_json() const;
};
// The opposite of to_json(), for our own records.
Plan plan_from_json(const Json& json);
// Errors: kInvalidArgument naming the field: shares ascend from more than 0 to half of the traffic,
// as the control is as large as the canary, and samples do not fall.
Status check_plan(const Plan& plan);

// How many times its sample a step may gather while a limit is exceeded without certainty.
inline constexpr std::uint64_t kPatience = 5;

struct State {
  Stage stage = Stage::kRegistered;
  std::size_t step = 0;  // of the canary
  bool gates = false;    // hold, or were overridden
  bool moved = false;    // the alias may name the candidate by this release
  bool paused = false;   // by a person
  std::string held{};    // why it waits for a person; empty when it does not
  bool over() const { return stage == Stage::kRetired || stage == Stage::kRolledBack; }
  bool operator==(const State&) const = default;

  Json to_json() const;
  static Result<State> from_json(const Json& json);
};

enum class EventKind : std::uint8_t {
  kGatesPassed,
  kGatesFailed,  // held until a person overrides or rolls back
  kReady,        // the candidate is open
  kEnough,       // the sample of this stage and step, all within the limits
  kDoubt,        // kPatience times the sample, not all within the limits, nothing certain
  kHarm,         // a limit is certainly broken
  kStuck,        // what is wanted cannot be done: rights were lost, a version is gone
  kFollowed,     // the endpoint answers with the candidate as its live version
  kSuperseded,   // it answers with another version than the release began with
  kDrained,
  kPause,
  kResume,    // also ends what it is held for
  kPromote,   // by a person: one stage or step on, without its evidence
  kOverride,  // by a person: the failed gates count as passed
  kRollback
};
std::string_view event_name(EventKind kind);

// `stage` and `step` are those in which its evidence was gathered: what comes late changes nothing.
struct Event {
  EventKind kind = EventKind::kReady;
  Stage stage = Stage::kRegistered;
  std::size_t step = 0;
  std::string reason{};
};

// What it becomes; the same state when the event does not apply. Errors: kConflict for a person's
// wish that the state does not allow.
Result<State> step(const Plan& plan, const State& state, const Event& event);

// What shall hold outside, from the state alone.
struct Wanted {
  bool gates = false;       // look at them
  bool candidate = false;   // it is open
  std::uint32_t share = 0;  // of the traffic, to the candidate
  bool shadow = false;
  bool keep_old = false;  // the version before is at hand instead of the candidate
  std::string alias{};    // the version that the alias shall name; empty: as it is
};
Wanted wanted(const Plan& plan, const State& state);

// What the evidence says about this stage and step, nothing while it says too little.
std::optional<Event> judge(const Plan& plan, const State& state, const Evidence& evidence);

}  // namespace strata::platform::release
