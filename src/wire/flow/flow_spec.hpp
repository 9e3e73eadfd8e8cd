#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace strata::wire {

enum class FlowParameterType : std::uint8_t { kString, kInteger, kNumber, kBoolean };
std::string_view flow_parameter_type_name(FlowParameterType type);

struct FlowParameter {
  std::string name;
  FlowParameterType type = FlowParameterType::kString;
  std::optional<Json> fallback;  // a run must name the parameter when there is none
  std::string description;
};

// `count` repetitions after the first attempt; the n-th waits initial * factor^(n-1), at most
// `max`, moved by up to `jitter` (a fraction) either way.
struct FlowRetries {
  int count = 0;
  std::chrono::milliseconds initial{1'000};
  double factor = 2;
  std::chrono::milliseconds max{300'000};
  double jitter = 0.1;
};

struct FlowResources {
  std::int64_t cpu_millis = 1'000;
  std::int64_t memory_bytes = std::int64_t{512} << 20;
  int gpus = 0;
};

using FlowEnvironment = std::vector<std::pair<std::string, std::string>>;

// One step: exactly one of `command`, `shell` and `python` is set.
struct FlowStep {
  std::string name;
  std::vector<std::string> command;
  std::string shell;
  std::string python;  // module:function
  std::vector<std::string> needs;
  Json params = Json::object();  // arguments of the function, STRATA_PARAM_x of a command
  FlowEnvironment env;
  std::vector<std::string> outputs;
  FlowRetries retries;
  std::chrono::milliseconds timeout{0};  // 0: none
  FlowResources resources;
};

struct CronTrigger {
  std::string cron;
  std::string timezone = "UTC";
};
struct EventTrigger {
  std::string event;  // "object.created"
  std::string bucket;
  std::string prefix;
};
// Whether an event gives the parameter its value: `bucket` and `key` of the object, as text.
bool given_by_event(const FlowParameter& parameter);
using FlowTrigger = std::variant<CronTrigger, EventTrigger>;

struct FlowSpec {
  std::string name;
  std::string description;
  std::string interpreter = "python3";
  std::string source;   // a folder beside the file; only before the client packs it
  std::string package;  // "sha256:..." of the packed source
  std::vector<FlowParameter> parameters;
  FlowEnvironment env;
  int max_concurrent_runs = 16;
  int priority = 0;
  std::chrono::milliseconds fresh{0};  // promised: each step succeeds again within it; 0: none
  std::vector<FlowStep> steps;
  std::vector<FlowTrigger> triggers;

  const FlowStep* step(std::string_view step_name) const;
};

struct FlowReadOptions {
  std::string file = "flow.yaml";  // for messages
  // Whether a time zone of that name is known; every name is taken when empty.
  std::function<bool(const std::string&)> zone_known;
  // It was taken once and must stay readable: what only keeps new mistakes out is not checked.
  bool stored = false;
};

// Both forms are read by the same rules. Errors: kMalformed, kInvalidArgument with the field's
// path; YAML errors begin with "file:line:column: ".
Result<FlowSpec> read_flow_yaml(std::string_view text, const FlowReadOptions& options);
Result<FlowSpec> read_flow_json(const Json& json, const FlowReadOptions& options);

// The same for every spelling of a pipeline: all fields in fixed order. Its digest is the version.
Json flow_to_json(const FlowSpec& spec);
std::string flow_version(const FlowSpec& spec);

// The values of a run: what was given, checked and converted ("3" for an integer), and defaults.
// Errors: kInvalidArgument naming the parameter.
Result<Json> flow_parameters(const FlowSpec& spec, const Json& given);

// A reference in a text: ${params.NAME}, or ${steps.STEP.OUTPUT} for the path of an output.
struct FlowReference {
  std::string step;  // empty for a parameter
  std::string name;
};
// The text with each reference replaced; "$${" stands for "${". Errors: kInvalidArgument for "${"
// that is neither, and what `value_of` reports.
Result<std::string> expand_references(
    std::string_view text,
    const std::function<Result<std::string>(const FlowReference&)>& value_of);
// The reference when the text is nothing but one.
std::optional<FlowReference> whole_reference(std::string_view text);

}  // namespace strata::wire
