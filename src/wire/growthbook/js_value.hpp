#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.hpp"

// What JavaScript makes of JSON values, as far as GrowthBook's rules depend on it: the reference
// SDK is written in JavaScript, and every other one follows it. Spec: ECMA-262, 7.1 and 7.2.
namespace strata::wire::growthbook {

// Number::toString: 1, 0.1, 1e+21.
std::string js_number_text(double value);
// String(value): objects as "[object Object]", arrays joined by commas.
std::string js_text(const Json& value);
// JSON.stringify(value): keys that are array indices come first, in their order.
std::string js_stringify(const Json& value);
// Number(value); NaN where it is none.
double js_number(const Json& value);
// Whether an `if` takes it for true.
bool js_truthy(const Json& value);
// value === other; two objects are never the same one.
bool js_same(const Json& value, const Json& other);
// The order of value and other as `<` sees it: -1, 0, 1, or 2 when neither is less (NaN).
int js_order(const Json& value, const Json& other);

// The UTF-16 code units of UTF-8 text.
std::u16string utf16(std::string_view text);
// Appends one code unit as if it were a character of its own (CESU-8): the form in which halves of
// surrogate pairs can be told apart.
void append_cesu8(std::string& out, char32_t unit);
std::string cesu8(std::string_view text);
// String.prototype.toLowerCase with Unicode's full mapping.
std::string js_lower(std::string_view text);

}  // namespace strata::wire::growthbook
