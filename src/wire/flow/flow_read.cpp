// Reads a pipeline from a document: every field is checked here, once, for YAML and JSON alike.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "wire/flow/cron.hpp"
#include "wire/flow/flow_document.hpp"
#include "wire/flow/flow_spec.hpp"

namespace strata::wire {
namespace {

using Doc = FlowDocument;
using Path = std::string;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// An identifier, so that STRATA_PARAM_x is a variable that shells accept.
bool is_identifier(std::string_view text) {
  return is_name(text) && text.find('-') == std::string_view::npos &&
         !(text[0] >= '0' && text[0] <= '9');
}

bool is_output_name(std::string_view text) {
  return !text.empty() && text.size() <= 128 && text[0] != '.' &&
         std::ranges::all_of(text,
                             [](char c) { return is_name(std::string_view(&c, 1)) || c == '.'; });
}

class SpecReader {
 public:
  explicit SpecReader(const FlowReadOptions& options) : options_(options) {}

  Result<FlowSpec> read(const Doc& doc) {
    FlowSpec spec = read_spec(doc);
    if (!error_) check_graph(spec, doc);
    if (error_) return *error_;
    return spec;
  }

 private:
  // Only the first error counts; reading goes on with defaults, so that no caller must check.
  void fail(const Doc& at, const Path& path, std::string_view what) {
    if (error_) return;
    std::string message;
    if (at.line > 0) message = fmt::format("{}:{}:{}: ", options_.file, at.line, at.column);
    if (!path.empty()) message += path + ": ";
    message += what;
    error_ = Error(Code::kInvalidArgument, std::move(message), path);
  }

  bool is_map(const Doc& doc, const Path& path) {
    if (doc.kind == Doc::Kind::kMap) return true;
    fail(doc, path, fmt::format("expected a mapping, found {}", doc.type_name()));
    return false;
  }

  void check_keys(const Doc& map, const Path& path, const std::vector<std::string>& known) {
    for (const auto& [key, value] : map.members) {
      if (std::ranges::find(known, key.text) != known.end()) continue;
      const std::string nearest = did_you_mean(key.text, known);
      fail(key, path,
           nearest.empty() ? fmt::format("'{}' is not known here; known are {}",
                                         printable(key.text), join(known, ", "))
                           : fmt::format("'{}' is not known here. Did you mean '{}'?",
                                         printable(key.text), nearest));
    }
  }

  static Path below(const Path& path, std::string_view name) {
    return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
  }

  std::string text(const Doc& map, const Path& path, std::string_view name,
                   std::string fallback = "") {
    const Doc* const doc = map.find(name);
    if (doc == nullptr) return fallback;
    return text_of(*doc, below(path, name));
  }

  std::string text_of(const Doc& doc, const Path& path) {
    if (doc.kind == Doc::Kind::kScalar && !doc.is_null()) return doc.text;
    fail(doc, path, fmt::format("expected text, found {}", doc.type_name()));
    return "";
  }

  int integer(const Doc& map, const Path& path, std::string_view name, int fallback, int least,
              int most) {
    const Doc* const doc = map.find(name);
    if (doc == nullptr) return fallback;
    if (doc->value.is_int() && doc->value.as_int() >= least && doc->value.as_int() <= most) {
      return static_cast<int>(doc->value.as_int());
    }
    fail(*doc, below(path, name),
         fmt::format("expected a whole number from {} to {}", least, most));
    return fallback;
  }

  double number(const Doc& map, const Path& path, std::string_view name, double fallback,
                double least, double most) {
    const Doc* const doc = map.find(name);
    if (doc == nullptr) return fallback;
    const double value = doc->value.as_double();
    if (doc->value.is_number() && value >= least && value <= most) return value;
    fail(*doc, below(path, name), fmt::format("expected a number from {} to {}", least, most));
    return fallback;
  }

  std::chrono::milliseconds duration(const Doc& map, const Path& path, std::string_view name,
                                     std::chrono::milliseconds fallback) {
    const Doc* const doc = map.find(name);
    if (doc == nullptr) return fallback;
    if (doc->value.is_int() && doc->value.as_int() > 0 && doc->value.as_int() < 1'000'000'000) {
      return std::chrono::seconds(doc->value.as_int());
    }
    if (doc->value.is_string()) {
      const auto parsed = parse_duration(doc->text);
      if (parsed && parsed->count() > 0) return *parsed;
    }
    fail(*doc, below(path, name),
         fmt::format("'{}' is no duration; write for example 90s, 15m or 1h30m",
                     printable(doc->text)));
    return fallback;
  }

  std::vector<std::string> list(const Doc& map, const Path& path, std::string_view name) {
    const Doc* const doc = map.find(name);
    if (doc == nullptr || doc->is_null()) return {};
    if (doc->kind != Doc::Kind::kList) {
      fail(*doc, below(path, name), fmt::format("expected a list, found {}", doc->type_name()));
      return {};
    }
    std::vector<std::string> out;
    for (const auto& item : doc->items)
      out.push_back(text_of(item, below(path, name)));
    return out;
  }

  FlowEnvironment environment(const Doc& map, const Path& path, std::string_view name) {
    const Doc* const doc = map.find(name);
    FlowEnvironment out;
    if (doc == nullptr || doc->is_null() || !is_map(*doc, below(path, name))) return out;
    for (const auto& [key, value] : doc->members) {
      if (!is_identifier(key.text)) {
        fail(key, below(path, name),
             fmt::format("'{}' is no name of a variable", printable(key.text)));
      }
      if (key.text.starts_with("STRATA_")) {
        fail(key, below(path, name), "names that begin with STRATA_ are set by the server");
      }
      out.emplace_back(key.text, text_of(value, below(path, name) + "." + key.text));
    }
    return out;
  }

  FlowSpec read_spec(const Doc& doc) {
    FlowSpec spec;
    if (!is_map(doc, "")) return spec;
    check_keys(doc, "",
               {"name", "description", "interpreter", "source", "package", "parameters", "env",
                "max_concurrent_runs", "priority", "fresh", "steps", "triggers"});
    spec.name = text(doc, "", "name");
    if (const Doc* const name = doc.find("name"); name == nullptr) {
      fail(doc, "name", "a pipeline needs a name");
    } else if (!is_name(spec.name)) {
      fail(*name, "name",
           fmt::format("'{}' is no name: use 1 to 64 letters, digits, '-' and '_'",
                       printable(spec.name)));
    }
    spec.description = text(doc, "", "description");
    spec.interpreter = text(doc, "", "interpreter", "python3");
    spec.source = text(doc, "", "source");
    spec.package = text(doc, "", "package");
    spec.env = environment(doc, "", "env");
    spec.max_concurrent_runs = integer(doc, "", "max_concurrent_runs", 16, 1, 10'000);
    spec.priority = integer(doc, "", "priority", 0, -1000, 1000);
    spec.fresh = duration(doc, "", "fresh", std::chrono::milliseconds(0));
    read_parameters(doc, spec);
    read_steps(doc, spec);
    read_triggers(doc, spec);
    if (!options_.stored) check_triggers(doc, spec);
    return spec;
  }

  void read_parameters(const Doc& doc, FlowSpec& spec) {
    const Doc* const map = doc.find("parameters");
    if (map == nullptr || map->is_null() || !is_map(*map, "parameters")) return;
    for (const auto& [key, value] : map->members) {
      const Path path = "parameters." + key.text;
      if (!is_identifier(key.text)) {
        fail(key, "parameters",
             fmt::format("'{}' is no name: use letters, digits and '_', not a digit first",
                         printable(key.text)));
      }
      spec.parameters.push_back(read_parameter(key.text, value, path));
    }
  }

  FlowParameter read_parameter(const std::string& name, const Doc& doc, const Path& path) {
    FlowParameter out;
    out.name = name;
    const Doc* fallback = &doc;
    if (doc.kind == Doc::Kind::kMap) {
      check_keys(doc, path, {"type", "default", "description"});
      out.description = text(doc, path, "description");
      fallback = doc.find("default");
    }
    if (const Doc* const type = doc.find("type"); type != nullptr) {
      read_type(*type, path, out);
    } else if (fallback != nullptr && fallback->kind == Doc::Kind::kScalar) {
      const Json& v = fallback->value;
      out.type = v.is_bool()     ? FlowParameterType::kBoolean
                 : v.is_int()    ? FlowParameterType::kInteger
                 : v.is_number() ? FlowParameterType::kNumber
                                 : FlowParameterType::kString;
    }
    if (fallback == nullptr || fallback->is_null()) return out;
    FlowSpec one;
    one.parameters.push_back(out);
    // A default such as 2013 for a string keeps the digits that were written.
    const Json value =
        out.type == FlowParameterType::kString && fallback->kind == Doc::Kind::kScalar
            ? Json(fallback->text)
            : fallback->to_json();
    const auto checked = flow_parameters(one, Json::object({{name, value}}));
    if (!checked) {
      fail(*fallback, path + ".default", checked.error().message);
    } else {
      out.fallback = (*checked)[name];
    }
    return out;
  }

  void read_type(const Doc& doc, const Path& path, FlowParameter& out) {
    const std::string type = text_of(doc, path + ".type");
    static const std::vector<std::string> kKnown = {"string", "integer", "number", "boolean"};
    const auto found = std::ranges::find(kKnown, type);
    if (found == kKnown.end()) {
      const std::string nearest = did_you_mean(type, kKnown);
      fail(doc, path + ".type",
           fmt::format("'{}' is no type; use string, integer, number or boolean{}", printable(type),
                       nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
      return;
    }
    out.type = static_cast<FlowParameterType>(found - kKnown.begin());
  }

  void read_steps(const Doc& doc, FlowSpec& spec) {
    const Doc* const map = doc.find("steps");
    if (map == nullptr) return fail(doc, "steps", "a pipeline needs at least one step");
    if (!is_map(*map, "steps")) return;
    if (map->members.empty()) return fail(*map, "steps", "a pipeline needs at least one step");
    if (map->members.size() > 1000) return fail(*map, "steps", "a pipeline has at most 1000 steps");
    for (const auto& [key, value] : map->members) {
      if (!is_name(key.text)) {
        fail(key, "steps",
             fmt::format("'{}' is no name: use 1 to 64 letters, digits, '-' and '_'",
                         printable(key.text)));
      }
      spec.steps.push_back(read_step(key.text, value));
    }
  }

  FlowStep read_step(const std::string& name, const Doc& doc) {
    FlowStep step;
    step.name = name;
    const Path path = "steps." + name;
    if (!is_map(doc, path)) return step;
    check_keys(doc, path,
               {"command", "python", "needs", "params", "env", "outputs", "retries", "timeout",
                "resources"});
    read_action(doc, path, step);
    step.needs = list(doc, path, "needs");
    if (const Doc* const params = doc.find("params"); params != nullptr && !params->is_null()) {
      if (is_map(*params, path + ".params")) step.params = params->to_json();
      for (const auto& [key, value] : params->members) {
        if (!is_identifier(key.text)) {
          fail(key, path + ".params", fmt::format("'{}' is no name", printable(key.text)));
        }
      }
    }
    step.env = environment(doc, path, "env");
    step.outputs = list(doc, path, "outputs");
    std::set<std::string> seen;
    for (const auto& output : step.outputs) {
      if (!is_output_name(output) || !seen.insert(output).second) {
        fail(*doc.find("outputs"), path + ".outputs",
             fmt::format("'{}' is no file name or stands twice: use letters, digits, '.', '-' and "
                         "'_'",
                         printable(output)));
      }
    }
    step.timeout = duration(doc, path, "timeout", std::chrono::milliseconds(0));
    read_retries(doc, path, step);
    read_resources(doc, path, step);
    return step;
  }

  void read_action(const Doc& doc, const Path& path, FlowStep& step) {
    const Doc* const command = doc.find("command");
    const Doc* const python = doc.find("python");
    if ((command == nullptr) == (python == nullptr)) {
      return fail(doc, path, "needs either 'command' or 'python'");
    }
    if (python != nullptr) {
      step.python = text_of(*python, path + ".python");
      const auto colon = step.python.find(':');
      if (colon == std::string::npos || colon == 0 || colon + 1 == step.python.size()) {
        fail(*python, path + ".python", "expected module:function");
      }
    } else if (command->kind == Doc::Kind::kList) {
      step.command = list(doc, path, "command");
      if (step.command.empty()) fail(*command, path + ".command", "the command is empty");
    } else {
      step.shell = text_of(*command, path + ".command");
      if (step.shell.contains("${params.") || step.shell.contains("${steps.")) {
        fail(*command, path + ".command",
             "a shell command is not rewritten; use \"$STRATA_PARAM_name\" and "
             "\"$STRATA_INPUTS/step/name\", or write the command as a list");
      }
    }
  }

  void read_retries(const Doc& doc, const Path& path, FlowStep& step) {
    const Doc* const retries = doc.find("retries");
    if (retries == nullptr) return;
    if (retries->kind == Doc::Kind::kScalar) {
      step.retries.count = integer(doc, path, "retries", 0, 0, 100);
      return;
    }
    const Path here = path + ".retries";
    if (!is_map(*retries, here)) return;
    check_keys(*retries, here, {"count", "backoff", "factor", "max", "jitter"});
    step.retries.count = integer(*retries, here, "count", 1, 0, 100);
    step.retries.initial = duration(*retries, here, "backoff", step.retries.initial);
    step.retries.factor = number(*retries, here, "factor", step.retries.factor, 1, 100);
    step.retries.max = duration(*retries, here, "max", step.retries.max);
    step.retries.jitter = number(*retries, here, "jitter", step.retries.jitter, 0, 1);
  }

  void read_resources(const Doc& doc, const Path& path, FlowStep& step) {
    const Doc* const resources = doc.find("resources");
    if (resources == nullptr || resources->is_null()) return;
    const Path here = path + ".resources";
    if (!is_map(*resources, here)) return;
    check_keys(*resources, here, {"cpu", "memory", "gpu"});
    step.resources.cpu_millis =
        static_cast<std::int64_t>(number(*resources, here, "cpu", 1, 0.001, 4096) * 1000);
    step.resources.gpus = integer(*resources, here, "gpu", 0, 0, 64);
    if (const Doc* const memory = resources->find("memory"); memory != nullptr) {
      const auto bytes = parse_bytes(memory->text);
      if (!bytes || *bytes <= 0) {
        fail(*memory, here + ".memory",
             fmt::format("'{}' is no size; write for example 512MiB or 2GiB",
                         printable(memory->text)));
      } else {
        step.resources.memory_bytes = *bytes;
      }
    }
  }

  void read_triggers(const Doc& doc, FlowSpec& spec) {
    const Doc* const list = doc.find("triggers");
    if (list == nullptr || list->is_null()) return;
    if (list->kind != Doc::Kind::kList) {
      return fail(*list, "triggers", fmt::format("expected a list, found {}", list->type_name()));
    }
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const Doc& item = list->items[i];
      const Path path = fmt::format("triggers[{}]", i);
      if (!is_map(item, path)) return;
      if (item.find("cron") != nullptr) {
        spec.triggers.push_back(read_cron(item, path));
      } else if (item.find("event") != nullptr) {
        spec.triggers.push_back(read_event(item, path));
      } else {
        check_keys(item, path, {"cron", "timezone", "event", "bucket", "prefix"});
        fail(item, path, "a trigger needs 'cron' or 'event'");
      }
    }
  }

  CronTrigger read_cron(const Doc& item, const Path& path) {
    check_keys(item, path, {"cron", "timezone"});
    CronTrigger out;
    out.cron = text(item, path, "cron");
    const auto parsed = Cron::parse(out.cron);
    if (!parsed) fail(*item.find("cron"), path + ".cron", parsed.error().message);
    out.timezone = text(item, path, "timezone", "UTC");
    if (options_.zone_known && !options_.zone_known(out.timezone)) {
      fail(*item.find("timezone"), path + ".timezone",
           fmt::format("'{}' is no known time zone; use an IANA name such as Europe/Berlin",
                       printable(out.timezone)));
    }
    return out;
  }

  EventTrigger read_event(const Doc& item, const Path& path) {
    check_keys(item, path, {"event", "bucket", "prefix"});
    EventTrigger out;
    out.event = text(item, path, "event");
    if (out.event != "object.created") {
      fail(*item.find("event"), path + ".event",
           fmt::format("'{}' is not an event that starts pipelines; use object.created",
                       printable(out.event)));
    }
    out.bucket = text(item, path, "bucket");
    if (out.bucket.empty()) fail(item, path + ".bucket", "the trigger needs a bucket");
    out.prefix = text(item, path, "prefix");
    return out;
  }

  // Nobody is there to name a value when a trigger starts a run.
  void check_triggers(const Doc& doc, const FlowSpec& spec) {
    for (std::size_t i = 0; i < spec.triggers.size(); ++i) {
      const bool event = std::holds_alternative<EventTrigger>(spec.triggers[i]);
      for (const auto& parameter : spec.parameters) {
        if (parameter.fallback || (event && given_by_event(parameter))) continue;
        fail(*doc.find("parameters")->find(parameter.name), "parameters." + parameter.name,
             fmt::format(
                 "triggers[{}] starts runs without a value for '{}': give it a 'default'{}", i,
                 parameter.name,
                 event ? "; an event fills the string parameters 'bucket' and 'key' only" : ""));
      }
    }
  }

  void check_graph(const FlowSpec& spec, const Doc& doc) {
    const Doc& steps = *doc.find("steps");
    std::vector<std::string> names;
    for (const auto& step : spec.steps)
      names.push_back(step.name);
    for (const auto& step : spec.steps) {
      const Doc& at = *steps.find(step.name);
      const Path path = "steps." + step.name + ".needs";
      std::set<std::string> seen;
      for (std::size_t i = 0; i < step.needs.size(); ++i) {
        const std::string& need = step.needs[i];
        const Doc& where = at.find("needs")->items[i];
        if (std::ranges::find(names, need) == names.end()) {
          const std::string nearest = did_you_mean(need, names);
          fail(where, path,
               fmt::format("'{}' is not a step of this pipeline{}", printable(need),
                           nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
        }
        if (!seen.insert(need).second) fail(where, path, fmt::format("'{}' stands twice", need));
      }
      check_references(spec, step, at);
    }
    if (!error_) check_cycles(spec, steps);
  }

  void check_references(const FlowSpec& spec, const FlowStep& step, const Doc& at) {
    const Path path = "steps." + step.name;
    if (const Doc* const command = at.find("command"); command != nullptr) {
      for (const auto& item : command->items)
        check_text(spec, step, item, path + ".command");
    }
    for (const auto* const section : {"params", "env"}) {
      const Doc* const map = at.find(section);
      if (map == nullptr) continue;
      for (const auto& [key, value] : map->members) {
        check_text(spec, step, value, fmt::format("{}.{}.{}", path, section, key.text));
      }
    }
  }

  void check_text(const FlowSpec& spec, const FlowStep& step, const Doc& doc, const Path& path) {
    for (const auto& item : doc.items)
      check_text(spec, step, item, path);
    for (const auto& [key, value] : doc.members)
      check_text(spec, step, value, path);
    if (doc.kind != Doc::Kind::kScalar || !doc.value.is_string()) return;
    const auto checked = expand_references(doc.text, [&](const FlowReference& reference) {
      return check_reference(spec, step, reference);
    });
    if (!checked) fail(doc, path, checked.error().message);
  }

  static Result<std::string> check_reference(const FlowSpec& spec, const FlowStep& step,
                                             const FlowReference& reference) {
    std::vector<std::string> known;
    if (reference.step.empty()) {
      for (const auto& parameter : spec.parameters)
        known.push_back(parameter.name);
    } else {
      const FlowStep* const from = spec.step(reference.step);
      if (from == nullptr || std::ranges::find(step.needs, reference.step) == step.needs.end()) {
        return invalid(
            "", fmt::format("'{}' is not among this step's needs", printable(reference.step)));
      }
      known = from->outputs;
    }
    if (std::ranges::find(known, reference.name) != known.end()) return std::string();
    const std::string nearest = did_you_mean(reference.name, known);
    return invalid("", fmt::format("'{}' is not {}{}", printable(reference.name),
                                   reference.step.empty()
                                       ? "a parameter of this pipeline"
                                       : fmt::format("an output of step '{}'", reference.step),
                                   nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
  }

  // Depth-first search that names the first cycle it meets.
  void check_cycles(const FlowSpec& spec, const Doc& steps) {
    std::set<std::string> done;
    std::vector<std::string> trail;
    const std::function<void(const FlowStep&)> visit = [&](const FlowStep& step) {
      if (error_ || done.contains(step.name)) return;
      if (const auto begin = std::ranges::find(trail, step.name); begin != trail.end()) {
        std::vector<std::string> cycle(begin, trail.end());
        cycle.push_back(step.name);
        fail(*steps.find(step.name), "steps." + step.name + ".needs",
             fmt::format("the steps need each other in a circle: {}", join(cycle, " -> ")));
        return;
      }
      trail.push_back(step.name);
      for (const auto& need : step.needs)
        visit(*spec.step(need));
      trail.pop_back();
      done.insert(step.name);
    };
    for (const auto& step : spec.steps)
      visit(step);
  }

  const FlowReadOptions& options_;
  std::optional<Error> error_;
};

}  // namespace

Result<FlowSpec> read_flow_yaml(std::string_view text, const FlowReadOptions& options) {
  const auto document = read_yaml(text, options.file);
  if (!document) return document.error();
  return SpecReader(options).read(*document);
}

Result<FlowSpec> read_flow_json(const Json& json, const FlowReadOptions& options) {
  return SpecReader(options).read(document_of(json));
}

}  // namespace strata::wire
