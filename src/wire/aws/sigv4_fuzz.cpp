#include "wire/aws/sigv4.hpp"

#include <cstddef>
#include <cstdint>

#include "wire/uri.hpp"

// Authorization headers, presigned queries and request targets of any kind.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata;
  using namespace strata::wire::aws;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(parse_authorization(text).ok());
  const std::size_t mark = std::min(text.find('?'), text.size());
  const auto raw_query = text.substr(std::min(mark + 1, text.size()));
  const auto query = wire::parse_query(raw_query);
  if (query) static_cast<void>(parse_presigned(*query).ok());
  const Pairs headers = {{"Host", std::string(text.substr(0, 64))}};
  const SignedRequest request{"GET", text.substr(0, mark), raw_query, headers};
  static_cast<void>(canonical_request(request, {"host"}, "UNSIGNED-PAYLOAD").size());
  if (query) static_cast<void>(v2_query_string_to_sign(request, request.path, *query).size());
  const auto decoded = wire::percent_decode(text);
  if (decoded && *wire::percent_decode(wire::percent_encode(*decoded)) != *decoded)
    __builtin_trap();
  return 0;
}
