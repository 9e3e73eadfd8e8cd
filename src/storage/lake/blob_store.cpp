#include "storage/lake/blob_store.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::storage::lake {

std::string encode_refs(std::span<const BlobRef> refs) {
  std::string out;
  for (const auto& ref : refs) {
    if (!out.empty()) out += ',';
    out += ref.packed() ? fmt::format("p{}:{}:{}", ref.pack, ref.place, ref.size)
                        : fmt::format("f{:016x}:{}", ref.place, ref.size);
  }
  return out;
}

namespace {

bool take_number(std::string_view& text, std::uint64_t& number, int base, char end) {
  const auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (fault != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  if (end == '\0') return text.empty() || text.front() == ',';
  if (text.empty() || text.front() != end) return false;
  text.remove_prefix(1);
  return true;
}

bool take_ref(std::string_view& text, BlobRef& ref) {
  const char kind = text.front();
  text.remove_prefix(1);
  if (kind == 'f') {
    return take_number(text, ref.place, 16, ':') && take_number(text, ref.size, 10, '\0');
  }
  return kind == 'p' && take_number(text, ref.pack, 10, ':') && ref.pack != 0 &&
         take_number(text, ref.place, 10, ':') && take_number(text, ref.size, 10, '\0');
}

}  // namespace

Result<std::vector<BlobRef>> decode_refs(std::string_view text) {
  std::vector<BlobRef> refs;
  std::string_view rest = text;
  while (!rest.empty()) {
    if (!refs.empty()) rest.remove_prefix(1);
    BlobRef ref;
    if (rest.empty() || !take_ref(rest, ref)) {
      return Error(Code::kDataLoss,
                   fmt::format("a record names its bytes by '{}', which is no blob "
                               "reference; run strata fsck",
                               printable(text)));
    }
    refs.push_back(ref);
  }
  return refs;
}

}  // namespace strata::storage::lake
