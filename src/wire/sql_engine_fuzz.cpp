#include "wire/sql_engine.hpp"

#include <cstddef>
#include <cstdint>

namespace {

// A message that was understood means the same when it is sent on.
template <class T>
void round_trip(std::string_view text, strata::Result<T> (*decode)(std::string_view)) {
  using strata::wire::sql_engine::encode;
  const auto message = decode(text);
  if (!message) return;
  const std::string sent = encode(*message);
  const auto again = decode(sent);
  if (!again || encode(*again) != sent) __builtin_trap();
}

}  // namespace

// Any payload as any message between the server and the SQL engine's process.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire::sql_engine;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  round_trip(text, &decode_run);
  round_trip(text, &decode_head);
  round_trip(text, &decode_done);
  round_trip(text, &decode_failure);
  round_trip(text, &decode_commit_record);
  round_trip(text, &decode_tables);
  round_trip(text, &decode_versions);
  return 0;
}
