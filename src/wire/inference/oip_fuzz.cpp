#include "wire/inference/oip.hpp"

#include <cstddef>
#include <cstdint>

#include "base/json.hpp"

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace

// The first byte says how much of the rest is the JSON part (0: all of it). Every tensor that is
// taken has as much data as its shape says, and the inputs can be sent back as outputs.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  if (size < 2) return 0;
  const std::size_t json = data[0] + std::size_t{data[1]} * 256;
  auto body =
      std::make_shared<const std::string>(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto header = json == 0 ? std::nullopt : std::optional<std::size_t>(json);
  const auto request = wire::decode_oip_request(body, header);
  if (!request) return 0;
  for (const auto& tensor : request->inputs) {
    if (tensor.type == wire::ElementType::kText) {
      require(tensor.texts.size() == tensor.count());
    } else {
      require(tensor.bytes().size() == tensor.count() * wire::element_bytes(tensor.type));
    }
    require(tensor.count() <= size);
  }
  const auto answer = wire::encode_oip_answer("model", "1", *request, request->inputs);
  if (!answer) return 0;
  require(!answer->header_length || *answer->header_length <= answer->body.size());
  return 0;
}
