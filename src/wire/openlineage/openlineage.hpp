#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

// Events of OpenLineage, by which schedulers and engines tell what their jobs read and wrote.
// Spec: https://openlineage.io/spec/2-0-2/OpenLineage.json.
namespace strata::wire::openlineage {

inline constexpr std::size_t kMaxName = 1024;       // bytes of a namespace or a name
inline constexpr std::size_t kMaxDatasets = 500;    // inputs, or outputs, of one event
inline constexpr std::size_t kMaxFacets = 100;      // of one thing
inline constexpr std::size_t kMaxColumns = 5000;    // of one dataset, nested ones included
inline constexpr std::size_t kMaxAssertions = 500;  // of one dataset

struct Identifier {
  std::string space;  // the namespace: "postgres://db.example:5432"
  std::string name;
  auto operator<=>(const Identifier&) const = default;
};

struct Column {
  std::string name;  // "address.street" within a struct
  std::string type;  // as the producer calls it; may be empty
  bool operator==(const Column&) const = default;
};

struct Assertion {
  std::string assertion;
  std::string column;  // empty: of the dataset as a whole
  std::string name;
  bool success = false;
  bool only_warns = false;  // severity "warn"
  bool operator==(const Assertion&) const = default;
};

// What an event says of one dataset. A thing that it does not speak of is nothing.
struct DatasetReport {
  Identifier id;
  std::optional<std::vector<Column>> schema;  // empty when the facet was deleted
  std::optional<std::vector<Assertion>> assertions;
  std::optional<std::int64_t> rows, bytes;  // written, of an output
  std::vector<Identifier> symlinks;
  Json facets = Json::object();  // all, as they came
};

enum class Kind : std::uint8_t { kRun, kJob, kDataset };
enum class RunState : std::uint8_t { kOther, kStart, kRunning, kComplete, kAbort, kFail };
std::string_view run_state_name(RunState state);  // "START", as on the wire
inline bool is_end(RunState state) {
  return state >= RunState::kComplete;
}

struct Event {
  Kind kind = Kind::kRun;
  RunState state = RunState::kOther;  // of a run; kOther where the event names none
  Instant time;
  std::string producer;
  std::string run_id;      // a UUID in small letters; of a run
  std::string parent_run;  // the run that started it, where the facet "parent" says so
  std::string error;       // the facet "errorMessage"
  Identifier job;          // of a run or a job
  Json run_facets = Json::object(), job_facets = Json::object();
  std::vector<DatasetReport> inputs;
  std::vector<DatasetReport> outputs;  // what a dataset's event is about stands here, alone
};

// Reads one event. A time without a zone is taken as UTC; facets that are not known are kept as
// they are. Errors: kInvalidArgument naming the field, what is wrong with it and what to write.
Result<Event> read_event(const Json& json);

}  // namespace strata::wire::openlineage
