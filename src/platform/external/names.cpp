#include "platform/external/names.hpp"

#include <array>

#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::platform::external {

namespace {

constexpr std::string_view kLake = "lake:";

std::string_view without_slashes(std::string_view text) {
  while (text.starts_with('/'))
    text.remove_prefix(1);
  while (text.ends_with('/'))
    text.remove_suffix(1);
  return text;
}

// What follows "s3://" and the like.
std::optional<std::string_view> in_store(std::string_view text) {
  for (const std::string_view scheme : {"s3://", "s3a://", "s3n://"}) {
    if (text.starts_with(scheme)) return without_slashes(text.substr(scheme.size()));
  }
  return std::nullopt;
}

}  // namespace

std::string ref_name(const Identifier& id) {
  std::string out;
  for (const char c : fmt::format("{}/{}", id.space, id.name)) {
    if (c == '@') {
      out += "%40";
    } else if (c == '%') {
      out += "%25";
    } else {
      out += c;
    }
  }
  return out;
}

std::string job_subject(const Identifier& job) {
  return "external_job:" + ref_name(job);
}

std::string owned_subject(const Identifier& dataset) {
  if (const auto place = in_store(dataset.name)) return std::string(kLake) + std::string(*place);
  if (const auto bucket = in_store(dataset.space)) {
    const auto key = without_slashes(dataset.name);
    return key.empty() ? fmt::format("{}{}", kLake, *bucket)
                       : fmt::format("{}{}/{}", kLake, *bucket, key);
  }
  if (dataset.space != "strata") return "";
  const bool schema = dataset.name.contains('.');
  return fmt::format("table:{}{}", schema ? "" : "main.", dataset.name);
}

kernel::NodeRef run_ref(const std::string& run) {
  return {"external_run", run, ""};
}

kernel::NodeRef dataset_ref(const Identifier& id) {
  return {"external_dataset", ref_name(id), ""};
}

kernel::NodeRef owned_ref(std::string_view owned) {
  const auto colon = owned.find(':');
  const bool object = owned.starts_with(kLake);
  return {object ? "object" : "table", std::string(owned.substr(colon + 1)), ""};
}

std::string dataset_subject(const Identifier& id, const std::string& owned) {
  return owned.empty() ? dataset_ref(id).to_string() : owned;
}

Json merged_facets(Json stored, const Json& came, Instant time) {
  for (const auto& [name, value] : came.as_object()) {
    const Json* const known = stored.find(name);
    if (known != nullptr) {
      const std::int64_t at = known->integer("at");
      if (at > time.micros) continue;
      // Of two at the same time one stands, whichever came first.
      if (at == time.micros && (*known)["value"].dump() >= value.dump()) continue;
    }
    stored.set(name, Json::object({{"at", time.micros}, {"value", value}}));
  }
  return stored;
}

Json shown_facets(const Json& stored) {
  Json out = Json::object();
  for (const auto& [name, facet] : stored.as_object()) {
    if (!facet["value"].boolean("_deleted")) out.set(name, facet["value"]);
  }
  return out;
}

}  // namespace strata::platform::external
