#pragma once

// The five questions about a model, answered from what the server recorded. The contract stands at
// class Verdicts.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/external/external.hpp"
#include "platform/models/models.hpp"
#include "platform/signing/signing.hpp"
#include "platform/tracking/tracking.hpp"
#include "resources/workflow/workflow.hpp"
#include "runtime/clock.hpp"
#include "runtime/loop.hpp"
#include "runtime/scope.hpp"
#include "storage/lake/lake.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::platform::verdicts {

// From the best to the worst: of several pieces of evidence the worst one decides.
enum class Verdict : std::uint8_t { kGood, kUnknown, kWarning, kBad };
std::string_view verdict_name(Verdict verdict);

enum class Question : std::uint8_t { kOwner, kBinary, kFeatures, kCode, kData };
inline constexpr std::size_t kQuestions = 5;
std::string_view question_name(Question question);  // "owner", as in the API
std::string_view question_text(Question question);  // "Who is responsible?"

// One fact and what it means. `code` ("owner.disabled") stays the same whatever the words.
struct Evidence {
  Verdict verdict = Verdict::kGood;
  std::string code;
  std::string text;
  std::vector<std::string> refs;  // of the lineage graph: "table:main.flights@3"
  bool operator==(const Evidence&) const = default;
};

struct Answer {
  Verdict verdict = Verdict::kUnknown;
  std::vector<Evidence> evidence;  // the worst first
  bool operator==(const Answer&) const = default;
};

struct Report {
  std::string model;
  std::string subject;  // "@champion", or a version's number
  std::int64_t version = 0;
  std::string digest;
  std::string package_digest;
  std::array<Answer, kQuestions> answers;
  bool operator==(const Report&) const = default;
  const Answer& answer(Question question) const {
    return answers[static_cast<std::size_t>(question)];
  }
};

// A report and when it began to hold.
struct Explanation {
  Json report;  // as report_json() wrote it
  std::optional<Instant> since;
  std::vector<deployment::Deployment> answered;  // by the model's versions, at that time
};

Json report_json(const Report& report);

// The five questions about what an alias (or a pinned version) of a model stands for: who is
// responsible, does the right binary answer, are the features right, is the code up to date, what
// happened to the data pipeline. One verdict each, with its evidence.
//
// Promises: judged from recorded facts alone, by a pure function; looked at again within two
// seconds after an event that concerns it (a move of the alias, a deployment, a change of a table,
// object or pipeline upstream, what a job elsewhere told, of a user or team), and when a promise of
// freshness lapses. Each change of a report is kept, so explain() can say what held at any time
// since; a question whose verdict changes publishes "verdict.changed" (subject "model:NAME"; data
// subject, version, question, from, to, codes) in the same commit. Costs: one walk of the lineage
// graph for each look. Threads: explain() from any loop.
class Verdicts {
 public:
  struct Ports {
    kernel::Records& records;
    kernel::Identity& identity;
    kernel::EventBus& events;
    kernel::Lineage& lineage;
    const Clock& clock;
    LoopGroup& loops;
    TaskScope& scope;
    storage::lake::Lake& lake;
    resources::workflow::Workflows& flows;
    tracking::Tracking& tracking;
    models::Models& models;
    signing::Signatures& signatures;
    deployment::Endpoints& endpoints;
    external::ExternalLineage& external;
  };
  explicit Verdicts(Ports ports);
  ~Verdicts();
  static std::span<const kernel::Migration> migrations();

  // Begins to watch; returns at once.
  Status start();

  // `subject` is "@ALIAS" or a version's number; empty stands for what an endpoint answers with,
  // else the only alias, else the newest version. Errors: kNotFound, also when nothing was recorded
  // at `at`; kPermissionDenied without lineage:read.
  Task<Result<Explanation>> explain(const kernel::Caller& caller, std::string model,
                                    std::string subject, std::optional<Instant> at);

 private:
  struct Watched;
  class Gatherer;
  using Key = std::pair<std::string, std::string>;  // project, model

  Task<void> watch();
  Task<Status> note_events(std::int64_t& cursor, std::set<Key>& dirty);
  void note(const kernel::Event& event, std::set<Key>& dirty) const;
  Task<Status> find_models(std::set<Key>& dirty);
  Task<Status> look(const Key& key);
  Task<Result<std::string>> default_subject(const kernel::Caller& caller,
                                            const models::Model& model);
  std::vector<std::string> subjects_of(const kernel::Caller& caller,
                                       const models::Model& model) const;
  Task<Status> keep(const Key& key, const Report& report);
  Task<Status> end_others(const Key& key, const std::vector<std::string>& standing);
  Task<Status> rename(std::string project, std::string from, std::string to);

  Ports ports_;
  std::unique_ptr<Gatherer> gatherer_;
  // Of the watching coroutine.
  std::map<Key, Watched> watched_;
};

}  // namespace strata::platform::verdicts
