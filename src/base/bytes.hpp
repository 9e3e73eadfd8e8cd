#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace strata {

// Lower-case hexadecimal text of `bytes`.
std::string to_hex(std::string_view bytes);
// Errors: kInvalidArgument for an odd length or a character that is no hexadecimal digit.
Result<std::string> from_hex(std::string_view text);

// RFC 4648 with padding; the url form uses '-' and '_' and no padding.
std::string to_base64(std::string_view bytes);
std::string to_base64url(std::string_view bytes);
// Accepts both alphabets, with or without padding. Errors: kInvalidArgument.
Result<std::string> from_base64(std::string_view text);

// Text comparison whose time does not depend on where the texts differ, for secrets.
bool equal_constant_time(std::string_view a, std::string_view b);

// True when `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);
// The text itself when it is UTF-8, else its bytes with every offending one shown as \xNN, for
// messages.
std::string printable(std::string_view text, std::size_t limit = 120);

inline std::string_view as_view(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace strata
