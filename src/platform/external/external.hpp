#pragma once

// Jobs that run elsewhere (Airflow, Spark, dbt), what they read and wrote, and how it went, as they
// tell it in events of OpenLineage. The contract stands at class ExternalLineage.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"
#include "wire/openlineage/openlineage.hpp"

namespace strata::platform::external {

using wire::openlineage::Identifier;
using wire::openlineage::RunState;

struct Run {
  std::string id;
  RunState state = RunState::kOther;  // of the newest event that is not OTHER
  std::optional<Instant> started, ended;
  std::string error, parent;  // parent: the run that started it
  std::string sender;         // the user whose token sent it
  Json facets = Json::object();
  std::vector<Identifier> inputs, outputs;
};

struct Job {
  Identifier id;
  Instant seen;               // time of its newest event
  std::optional<Run> newest;  // the run that began or ended last
  std::vector<Identifier> inputs, outputs;
};

struct Dataset {
  Identifier id;
  std::string
      joins;  // what of the server's own it is: "object:bucket/key", "table:main.t"; or none
  Instant seen;
  Json facets = Json::object();
  std::vector<Identifier> readers, writers;  // jobs
};

// What the newest reports of one job (or of nobody, by an event of the dataset itself) say of a
// dataset, and what its reports said when a model was trained.
struct Reported {
  Identifier dataset;
  std::string ref;  // in the lineage graph, of what told it: the run, else the dataset
  std::optional<std::vector<wire::openlineage::Column>> schema_then, schema_now;
  std::optional<std::int64_t> rows_then, rows_now;
  std::vector<wire::openlineage::Assertion> failed;  // of the newest
};

struct Producer {
  Identifier job;
  std::string run;  // the newest that ended; empty when none did
  RunState state = RunState::kOther;
  std::string error;
};

// What lies upstream of things of the server's own.
struct Upstream {
  std::vector<Producer> producers;
  std::vector<Reported> reported;
  std::vector<std::string> subjects;  // of the events that change this
  bool truncated = false;
};

// "external_job:NAMESPACE/NAME": the subject of events about a job, and the like for datasets.
std::string job_subject(const Identifier& job);
// What of the server's own a dataset is: "lake:bucket/key" for s3://bucket (also s3a, s3n) and
// key, "table:schema.name" for the namespace "strata"; empty for all others.
std::string owned_subject(const Identifier& dataset);

// Promises: accept() answers once all is durable; the same event again changes nothing and
// publishes nothing; whatever the order in which events come, the state is that of their event
// times (a run's end wins over a beginning of the same time). Reports a node for each run to the
// lineage graph, with what it read and, once it is complete, what it produced: the version that a
// thing of the server's own had at that time, else the dataset by its name. Publishes
// "external_run.changed" (subject "external_job:...") and "external_dataset.changed" (subject of
// the dataset, or of what it joins) in the same commit. Costs: one commit a call; upstream() visits
// at most kMaxVisited datasets. Threads: any loop.
class ExternalLineage {
 public:
  static constexpr std::size_t kMaxVisited = 1000;
  static constexpr std::chrono::minutes kMaxAhead{5};  // of our clock, for an event's time

  struct Ports {
    kernel::Records& records;
    kernel::EventBus& events;
    kernel::Lineage& lineage;
    const Clock& clock;
  };
  explicit ExternalLineage(Ports ports) : ports_(ports) {}
  static std::span<const kernel::Migration> migrations();

  // Errors: kInvalidArgument for an event that lies in the future.
  Status check(const wire::openlineage::Event& event) const;
  // All of them, or none. Whether anything changed. Errors: as check(); kPermissionDenied without
  // tracking:write.
  Task<Result<bool>> accept(const kernel::Caller& caller,
                            std::vector<wire::openlineage::Event> events);

  // The jobs seen last come first; `search` is a part of the namespace or name. Errors:
  // kPermissionDenied without lineage:read.
  Task<Result<std::vector<Job>>> jobs(const kernel::Caller& caller, std::string search, int limit);
  Task<Result<std::vector<Dataset>>> datasets(const kernel::Caller& caller, std::string search,
                                              int limit);
  // The newest first. Errors: also kNotFound.
  Task<Result<std::vector<Run>>> runs(const kernel::Caller& caller, Identifier job, int limit);

  // The jobs that make what `owned` names (as owned_subject() does), or a folder that it lies in,
  // the jobs that make what those read, and so on.
  Task<Result<Upstream>> upstream(const ProjectId& project, std::vector<std::string> owned,
                                  Instant trained);

 private:
  Ports ports_;
};

}  // namespace strata::platform::external
