#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

// Pieces of `text` between separators; "a,,b" gives three, "" gives one empty piece.
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
// ASCII only: protocol names are not natural language.
std::string to_lower(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// The whole text as a decimal integer, or nothing.
std::optional<std::int64_t> to_int(std::string_view text);
std::optional<double> to_double(std::string_view text);

// "512MiB", "1.5GB" or a count of bytes, from 0 up.
std::optional<std::int64_t> parse_bytes(std::string_view text);
// 1536 -> "1.5 KiB".
std::string show_bytes(std::uint64_t bytes);

}  // namespace strata
