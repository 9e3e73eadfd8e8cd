#pragma once

#include <string_view>

#include "base/result.hpp"

namespace strata::wire {

// What the nodes of an ONNX model say about how long it may run.
struct OnnxTraits {
  // A loop somewhere: how long a run takes can depend on the values that go in, without bound.
  bool loops = false;
  // No operator whose work or output grows with values: the shapes of the inputs alone decide what
  // a run costs.
  bool steady = true;
};

// Reads a model (ModelProto) as far as its operators, those of nested graphs and of functions
// included. A loop that computes nothing in its body is refused: ONNX Runtime looks between two
// nodes whether it shall end, and cannot be stopped where there are none. Costs one pass that steps
// over the weights; allocates nothing of their size.
// Errors: kInvalidArgument (no ModelProto), kUnsupported (such a loop).
// Spec: onnx.proto of ONNX 1.20 (IR version 13), Protocol Buffers encoding.
Result<OnnxTraits> inspect_onnx(std::string_view model);

}  // namespace strata::wire
