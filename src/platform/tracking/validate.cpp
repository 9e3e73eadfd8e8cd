#include "platform/tracking/validate.hpp"

#include <set>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::platform::tracking {

namespace {

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text)
    count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1U : 0U;
  return count;
}

bool key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '/' || c == '.' || c == '-' || c == ' ' || c == ':' ||
         static_cast<unsigned char>(c) >= 0x80;
}

Status check_count(std::string_view what, std::size_t count, std::int64_t limit) {
  if (static_cast<std::int64_t>(count) <= limit) return {};
  return invalid(
      std::string(what),
      fmt::format(
          "A batch logging request can contain at most {} {}. Got {} {}. Please split up {} across "
          "multiple requests and try again.",
          limit, what, count, what, what));
}

}  // namespace

Error bad_value(std::string_view path, std::string_view value, std::string_view why) {
  std::string quoted;
  append_json_string(quoted, printable(value, 300));
  return invalid(std::string(path), fmt::format("Invalid value {} for parameter '{}' supplied: {}",
                                                quoted, path, why));
}

Error run_is_deleted(std::string_view run_id) {
  return invalid(
      "run_id",
      fmt::format("The run {} must be in the 'active' state. Current state is deleted.", run_id));
}

Status check_length(std::string_view value, std::size_t limit, std::string_view path) {
  if (value.size() <= limit || characters(value) <= limit) return {};
  return invalid(std::string(path),
                 fmt::format("'{}' exceeds the maximum length of {} characters", path, limit));
}

std::string cut(std::string text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (count++ == limit) {
      text.resize(i);
      break;
    }
  }
  return text;
}

Status check_key(std::string_view key, std::string_view path) {
  for (const char c : key) {
    if (key_character(c)) continue;
    return bad_value(path, key,
                     "Names may only contain alphanumerics, underscores (_), dashes (-), periods "
                     "(.), spaces ( ), colon(:) "
                     "and slashes (/).");
  }
  bool unique = !key.empty() && !key.starts_with("..");
  for (const auto& part : split(key, '/'))
    unique = unique && !part.empty() && part != "." && part != "..";
  if (!unique) {
    return bad_value(path, key,
                     "Names may be treated as files in certain cases, and must not resolve to "
                     "other names when treated as "
                     "such.");
  }
  return check_length(key, kMaxKey, path);
}

Status check_experiment_name(std::string_view name) {
  if (name.empty())
    return invalid("name", "Invalid experiment name: ''. Give a name of 1 to 500 characters");
  if (name.find('\0') != std::string_view::npos)
    return invalid("name", "Invalid experiment name: it holds a NUL character");
  return check_length(name, kMaxName, "name");
}

Result<std::int64_t> experiment_number(std::string_view id) {
  const auto number = to_int(id);
  if (number && *number >= 0) return *number;
  return invalid("experiment_id",
                 fmt::format("Invalid experiment ID '{}'. Experiment ID must be a valid integer.",
                             printable(id)));
}

Status check_tags(std::vector<KeyValue>& tags, std::size_t value_limit, bool truncate) {
  for (std::size_t i = 0; i < tags.size(); ++i) {
    STRATA_TRY(check_key(tags[i].key, fmt::format("tags[{}].key", i)));
    if (truncate) {
      tags[i].value = cut(std::move(tags[i].value), value_limit);
    } else {
      STRATA_TRY(check_length(tags[i].value, value_limit, fmt::format("tags[{}].value", i)));
    }
  }
  return {};
}

Status check_batch(Batch& batch) {
  STRATA_TRY(check_count("metrics", batch.metrics.size(), kMaxMetricsPerBatch));
  STRATA_TRY(check_count("params", batch.params.size(), kMaxParamsPerBatch));
  STRATA_TRY(check_count("tags", batch.tags.size(), kMaxTagsPerBatch));
  STRATA_TRY(check_count("metrics, params, and tags",
                         batch.metrics.size() + batch.params.size() + batch.tags.size(),
                         kMaxMetricsPerBatch));
  for (std::size_t i = 0; i < batch.metrics.size(); ++i) {
    const auto& metric = batch.metrics[i];
    STRATA_TRY(check_key(metric.key, fmt::format("metrics[{}].name", i)));
    if (metric.timestamp_ms < 0) {
      return bad_value(
          fmt::format("metrics[{}].timestamp", i), std::to_string(metric.timestamp_ms),
          fmt::format(
              "metric '{}' (value={}). Timestamp must be a nonnegative long (64-bit integer)",
              metric.key, metric.value));
    }
  }
  std::set<std::string_view> keys;
  for (std::size_t i = 0; i < batch.params.size(); ++i) {
    auto& param = batch.params[i];
    STRATA_TRY(check_key(param.key, fmt::format("params[{}].key", i)));
    param.value = cut(std::move(param.value), kMaxParamValue);
    if (keys.insert(param.key).second) continue;
    return invalid(
        "params",
        fmt::format(
            "Duplicate parameter keys have been submitted: ['{}']. Please ensure the request "
            "contains only one param value per param key.",
            param.key));
  }
  return check_tags(batch.tags, kMaxTagValue, true);
}

Status check_dataset(const DatasetInput& input, std::size_t index) {
  const auto path = [&](std::string_view field) {
    return fmt::format("datasets[{}].{}", index, field);
  };
  const Dataset& dataset = input.dataset;
  if (dataset.name.empty()) return invalid(path("name"), "Dataset name must not be empty");
  if (dataset.digest.empty()) return invalid(path("digest"), "Dataset digest must not be empty");
  if (dataset.source_type.empty())
    return invalid(path("source_type"), "Dataset source_type must not be empty");
  STRATA_TRY(check_length(dataset.name, kMaxName, path("name")));
  STRATA_TRY(check_length(dataset.digest, 36, path("digest")));
  STRATA_TRY(check_length(dataset.source, 65'535, path("source")));
  STRATA_TRY(check_length(dataset.schema, 1'048'575, path("schema")));
  STRATA_TRY(check_length(dataset.profile, 16'777'215, path("profile")));
  for (const auto& tag : input.tags) {
    if (tag.key.empty()) return invalid(path("tags"), "An input tag needs a key");
    STRATA_TRY(check_length(tag.key, 255, path("tags.key")));
    STRATA_TRY(check_length(tag.value, 500, path("tags.value")));
  }
  return {};
}

}  // namespace strata::platform::tracking
