#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::app {

// Accepts a whole number from `least` to `most`, and says otherwise what it must be.
inline CLI::Validator whole_number(std::int64_t least,
                                   std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
  const auto check = [least, most](const std::string& text) -> std::string {
    const auto value = to_int(text);
    if (value && *value >= least && *value <= most) return {};
    const bool open = most >= std::numeric_limits<std::int32_t>::max();
    return fmt::format("'{}' must be a whole number from {} {}", text, least,
                       open ? "up" : fmt::format("to {}", most));
  };
  return {check, ""};
}

// Accepts a number that is 0 or more.
inline CLI::Validator number_from_zero() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = fault == std::errc() && end == text.data() + text.size();
    if (whole && std::isfinite(value) && value >= 0) return {};
    return fmt::format("'{}' must be a number from 0 up, for example 0.30", text);
  };
  return {check, ""};
}

}  // namespace strata::app
