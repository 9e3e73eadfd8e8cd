#pragma once

#include <string>
#include <vector>

#include "resources/orchestrator/orchestrator.hpp"
#include "resources/workflow/content.hpp"
#include "resources/workflow/workflow.hpp"

namespace strata::resources::workflow {

// What all attempts of a run share.
struct RunContext {
  std::string project, flow, version;
  Json params;
  wire::FlowSpec spec;
  kernel::Permissions scope;  // that its steps do not go beyond
};

// Everything that one attempt needs to run: folders with its inputs, its command with references
// replaced, its environment with credentials of its own. Doing it twice gives the same. Blocks.
// Errors: kUnavailable while the server's addresses are not known.
Result<orchestrator::Launch> prepare_launch(const Ports& ports, ContentStore& content,
                                            const RunContext& context,
                                            const scheduler::StartAttempt& start,
                                            const std::vector<Output>& outputs);

// Keeps the declared outputs of an attempt that exited with 0. Blocks. Errors: kNotFound naming the
// output that is not there.
Result<std::vector<Output>> collect_outputs(const Ports& ports, ContentStore& content,
                                            const RunContext& context, const std::string& token);
// Frees what an ended attempt no longer needs; its log stays. Blocks.
void tidy_attempt(const Ports& ports, const std::string& token);

}  // namespace strata::resources::workflow
