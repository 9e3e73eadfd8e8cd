#pragma once

// What differs between two versions of models, from what the server recorded. The contract stands
// at class Comparison.

#include <string>
#include <string_view>

#include "base/json.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "platform/models/models.hpp"
#include "platform/tracking/tracking.hpp"
#include "platform/verdicts/verdicts.hpp"
#include "runtime/task.hpp"

namespace strata::platform::comparison {

struct Description;

// What differs between two versions, of one model or of two: files, signature, requirements, params
// and metrics of the runs, training data, code, aliases, owner and verdicts.
//
// Promises: each side is described by what the server recorded; what the caller may not read is
// left out on both sides, and the answer says so ("hidden"). Costs: for each side its MLmodel and
// requirements.txt, one run, one walk of the lineage graph and one look of the verdicts. Keeps
// nothing. Threads: any loop; never blocks.
class Comparison {
 public:
  struct Ports {
    models::Models& models;
    tracking::Tracking& tracking;
    kernel::Lineage& lineage;
    verdicts::Verdicts& verdicts;
  };
  explicit Comparison(Ports ports) : ports_(ports) {}

  // `a` and `b` are "NAME@ALIAS", "NAME/VERSION" or "NAME" for its newest version, with or without
  // "models:/" before it. {a, b, equal, same_files, hidden, changes}; each change is {section,
  // change, name, a, b}. Errors: kInvalidArgument (field "a" or "b"), kNotFound.
  Task<Result<Json>> diff(const kernel::Caller& caller, std::string a, std::string b);

 private:
  Task<Result<Description>> describe(const kernel::Caller& caller, std::string_view field,
                                     std::string text);
  Task<Status> read_files(const kernel::Caller& caller, Description& out);
  Task<Status> read_run(const kernel::Caller& caller, const std::string& run, Description& out);
  Task<Status> read_lineage(const kernel::Caller& caller, Description& out);

  Ports ports_;
};

}  // namespace strata::platform::comparison
