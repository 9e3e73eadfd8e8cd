#include "wire/signing/model_signature.hpp"

#include <cstddef>
#include <cstdint>

// Any text as a bundle and as a statement: what was read is written and read again the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bundle = read_bundle(text)) {
    const std::string written = write_bundle(*bundle);
    const auto again = read_bundle(written);
    if (!again || write_bundle(*again) != written || again->payload != bundle->payload)
      __builtin_trap();
    static_cast<void>(read_statement(bundle->payload).ok());
  }
  if (const auto statement = read_statement(text)) {
    const std::string written = write_statement(*statement);
    const auto again = read_statement(written);
    if (!again || write_statement(*again) != written ||
        again->files.size() != statement->files.size())
      __builtin_trap();
  }
  return 0;
}
