#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "platform/deployment/deployment.hpp"
#include "wire/inference/oip.hpp"
#include "wire/inference/tensor.hpp"

namespace strata::doors::oip {

// What the protocol's two forms, JSON over HTTP and messages over gRPC, tell of the same models.

constexpr std::array<std::string_view, 4> kExtensions = {
    "binary_tensor_data", "model_configuration", "statistics", "parameters"};

// An input or output; -1 is a free dimension.
struct Port {
  std::string name;
  wire::ElementType type;
  std::vector<std::int64_t> shape;
};
std::vector<Port> inputs_of(const platform::deployment::LiveModel& model);
std::vector<Port> outputs_of(const platform::deployment::LiveModel& model);

// What its platform is called by those who read this field.
std::string platform_of(const platform::deployment::LiveModel& model);

// A line of the repository's index.
struct IndexEntry {
  std::string name;
  std::string version;
  std::string_view state;
  std::string reason;
};
IndexEntry index_entry(const platform::deployment::EndpointInfo& endpoint);

// What is said to a call that would load or unload a model.
Error not_moved(std::string_view name);

// Fits a request to the model, which changes nothing yet. Errors: kInvalidArgument naming the input
// or output.
Result<platform::inference::Inputs> bind(const platform::deployment::LiveModel& model,
                                         wire::OipRequest& request);

}  // namespace strata::doors::oip
