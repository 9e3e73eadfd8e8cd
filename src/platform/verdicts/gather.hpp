#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "platform/verdicts/facts.hpp"

namespace strata::platform::verdicts {

struct Gathered {
  Facts facts;
  std::set<std::string> subjects;  // of events that concern it: "table:main.t", "flow:daily"
};

// Asks the other rooms for the facts about one alias or version of a model. Keeps what the files of
// a package say, which never changes. Threads: any loop.
class Verdicts::Gatherer {
 public:
  explicit Gatherer(const Ports& ports) : ports_(ports) {}

  // Errors: kNotFound when the subject names no version.
  Task<Result<Gathered>> gather(const kernel::Caller& caller, const models::Model& model,
                                std::string subject);

 private:
  // What a model's own files say.
  struct Described {
    bool has_signature = false;
    std::vector<Column> inputs;
    bool has_requirements = false;
    std::vector<std::string> unpinned;
  };
  struct Upstream;

  Person person(const std::string& name) const;
  OwnerFacts owner_of(const models::Model& model) const;
  Task<Status> add_mover(const kernel::Caller& caller, const std::string& alias, Facts& facts);
  void add_replicas(const kernel::Caller& caller, const std::string& subject, Gathered& out) const;
  Task<Status> add_signature(const kernel::Caller& caller, const models::Version& version,
                             Gathered& out);
  Task<Result<Described>> describe(const kernel::Caller& caller, const models::Version& version);
  Task<Status> add_run(const kernel::Caller& caller, const models::Version& version, Facts& facts);
  Task<Status> add_upstream(const kernel::Caller& caller, Gathered& out);
  Task<Status> add_tables(const kernel::Caller& caller, const Upstream& upstream, Gathered& out);
  Task<Status> add_objects(const kernel::Caller& caller, const Upstream& upstream, Gathered& out);
  Task<Status> add_external(const kernel::Caller& caller, const Upstream& upstream, Gathered& out);
  Task<Status> add_steps(const kernel::Caller& caller, const Upstream& upstream, Gathered& out);
  Task<Result<std::pair<std::string, std::string>>> pipeline_of(const kernel::Caller& caller,
                                                                const kernel::LineageNode& task);
  Task<Status> add_training_flow(const kernel::Caller& caller, const Upstream& upstream,
                                 Gathered& out);

  const Ports& ports_;
  std::mutex mutex_;
  std::map<std::string, Described> described_;  // by package digest
  std::deque<std::string> described_order_;
};

}  // namespace strata::platform::verdicts
