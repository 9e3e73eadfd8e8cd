#include "wire/grpc/oip_message.hpp"

#include <cstddef>
#include <cstdint>

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace

// A tensor that is taken has as many elements as its shape says, in its own memory or in the
// message's; what was read can be answered with, and an error names something.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const auto bytes = std::make_shared<const std::string>(reinterpret_cast<const char*>(data), size);
  auto message = decode_oip_message(bytes);
  if (!message.request) {
    require(!message.request.error().message.empty());
    std::string out;
    append_oip_stream_error(out, message, message.request.error());
    require(!out.empty());
    return 0;
  }
  auto& request = *message.request;
  require(!request.inputs.empty() && request.inputs.size() <= kMaxOipTensors);
  for (const auto& tensor : request.inputs) {
    require(tensor.shape.size() <= kMaxOipDimensions);
    const auto count = element_count(tensor.shape);
    require(count.has_value());
    if (tensor.type == ElementType::kText) {
      require(tensor.texts.size() == *count);
      continue;
    }
    require(tensor.bytes().size() == *count * element_bytes(tensor.type));
    const char* at = tensor.bytes().data();
    const bool inside = at >= bytes->data() && at <= bytes->data() + size;
    require(inside || tensor.held_bytes() >= tensor.bytes().size());
  }
  request.outputs.clear();
  std::string out;
  require(append_oip_answer(out, "model", "1", request, request.inputs, {}).ok());
  return 0;
}
