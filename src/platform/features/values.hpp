#pragma once

// Values between JSON and the types of features.

#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "platform/features/definitions.hpp"
#include "platform/streams/record.hpp"

namespace strata::platform::features {

inline constexpr std::size_t kMaxKeyText = 1024;     // bytes of a text that is a key
inline constexpr std::size_t kMaxText = 64U << 10U;  // of any other

// A JSON value as one of a type; null is NULL. An int64 may come as a whole double up to 2^53, a
// double as "NaN", "Infinity" and "-Infinity", a timestamp as RFC 3339 with up to microseconds, in
// UTC where it names no zone. Errors: kInvalidArgument, field `field`; nothing is ever rounded.
Result<expressions::Value> value_of(const Json& json, Type type, const std::string& field,
                                    std::size_t max_text = kMaxText);

// The same back; a timestamp in UTC with as many digits as it has.
Json to_json(const expressions::Value& value);
// "2026-01-31T12:00:00.000001Z"
std::string show_micros(std::int64_t micros);

}  // namespace strata::platform::features
