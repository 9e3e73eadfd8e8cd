#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace strata::wire {

// Which of `offers` (media types, the best first) an Accept header likes best; nothing when it
// likes none. A missing or empty header takes the first. Among equals, a type that is named goes
// before one that a wildcard covers, then the header's order counts, then that of the offers.
// Parameters but q are passed over. Spec: RFC 9110, 12.5.1.
std::optional<std::size_t> choose_media(std::string_view accept,
                                        std::span<const std::string_view> offers);

}  // namespace strata::wire
