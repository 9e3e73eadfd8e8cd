#pragma once

// The feature store. Definitions are applied as a whole or not at all; what they compute has
// versions that never change.
//
// Promises: an acknowledged apply survives power loss, and of two at the same time the second one
// sees the first; a version, once there, stays and means the same for ever; an acknowledged push is
// durable, and every later answer has it. Costs: apply() is one record commit, and folds the log
// once for keys that are new to a stream; all that reads definitions does so in memory. Threads:
// all methods from any loop.

#include <map>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "platform/features/catalog.hpp"
#include "platform/features/online.hpp"
#include "platform/features/push.hpp"
#include "platform/streams/streams.hpp"

namespace strata::platform::features {

struct Planned {
  std::vector<Change> changes;
  // For each change, by its place: the models that were made with what gets another version.
  std::vector<std::vector<std::string>> models;
  bool any() const;
};

// One definition as the catalog shows it.
struct Listed {
  std::string kind, name, version;
  std::int64_t number = 0;  // of the version, from 1; 0 for entities and sources
  std::string updated_by;
  Instant updated;
  Json definition;
  std::vector<std::string> equal_to;
};

struct Version {
  std::string version, created_by;
  std::int64_t number = 0;
  Instant created;
  Json plan;
};

struct Shown {
  Listed listed;
  std::vector<Version> versions;        // newest first
  std::vector<ServedFeature> features;  // with their types
  std::vector<Column> keys, request;    // that a request for them brings
  std::vector<std::string> readers;     // services and on-demand views that compute with it
};

// What the search looks for; empty members match all.
struct Search {
  std::string text;  // in names, descriptions, features and tags, without regard to case
  std::string kind, owner;
  std::string column;              // of a source that an expression reads
  std::string expression, source;  // what computes the same on that source
  std::string after;               // "kind:name" of the last one of the page before
  int limit = 100;
};

struct Page {
  std::vector<Listed> items;
  std::string next;                   // for `after`; empty at the end
  std::vector<std::string> features;  // found by what they compute
};

// What became of a row when a feature was computed as of a time.
enum class Reason : std::uint8_t {
  kCounted,
  kLater,       // its event is later
  kUnknown,     // it was made later
  kDeletion,    // it deletes
  kDeleted,     // a deletion took it
  kExpired,     // older than the view's ttl
  kSuperseded,  // a later event, or a correction, counts instead
  kLate,        // the same, and that had come before this row
  kSilent,      // it says nothing of what the feature reads
  kFiltered,    // `where` is not true of it
  kNull,        // what is aggregated is NULL
  kOutside      // of the window
};
std::string_view reason_name(Reason reason);

struct WhyRow {
  std::int64_t event = 0, created = 0, received = 0;  // microseconds
  streams::Place place;                               // in the log
  std::string pushed_by;                              // empty for rows from before it was noted
  Reason reason = Reason::kCounted;
};

// The rows of its key, newest first, for one feature of a view over a stream.
struct Why {
  std::string view, feature;
  std::optional<std::pair<std::int64_t, std::int64_t>> window;  // (after, until]
  std::vector<WhyRow> rows;
  std::size_t not_shown = 0;  // more of them, older
};

struct Explained {
  Instant time;  // that all is as of
  std::uint64_t sequence = 0;
  std::vector<std::pair<ServedFeature, FeatureValue>> values;  // of what was asked for
  std::vector<Why> features;                                   // that these are computed from
};

// Features::historical() of some definitions and streams.
Task<Result<OnlineAnswer>> historical(const Catalog& now, std::string project,
                                      streams::Streams& streams, BlockingPool& pool,
                                      OnlineRequest request, KnownAt known_at);

// The front door of this room; see the top of this file.
class Features {
 public:
  struct Ports {
    kernel::Records& records;
    kernel::Audit& audit;
    kernel::EventBus& events;
    kernel::Lineage& lineage;
    const Clock& clock;
    streams::Streams& streams;
    BlockingPool& pool;
  };
  explicit Features(Ports ports) : ports_(ports) {}
  static std::span<const kernel::Migration> migrations();
  // Reads all definitions. Blocks. Errors: kDataLoss when one gives another version than it did.
  Status load();
  // Takes up the streams. Blocks. Errors: those of Streams::start().
  Status start();

  // What apply() would do. Errors: kInvalidArgument with the field's path.
  Task<Result<Planned>> plan(const kernel::Caller& caller, const Definitions& given);
  // Takes the definitions over those that stand; what they do not name stays. Errors: as plan().
  Task<Result<Planned>> apply(const kernel::Caller& caller, const Definitions& given);

  // Sorted by kind and name. Errors: kInvalidArgument (expression, source, limit).
  Task<Result<Page>> list(const kernel::Caller& caller, const Search& search);
  // Errors: kNotFound.
  Task<Result<Shown>> show(const kernel::Caller& caller, const std::string& kind,
                           const std::string& name);

  // Adds rows to a stream. Errors: kNotFound (no such stream), kInvalidArgument with the field
  // ("rows.3.delay"), and those of Streams::push().
  Task<Result<streams::Pushed>> push(const kernel::Caller& caller, PushRequest request);
  // Adds rows that name the features of a view, to its stream: what Feast's clients write. Errors:
  // as push(), also kInvalidArgument for a feature that is more than a column.
  Task<Result<streams::Pushed>> push_features(const kernel::Caller& caller, std::string view,
                                              Json rows);
  // Features as of now, of all that was acknowledged before the call. Errors: kNotFound (service),
  // kInvalidArgument with the field, kUnsupported for a view that is over no stream.
  Task<Result<OnlineAnswer>> online(const kernel::Caller& caller, OnlineRequest request);

  // Features as they were at the times in `event_timestamp`, a column of request.entities: of the
  // rows whose event is not later, and that were known as `known_at` says. One answer for each row,
  // in their order. Reads the whole log. Errors: as online(), kResourceExhausted.
  Task<Result<OnlineAnswer>> historical(const kernel::Caller& caller, OnlineRequest request,
                                        KnownAt known_at);

  // Which rows of the log gave features their values as of a time (now if none), as known then, and
  // why others did not. `name` is "view.feature", a view or a service; `entities` has one value for
  // each key and field. Reads the whole log. Errors: kNotFound, and those of historical().
  Task<Result<Explained>> why(const kernel::Caller& caller, std::string name, Json entities,
                              std::optional<Instant> at);

  // What stands in a project now; never null.
  std::shared_ptr<const Catalog> catalog(const ProjectId& project) const;

 private:
  // A project's definitions at one of its revisions, which count its changes.
  struct State {
    std::shared_ptr<const Catalog> catalog = std::make_shared<Catalog>();
    std::int64_t revision = 0;
    std::map<std::pair<std::string, std::string>, Listed> listed;  // by kind and name
  };
  // The keys of streams that `next` has and `now` has not.
  static std::vector<streams::KeySet> new_key_sets(const Catalog& now, const Catalog& next,
                                                   const ProjectId& project);
  std::shared_ptr<const State> state(const ProjectId& project) const;
  Result<std::shared_ptr<State>> read_state(kernel::Reader& reader, const std::string& project);
  Task<std::vector<std::vector<std::string>>> models_of(const kernel::Caller& caller,
                                                        const std::vector<Change>& changes);

  Ports ports_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::shared_ptr<const State>> states_;
};

}  // namespace strata::platform::features
