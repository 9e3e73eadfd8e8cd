#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "platform/tracking/entities.hpp"

namespace strata::platform::tracking {

inline constexpr std::size_t kMaxKey = 250;
inline constexpr std::size_t kMaxParamValue = 6000;
inline constexpr std::size_t kMaxTagValue = 8000;
inline constexpr std::size_t kMaxExperimentTagValue = 20'000;
inline constexpr std::size_t kMaxName = 500;

// MLflow's rules for names and sizes; `path` is how the value is called in the request, for example
// "metrics[3].name".
Status check_key(std::string_view key, std::string_view path);
Status check_length(std::string_view value, std::size_t limit, std::string_view path);
// The first `limit` characters (not bytes) of a UTF-8 text.
std::string cut(std::string text, std::size_t limit);
Status check_experiment_name(std::string_view name);
// Experiment ids are decimal numbers. Errors: kInvalidArgument.
Result<std::int64_t> experiment_number(std::string_view id);
Status check_batch(Batch& batch);
Status check_tags(std::vector<KeyValue>& tags, std::size_t value_limit, bool truncate);
Status check_dataset(const DatasetInput& input, std::size_t index);
Error run_is_deleted(std::string_view run_id);
Error bad_value(std::string_view path, std::string_view value, std::string_view why);

}  // namespace strata::platform::tracking
