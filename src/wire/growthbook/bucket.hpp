#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

// Which bucket an id falls into. Spec: GrowthBook, "Build your own SDK" 0.8.0.
namespace strata::wire::growthbook {

// [first, second).
using BucketRange = std::pair<double, double>;

// From 0 up to but not 1: FNV-1a of the UTF-16 code units. Version 2 is even, 1 is the older and
// coarser one; nothing for any other.
std::optional<double> bucket_of(std::string_view seed, std::string_view value, int version);
std::vector<double> equal_weights(int count);
bool in_range(double n, const BucketRange& range);
// The index of the range that has `n`, or -1.
int choose_variation(double n, const std::vector<BucketRange>& ranges);
// The share of all ids that each of `variations` has. Takes a coverage outside of 0 to 1 for the
// nearer bound, and equal weights where `weights` do not fit or do not sum to about 1.
std::vector<BucketRange> bucket_ranges(int variations, double coverage,
                                       const std::vector<double>& weights);
bool in_namespace(std::string_view value, std::string_view name, double start, double end);
// The variation that a URL asks for as ?KEY=INDEX.
std::optional<int> query_string_override(std::string_view key, std::string_view url,
                                         int variations);

// AES-128-CBC of a payload: base64(iv) "." base64(text). `key` is 16 bytes in base64, `iv` 16
// bytes.
Result<std::string> encrypt(std::string_view text, std::string_view key, std::string_view iv);
// Errors: kInvalidArgument when it was encrypted by another key, or not at all.
Result<std::string> decrypt(std::string_view text, std::string_view key);

}  // namespace strata::wire::growthbook
