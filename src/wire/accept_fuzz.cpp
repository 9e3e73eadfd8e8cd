#include "wire/accept.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

// Any Accept header: the choice is one of the offers, the same however letters are cased, still
// the same when a range that fits nothing is added, and a header that also takes everything leaves
// nobody without an answer unless it refuses that very offer.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  constexpr std::array<std::string_view, 3> offers = {"application/json", "text/csv", "text/html"};
  const std::string header(reinterpret_cast<const char*>(data), size);
  const auto chosen = choose_media(header, offers);
  if (chosen && *chosen >= offers.size()) __builtin_trap();

  std::string upper = header;
  for (auto& letter : upper)
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  if (choose_media(upper, offers) != chosen) __builtin_trap();

  const bool says_something = header.find_first_not_of(" \t\r\n\f\v") != std::string::npos;
  if (says_something && choose_media(header + ",image/png", offers) != chosen) __builtin_trap();

  constexpr std::array<std::string_view, 1> unheard = {"application/x-unheard-of"};
  if (header.find('*') == std::string::npos && !choose_media(header + ",*/*", unheard) &&
      header.find("unheard") == std::string::npos)
    __builtin_trap();
  if (choose_media(header, {})) __builtin_trap();
  return 0;
}
