#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "platform/verdicts/verdicts.hpp"

// What judge() decides from: plain values that the other rooms recorded. Private to the room.
namespace strata::platform::verdicts {

struct Person {
  std::string name;
  bool known = false;
  bool disabled = false;
};

struct OwnerFacts {
  Person owner;
  std::string team;
  bool in_team = false;
  std::optional<Person> mover;  // who let the alias name this version
  std::string alias;
  std::string approved_by{};      // the second person, where one had to
  std::string override_reason{};  // of a move that was made although questions were bad
};

// An endpoint that follows what is asked about.
struct Replica {
  std::string endpoint;
  deployment::EndpointState state = deployment::EndpointState::kLoading;
  std::string error;
  bool answers = false;
  std::string version;  // that answers; digest of all bytes that it loaded
  std::string package_digest;
  std::int64_t deployment = 0;
};

struct SignatureFacts {
  signing::SignatureCheck check;
  bool required = false;  // by the project
};

struct Column {
  std::string name;
  std::string type;
  bool operator==(const Column&) const = default;
};

struct TrainingSet {
  std::string name;
  std::vector<Column> columns;  // empty when the client logged no schema
};

struct FeatureFacts {
  bool has_signature = false;
  std::vector<Column> inputs;  // of the signature; empty for tensors
  std::vector<TrainingSet> training_sets;
};

struct CodeFacts {
  std::string run_id;
  std::string commit;
  bool dirty = false;
  bool has_diff = false;
  std::string flow;  // that ran the training; empty when none did
  bool flow_known = false;
  bool same_code = true;  // the pipeline runs the same steps over the same sources today
  std::vector<std::string> changed_files;
  std::string trained_version, current_version;
  bool has_requirements = false;
  std::vector<std::string> unpinned;
};

struct TableFacts {
  std::string ref;   // as it was used
  std::string name;  // schema.table
  std::vector<Column> columns;
  std::int64_t rows = -1;
  bool exists = true;
  std::optional<Instant> dropped;
  std::vector<Column> columns_now;
  std::int64_t rows_now = -1;
};

struct ObjectFacts {
  std::string ref;
  std::string name;
  bool exists = true;
  std::uint64_t size_now = 0;
};

// A step of a pipeline that made data which the model rests upon.
struct StepFacts {
  std::string flow, step;
  bool known = true;       // the pipeline still has it
  std::string last_run;    // the newest that ended this step; empty when there is none
  std::string last_state;  // "succeeded", "failed" ...
  std::optional<Instant> succeeded;
  std::string trigger_error;
  std::chrono::milliseconds fresh{0};  // promised; 0 for no promise
};

struct DataFacts {
  std::vector<TableFacts> tables;
  std::vector<ObjectFacts> objects;
  std::vector<StepFacts> steps;
  external::Upstream external;  // jobs that run elsewhere, and what they told
  bool truncated = false;
};

struct Facts {
  std::string model, subject;
  std::int64_t version = 0;
  std::string digest, package_digest;
  Instant created;
  OwnerFacts owner;
  std::vector<Replica> replicas;
  SignatureFacts signature;
  FeatureFacts features;
  CodeFacts code;
  DataFacts data;
};

struct Judgement {
  Report report;
  std::optional<Instant> until;  // when it may change although nothing happens
};

// The verdicts over `facts` at `now`. Pure. The words depend on nothing that passes by itself, so
// that the same facts give the same report.
Judgement judge(const Facts& facts, Instant now);

}  // namespace strata::platform::verdicts
