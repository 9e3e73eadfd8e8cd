#include "wire/protobuf/protobuf.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using strata::wire::protobuf::Reader;
using strata::wire::protobuf::WireType;
using strata::wire::protobuf::Writer;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace

// Every field lies inside of the message and they stand in its order; integers and bytes that are
// read come out the same when they are written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  Reader reader(all, "any");
  const char* last = all.data();
  while (reader.next()) {
    const auto field = reader.field();
    Writer writer;
    if (field.type == WireType::kBytes) {
      if (!field.bytes.empty()) {
        require(field.bytes.data() >= last);
        require(field.bytes.data() + field.bytes.size() <= all.data() + all.size());
        last = field.bytes.data();
      }
      writer.element(field.number, field.bytes);
    } else if (field.type == WireType::kVarint) {
      writer.unsigned_integer(field.number, field.scalar);
    }
    const std::string written = writer.take();
    Reader again(written, "again");
    if (written.empty()) continue;
    require(again.next());
    require(again.number() == field.number);
    require(again.field().scalar == field.scalar && again.field().bytes == field.bytes);
    require(!again.next() && !again.failed());
  }
  Reader typed(all, "typed");
  std::size_t taken = 0;
  while (typed.next()) {
    if (typed.number() % 3 == 0) typed.numbers<std::int64_t>("n", [&](auto) { ++taken; });
    if (typed.number() % 3 == 1) typed.numbers<float>("n", [&](auto) { ++taken; });
    if (typed.number() % 3 == 2) typed.numbers<double>("n", [&](auto) { ++taken; });
  }
  require(taken <= size);
  return 0;
}
