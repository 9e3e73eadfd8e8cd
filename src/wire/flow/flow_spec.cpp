#include "wire/flow/flow_spec.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"

namespace strata::wire {
namespace {

constexpr std::string_view kTypes[] = {"string", "integer", "number", "boolean"};

std::string show_ms(std::chrono::milliseconds d) {
  return d.count() % 1000 == 0 ? fmt::format("{}s", d.count() / 1000)
                               : fmt::format("{}ms", d.count());
}

Json texts(const std::vector<std::string>& values) {
  Json out = Json::array();
  for (const auto& value : values)
    out.push(value);
  return out;
}

Json environment_json(const FlowEnvironment& env) {
  Json out = Json::object();
  for (const auto& [name, value] : env)
    out.set(name, value);
  return out;
}

Json step_json(const FlowStep& step) {
  Json out = Json::object();
  if (!step.command.empty()) out.set("command", texts(step.command));
  if (!step.shell.empty()) out.set("command", step.shell);
  if (!step.python.empty()) out.set("python", step.python);
  out.set("needs", texts(step.needs));
  out.set("params", step.params);
  out.set("env", environment_json(step.env));
  out.set("outputs", texts(step.outputs));
  out.set("retries", Json::object({{"count", step.retries.count},
                                   {"backoff", show_ms(step.retries.initial)},
                                   {"factor", step.retries.factor},
                                   {"max", show_ms(step.retries.max)},
                                   {"jitter", step.retries.jitter}}));
  if (step.timeout.count() > 0) out.set("timeout", show_ms(step.timeout));
  out.set("resources", Json::object({{"cpu", static_cast<double>(step.resources.cpu_millis) / 1000},
                                     {"memory", step.resources.memory_bytes},
                                     {"gpu", step.resources.gpus}}));
  return out;
}

Json trigger_json(const FlowTrigger& trigger) {
  if (const auto* const cron = std::get_if<CronTrigger>(&trigger)) {
    return Json::object({{"cron", cron->cron}, {"timezone", cron->timezone}});
  }
  const auto& event = std::get<EventTrigger>(trigger);
  return Json::object({{"event", event.event}, {"bucket", event.bucket}, {"prefix", event.prefix}});
}

// Parses "params.x}" or "steps.s.o}" behind "${"; the length used, or 0.
std::size_t read_reference(std::string_view text, FlowReference& out) {
  const auto end = text.find('}');
  if (end == std::string_view::npos) return 0;
  const std::string_view body = text.substr(0, end);
  if (body.starts_with("params.")) {
    out = {"", std::string(body.substr(7))};
  } else if (body.starts_with("steps.")) {
    const std::string_view rest = body.substr(6);
    const auto dot = rest.find('.');
    if (dot == std::string_view::npos || dot == 0) return 0;
    out = {std::string(rest.substr(0, dot)), std::string(rest.substr(dot + 1))};
  } else {
    return 0;
  }
  return out.name.empty() ? 0 : end + 1;
}

Result<Json> converted(const FlowParameter& parameter, const Json& value) {
  const auto wrong = [&] {
    return invalid(
        "params." + parameter.name,
        fmt::format("parameter '{}' is {}: expected {} {}", parameter.name, printable(value.dump()),
                    parameter.type == FlowParameterType::kInteger ? "an" : "a",
                    flow_parameter_type_name(parameter.type)));
  };
  switch (parameter.type) {
    case FlowParameterType::kString:
      if (value.is_string()) return value;
      if (value.is_number() || value.is_bool()) return Json(value.dump());
      return wrong();
    case FlowParameterType::kInteger:
      if (value.is_int()) return value;
      if (value.is_string()) {
        if (const auto number = to_int(value.as_string())) return Json(*number);
      }
      return wrong();
    case FlowParameterType::kNumber:
      if (value.is_number()) return value;
      if (value.is_string()) {
        if (const auto number = to_double(value.as_string())) return Json(*number);
      }
      return wrong();
    case FlowParameterType::kBoolean:
      if (value.is_bool()) return value;
      if (value.is_string() && value.as_string() == "true") return Json(true);
      if (value.is_string() && value.as_string() == "false") return Json(false);
      return wrong();
  }
  return wrong();
}

}  // namespace

bool given_by_event(const FlowParameter& parameter) {
  return parameter.type == FlowParameterType::kString &&
         (parameter.name == "bucket" || parameter.name == "key");
}

std::string_view flow_parameter_type_name(FlowParameterType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

const FlowStep* FlowSpec::step(std::string_view step_name) const {
  const auto found = std::ranges::find(steps, step_name, &FlowStep::name);
  return found == steps.end() ? nullptr : &*found;
}

Json flow_to_json(const FlowSpec& spec) {
  Json parameters = Json::object();
  for (const auto& parameter : spec.parameters) {
    Json entry = Json::object({{"type", flow_parameter_type_name(parameter.type)}});
    if (parameter.fallback) entry.set("default", *parameter.fallback);
    if (!parameter.description.empty()) entry.set("description", parameter.description);
    parameters.set(parameter.name, std::move(entry));
  }
  Json steps = Json::object();
  for (const auto& step : spec.steps)
    steps.set(step.name, step_json(step));
  Json triggers = Json::array();
  for (const auto& trigger : spec.triggers)
    triggers.push(trigger_json(trigger));
  Json out = Json::object({{"name", spec.name}, {"description", spec.description}});
  out.set("interpreter", spec.interpreter);
  if (!spec.source.empty()) out.set("source", spec.source);
  if (!spec.package.empty()) out.set("package", spec.package);
  out.set("parameters", std::move(parameters));
  out.set("env", environment_json(spec.env));
  out.set("max_concurrent_runs", spec.max_concurrent_runs);
  out.set("priority", spec.priority);
  if (spec.fresh.count() > 0) out.set("fresh", show_ms(spec.fresh));
  out.set("steps", std::move(steps));
  out.set("triggers", std::move(triggers));
  return out;
}

std::string flow_version(const FlowSpec& spec) {
  return content_digest(flow_to_json(spec).dump());
}

Result<Json> flow_parameters(const FlowSpec& spec, const Json& given) {
  if (!given.is_object() && !given.is_null()) {
    return invalid("params", "params must be an object of names and values");
  }
  std::vector<std::string> names;
  for (const auto& parameter : spec.parameters)
    names.push_back(parameter.name);
  if (given.is_object()) {
    for (const auto& [name, value] : given.as_object()) {
      if (std::ranges::find(names, name) != names.end()) continue;
      const std::string nearest = did_you_mean(name, names);
      return invalid(
          "params." + name,
          fmt::format("'{}' is not a parameter of pipeline '{}'{}", printable(name), spec.name,
                      nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
    }
  }
  Json out = Json::object();
  for (const auto& parameter : spec.parameters) {
    const Json* const value = given.find(parameter.name);
    if (value == nullptr && !parameter.fallback) {
      return invalid("params." + parameter.name,
                     fmt::format("parameter '{}' has no default: give it a value (--param {}=...)",
                                 parameter.name, parameter.name));
    }
    auto fitting = converted(parameter, value != nullptr ? *value : *parameter.fallback);
    if (!fitting) return fitting;
    out.set(parameter.name, std::move(*fitting));
  }
  return out;
}

Result<std::string> expand_references(
    std::string_view text,
    const std::function<Result<std::string>(const FlowReference&)>& value_of) {
  std::string out;
  while (true) {
    const auto at = text.find("${");
    if (at == std::string_view::npos) break;
    if (at > 0 && text[at - 1] == '$') {
      out += text.substr(0, at - 1);
      out += "${";
      text.remove_prefix(at + 2);
      continue;
    }
    FlowReference reference;
    const std::size_t used = read_reference(text.substr(at + 2), reference);
    if (used == 0) {
      return invalid("", fmt::format("'{}' is no reference: use ${{params.NAME}} or "
                                     "${{steps.STEP.OUTPUT}}, or write $${{ for the characters",
                                     printable(text.substr(at, 40))));
    }
    auto value = value_of(reference);
    if (!value) return value;
    out += text.substr(0, at);
    out += *value;
    text.remove_prefix(at + 2 + used);
  }
  out += text;
  return out;
}

std::optional<FlowReference> whole_reference(std::string_view text) {
  FlowReference reference;
  if (!text.starts_with("${")) return std::nullopt;
  if (read_reference(text.substr(2), reference) + 2 != text.size()) return std::nullopt;
  return reference;
}

}  // namespace strata::wire
