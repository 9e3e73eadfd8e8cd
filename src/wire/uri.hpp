#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// Percent-encodes every byte of `text` that is not unreserved (RFC 3986: A-Z a-z 0-9 - . _ ~),
// slashes too unless kept.
std::string percent_encode(std::string_view text, bool keep_slashes = false);

// The bytes that %XX sequences stand for; '+' stays a plus. Errors: kMalformed for a '%' without
// two hexadecimal digits.
Result<std::string> percent_decode(std::string_view text);

// "a=1&b&c=x%20y" decoded in its order; '+' is a space, a name without '=' has the value "".
// Errors: kMalformed as percent_decode().
Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view raw);

}  // namespace strata::wire
