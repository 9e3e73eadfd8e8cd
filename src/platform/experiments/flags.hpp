#pragma once

// Feature flags: who gets which value, by GrowthBook's rules. Definitions are immutable versions
// with actor and reason; what SDKs are given is a snapshot in memory. The contract stands at class
// Flags.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "wire/growthbook/evaluate.hpp"
#include "wire/growthbook/flag_definition.hpp"

namespace strata::platform::experiments {

// What a project keeps under a name: flags, the saved groups that their conditions name, and the
// holdouts that no experiment of the project may touch.
enum class Kind : std::uint8_t { kFlag, kGroup, kHoldout };
std::string_view kind_name(Kind kind);  // "flag", "flag_group", "flag_holdout"

// On: the rules decide. Off: everyone gets the default. Killed: the flag is not there for SDKs, so
// the value in the caller's own code holds, and prerequisites on it are not met.
enum class State : std::uint8_t { kOn, kOff, kKilled };
std::string_view state_name(State state);
Result<State> parse_state(std::string_view text);

// One immutable version of a thing.
struct Version {
  Kind kind = Kind::kFlag;
  std::string name;
  std::int64_t number = 0;
  State state = State::kOn;
  bool deleted = false;
  Json definition{};
  std::string digest{};
  std::string actor{};
  std::string reason{};
  Instant time{};
};

// Why, and upon which version: a change of another one than `version` is refused.
struct Change {
  std::string reason;
  std::optional<std::int64_t> version;  // 0: it must not be there yet
};

// A public key by which SDKs read the flags of one project.
struct ClientKey {
  std::string id;
  std::string key;
  std::string name;
  ProjectId project;
  // Its SDKs may only ask the server to evaluate, and never see rules.
  bool remote = false;
  std::string created_by;
  Instant created;
  std::optional<Instant> revoked;
};

// The flags of a project as SDKs are given them. Immutable; any thread may use it.
struct Snapshot {
  ProjectId project;
  std::int64_t revision = 0;     // counts the changes of the project
  Instant updated;               // when it became what it is
  std::optional<Instant> until;  // when a ramp makes it another one
  std::string text;              // GrowthBook's payload
  std::string etag;
  std::shared_ptr<const wire::growthbook::Payload> payload;
  std::map<std::string, State, std::less<>> states;
  std::map<std::string, std::int64_t, std::less<>> versions;
};

struct Evaluated {
  wire::growthbook::FeatureResult result;
  std::vector<wire::growthbook::Exposure> exposures;
};

struct ProjectFlags;  // private to the room

inline constexpr std::size_t kMaxFlags = 2000;             // of a project, and as many groups
inline constexpr std::size_t kMaxDefinitions = 4U << 20U;  // bytes of all of a project
inline constexpr std::size_t kMaxKeys = 100;               // client keys of a project

// Feature flags of projects.
//
// Promises: a change is checked together with all other flags of its project and refused as a whole
// when it contradicts one (prerequisites, layers, groups, experiments' keys); each is a new version
// that is kept for ever, with audit entry and event "flag.changed" (subject "flag:NAME") in the
// same commit; the snapshot has it as soon as the change is answered. Cost: a change reads the
// project's definitions; a read or an evaluation is in memory. Threads: all methods from any loop.
// Errors: kInvalidArgument naming the field, kNotFound, kConflict for another version than was
// expected, kQuotaExceeded.
class Flags {
 public:
  struct Ports {
    kernel::Records& records;
    kernel::Audit& audit;
    kernel::EventBus& events;
    const Clock& clock;
    Random& random;
  };
  explicit Flags(Ports ports);
  ~Flags();
  static std::span<const kernel::Migration> migrations();
  // Reads everything. Blocks.
  Status load();

  // A new version with this definition; the last one when nothing changes. A new flag is on.
  Task<Result<Version>> set(const kernel::Caller& caller, Kind kind, std::string name,
                            Json definition, Change change);
  Task<Result<Version>> set_state(const kernel::Caller& caller, std::string flag, State state,
                                  Change change);
  Task<Result<Version>> remove(const kernel::Caller& caller, Kind kind, std::string name,
                               Change change);
  Result<Version> find(const ProjectId& project, Kind kind, std::string_view name) const;
  // Those behind `after` by name, at most `limit`.
  std::vector<Version> list(const ProjectId& project, Kind kind, std::string_view after,
                            std::size_t limit) const;
  // Newest first, below version `before`; 0 for the newest.
  Task<Result<std::vector<Version>>> history(const kernel::Caller& caller, Kind kind,
                                             std::string name, std::int64_t before, int limit);

  Task<Result<ClientKey>> create_key(const kernel::Caller& caller, std::string name, bool remote);
  // SDKs with it are refused from the answer on.
  Task<Result<ClientKey>> revoke_key(const kernel::Caller& caller, std::string id);
  // Revoked ones too, oldest first.
  std::vector<ClientKey> keys(const ProjectId& project) const;
  // The key that an SDK sent, if it is good. Errors: kNotFound.
  Result<ClientKey> key(std::string_view key) const;

  // What holds now; empty for a project without flags.
  std::shared_ptr<const Snapshot> snapshot(const ProjectId& project) const;
  // Errors: kNotFound, for a killed flag too; kResourceExhausted when the attributes ask for more
  // work than one evaluation may take.
  static Result<Evaluated> evaluate(const Snapshot& snapshot, const std::string& flag,
                                    wire::growthbook::Subject& subject);
  // All flags that are not killed, in the payload's order, within the work of one evaluation.
  // Errors: kResourceExhausted.
  static Result<std::vector<std::pair<std::string, Evaluated>>> evaluate_all(
      const Snapshot& snapshot, wire::growthbook::Subject& subject);
  // Notified after every change of a flag or key.
  Signal& changed() { return changed_; }

 private:
  using ProjectPtr = std::shared_ptr<const ProjectFlags>;
  Task<Result<Version>> change(const kernel::Caller& caller, Version wanted, Change change,
                               std::string action);
  Result<Version> write(kernel::Writer& writer, const kernel::Caller& caller, const Version& wanted,
                        const Change& change, std::string_view action);
  Result<std::shared_ptr<ProjectFlags>> read(kernel::Reader& reader,
                                             const ProjectId& project) const;
  ProjectPtr project(const ProjectId& project) const;
  void publish(const ProjectId& project, ProjectPtr state);

  Ports ports_;
  Signal changed_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<ProjectId, ProjectPtr> projects_;
  std::map<std::string, ClientKey, std::less<>> keys_;  // by the key
  mutable std::mutex building_;
  mutable std::map<ProjectId, std::shared_ptr<const Snapshot>> snapshots_;
};

}  // namespace strata::platform::experiments
