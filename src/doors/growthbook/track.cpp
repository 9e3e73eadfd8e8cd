#include <fmt/format.h>

#include "base/bytes.hpp"
#include "doors/growthbook/growthbook.hpp"
#include "wire/growthbook/js_value.hpp"

namespace strata::doors::growthbook {

using platform::experiments::Tracked;

namespace {

constexpr std::size_t kMaxEvents = 1000;
constexpr std::size_t kMaxText = 1024;
constexpr std::size_t kMaxProperties = 16U << 10U;

// The first of several names that a document has; the plug-ins of the SDKs disagree on them.
const Json& any_of(const Json& object, std::initializer_list<std::string_view> names) {
  for (const auto name : names) {
    if (!object[name].is_null()) return object[name];
  }
  static const Json none;
  return none;
}

Result<std::string> text_in(const Json& value, const std::string& field, bool needed) {
  const std::string text = value.is_null() ? "" : wire::growthbook::js_text(value);
  if (text.empty() && needed) return invalid(field, field + ": is missing");
  if (text.size() > kMaxText)
    return invalid(field, fmt::format("{}: has {} bytes, {} may be", field, text.size(), kMaxText));
  return text;
}

Result<std::string> document_in(const Json& value, const std::string& field) {
  if (value.is_null()) return std::string("{}");
  if (!value.is_object())
    return invalid(field, fmt::format("{}: must be an object, not {}", field, value.type_name()));
  std::string text = value.dump();
  if (text.size() > kMaxProperties)
    return invalid(field,
                   fmt::format("{}: has {} bytes, {} may be", field, text.size(), kMaxProperties));
  return text;
}

Status read_exposure(const Json& properties, const std::string& at, Tracked& out) {
  out.kind = Tracked::Kind::kExposure;
  const std::string field = at + ".properties_json.";
  const Json& experiment = any_of(properties, {"experimentId", "experiment_id"});
  const Json& variation = any_of(properties, {"variation_key", "variationId", "variation_id"});
  const Json& attribute = any_of(properties, {"hashAttribute", "hash_attribute"});
  const Json& unit = any_of(properties, {"hashValue", "hash_value"});
  for (const auto& [value, name, to] : {std::tuple{&experiment, "experimentId", &out.experiment},
                                        {&variation, "variationId", &out.variation},
                                        {&attribute, "hashAttribute", &out.attribute},
                                        {&unit, "hashValue", &out.unit}}) {
    auto text = text_in(*value, field + name, true);
    if (!text) return std::move(text).error();
    *to = *std::move(text);
  }
  return {};
}

Result<std::optional<Tracked>> read_event(const Json& event, const std::string& at) {
  if (!event.is_object()) return invalid(at, at + ": must be an object");
  Tracked out;
  auto name = text_in(event["event_name"], at + ".event_name", true);
  if (!name) return std::move(name).error();
  auto properties = document_in(event["properties_json"], at + ".properties_json");
  if (!properties) return std::move(properties).error();
  auto attributes = document_in(event["context_json"], at + ".context_json");
  if (!attributes) return std::move(attributes).error();
  auto source = text_in(Json(event.text("sdk_language") + " " + event.text("sdk_version")),
                        at + ".sdk_language", false);
  if (!source) return std::move(source).error();
  out.source = *std::move(source);
  out.attributes = *std::move(attributes);
  if (*name == "Experiment Viewed" || *name == "$$experiment_viewed") {
    const Json& given = event["properties_json"];
    // Whom a tester forced into a variation tells nothing of the others.
    if (!any_of(given, {"in_experiment"}).is_null() &&
        !(given.boolean("in_experiment") && given.boolean("hash_used", true)))
      return std::optional<Tracked>();
    STRATA_TRY(read_exposure(given, at, out));
    return std::optional(std::move(out));
  }
  auto unit = text_in(any_of(event, {"user_id", "device_id"}), at + ".user_id", false);
  if (!unit) return std::move(unit).error();
  out.name = *std::move(name);
  out.unit = *std::move(unit);
  out.properties = *std::move(properties);
  return std::optional(std::move(out));
}

}  // namespace

Result<std::vector<Tracked>> read_events(std::string_view body) {
  const auto parsed = parse_json(body);
  if (!parsed) return parsed.error();
  if (!parsed->is_array() || parsed->size() > kMaxEvents)
    return invalid("body", fmt::format("the body must be a list of at most {} events", kMaxEvents));
  std::vector<Tracked> out;
  for (std::size_t i = 0; i < parsed->size(); ++i) {
    auto event = read_event(parsed->as_array()[i], fmt::format("[{}]", i));
    if (!event) return std::move(event).error();
    if (*event) out.push_back(**std::move(event));
  }
  return out;
}

}  // namespace strata::doors::growthbook
