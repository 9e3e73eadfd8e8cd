#include "wire/worker/worker_frames.hpp"

#include <cstddef>
#include <cstdint>

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace

// What is taken as an answer is whole, and says the same when it is written again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  (void)wire::decode_worker_failure(payload);
  (void)wire::decode_worker_ready(payload);
  const auto answer = wire::decode_worker_answer(payload);
  if (!answer) return 0;
  for (const auto& tensor : answer->outputs) {
    const bool text = tensor.type == wire::ElementType::kText;
    require(text ? tensor.texts.size() == tensor.count()
                 : tensor.bytes().size() == tensor.count() * element_bytes(tensor.type));
    require(tensor.missing.empty() || tensor.missing.size() == tensor.texts.size());
  }
  require(wire::encode_worker_answer(*answer) == payload);
  return 0;
}
