#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/inference/tensor.hpp"

namespace strata::wire {

// Open Inference Protocol version 2 over HTTP with the binary tensor extension: bytes <-> structs.

// Tensors of one request: their names are compared with each other.
inline constexpr std::size_t kMaxOipInputs = 16'384;

struct OipOutputAsk {
  std::string name;
  std::optional<bool> binary;  // its own binary_data, when it says one
};

struct OipRequest {
  std::string id;
  std::vector<Tensor> inputs;
  std::vector<OipOutputAsk> outputs;  // empty: all outputs
  bool binary_outputs = false;        // binary_data_output, for outputs that say nothing themselves
  std::shared_ptr<const std::string> body;  // what the inputs look at; keep it as long as them
};

// Decodes an inference request. `header_length` is Inference-Header-Content-Length: the JSON part's
// length in bytes, behind which the binary tensors follow in the order of the inputs that have no
// data of their own. Errors: kMalformed and kInvalidArgument naming the field, kUnsupported for
// shared memory and classification.
Result<OipRequest> decode_oip_request(std::shared_ptr<const std::string> body,
                                      std::optional<std::size_t> header_length);

// What to say to a request for an output that the model does not have.
Error unknown_output(std::string_view name);

// The outputs that a request asks for, or all, in its order. They point into `outputs`. Errors:
// kInvalidArgument for one that is not there.
Result<std::vector<const Tensor*>> choose_outputs(const OipRequest& request,
                                                  std::span<const Tensor> outputs);

struct OipAnswer {
  std::string body;
  std::optional<std::size_t> header_length;  // set when binary tensors follow the JSON part
};

// Encodes `outputs`, all or those that the request asked for, in the form it asked for.
// Errors: kInvalidArgument when it asks for an output that is not there.
Result<OipAnswer> encode_oip_answer(std::string_view model, std::string_view version,
                                    const OipRequest& request, std::span<const Tensor> outputs);

}  // namespace strata::wire
