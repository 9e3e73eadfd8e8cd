#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "wire/inference/oip.hpp"

namespace strata::wire {

// The inference messages of the Open Inference Protocol over gRPC: bytes <-> structs.
// Spec: grpc_service.proto of the Triton Inference Server, which KServe's is a part of.

// A ModelInferRequest. What names it is there even where the rest cannot be used, so that an
// answer can name it too.
struct OipInferMessage {
  std::string model;
  std::string version;  // empty for whichever is live
  std::string id;
  Result<OipRequest> request;
};

// Bounds beside the size of the message, which say how much larger than it the struct may be.
constexpr std::size_t kMaxOipTensors = kMaxOipInputs;
constexpr std::size_t kMaxOipDimensions = 64;

// Decodes a ModelInferRequest. Tensors look at `message` where their bytes are aligned there.
// Errors, in `request`: kMalformed and kInvalidArgument naming the field, kUnsupported for shared
// memory and classification, as decode_oip_request.
OipInferMessage decode_oip_message(std::shared_ptr<const std::string> message);

// Parameters of an answer, by name.
using OipParameters = std::vector<std::pair<std::string_view, std::string_view>>;

// Appends a ModelInferResponse to `out`: all outputs or those that the request asked for, their
// values in raw_output_contents. Errors: kInvalidArgument when it asks for one that is not there.
Status append_oip_answer(std::string& out, std::string_view model, std::string_view version,
                         const OipRequest& request, std::span<const Tensor> outputs,
                         const OipParameters& parameters);

// Appends a ModelStreamInferResponse with that answer, or with an error in its place.
void append_oip_stream_answer(std::string& out, std::string_view infer_response);
void append_oip_stream_error(std::string& out, const OipInferMessage& message, const Error& error);

}  // namespace strata::wire
