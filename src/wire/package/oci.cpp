#include "wire/package/oci.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"

namespace strata::wire {
namespace {

constexpr std::string_view kAlgorithm = "sha256:";

Error malformed(std::string_view document, std::string_view what) {
  return Error(Code::kMalformed, fmt::format("{}: {}", document, what));
}

Result<Json> read_object(std::string_view document, std::string_view text) {
  if (text.size() > kMaxOciDocument)
    return Error(Code::kTooLarge, fmt::format("{}: it is larger than 4 MiB", document));
  auto json = parse_json(text);
  if (!json) return json.error().wrap(std::string(document));
  if (!json->is_object()) return malformed(document, "it is no JSON object");
  return json;
}

Result<std::map<std::string, std::string>> annotations_of(std::string_view document,
                                                          const Json& json) {
  std::map<std::string, std::string> out;
  if (json.is_null()) return out;
  if (!json.is_object()) return malformed(document, "its annotations are no object");
  for (const auto& [name, value] : json.as_object()) {
    if (!value.is_string()) return malformed(document, "an annotation is no text");
    out[name] = value.as_string();
  }
  return out;
}

Result<OciDescriptor> descriptor_of(std::string_view document, const Json& json) {
  OciDescriptor out;
  out.media_type = json.text("mediaType");
  out.digest = json.text("digest");
  if (!json.is_object() || out.media_type.empty() || !json["size"].is_int() ||
      json["size"].as_int() < 0)
    return malformed(document, "a descriptor needs mediaType, digest and size");
  out.size = static_cast<std::uint64_t>(json["size"].as_int());
  if (!out.digest.starts_with(kAlgorithm)) {
    return Error(Code::kUnsupported, fmt::format("{}: '{}' is no SHA-256 digest, and no other is "
                                                 "taken",
                                                 document, printable(out.digest)));
  }
  const std::string_view hex = std::string_view(out.digest).substr(kAlgorithm.size());
  if (hex.size() != 64 || hex.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return malformed(document, fmt::format("'{}' is no digest", printable(out.digest)));
  auto annotations = annotations_of(document, json["annotations"]);
  if (!annotations) return std::move(annotations).error();
  out.annotations = *std::move(annotations);
  return out;
}

Json annotations_json(const std::map<std::string, std::string>& annotations) {
  Json out = Json::object();
  for (const auto& [name, value] : annotations)
    out.set(name, value);
  return out;
}

Json descriptor_json(const OciDescriptor& descriptor) {
  Json out = Json::object({{"mediaType", descriptor.media_type},
                           {"digest", descriptor.digest},
                           {"size", descriptor.size}});
  if (!descriptor.annotations.empty())
    out.set("annotations", annotations_json(descriptor.annotations));
  return out;
}

}  // namespace

std::string OciDescriptor::blob() const {
  return "blobs/sha256/" + digest.substr(kAlgorithm.size());
}

std::string write_oci_layout() {
  return R"({"imageLayoutVersion":"1.0.0"})";
}

Status check_oci_layout(std::string_view text) {
  const auto json = read_object("oci-layout", text);
  if (!json) return json.error();
  const std::string version = json->text("imageLayoutVersion");
  if (version == "1.0.0") return {};
  return Error(Code::kUnsupported,
               fmt::format("oci-layout: version '{}' is not known, 1.0.0 is", printable(version)));
}

Result<OciDescriptor> read_oci_index(std::string_view text) {
  const auto json = read_object("index.json", text);
  if (!json) return json.error();
  const Json& manifests = (*json)["manifests"];
  if (!manifests.is_array()) return malformed("index.json", "there are no manifests");
  if (manifests.size() != 1) {
    return Error(Code::kUnsupported,
                 fmt::format("index.json: it names {} manifests; a layout of one model is taken",
                             manifests.size()));
  }
  auto found = descriptor_of("index.json", manifests.as_array().front());
  if (found && found->media_type != kOciManifestType) {
    return Error(Code::kUnsupported, fmt::format("index.json: '{}' is no image manifest",
                                                 printable(found->media_type)));
  }
  return found;
}

std::string write_oci_index(const OciDescriptor& manifest) {
  return Json::object({{"schemaVersion", 2},
                       {"mediaType", kOciIndexType},
                       {"manifests", Json::Array{descriptor_json(manifest)}}})
      .dump();
}

Result<OciManifest> read_oci_manifest(std::string_view text) {
  constexpr std::string_view kDocument = "the image manifest";
  const auto json = read_object(kDocument, text);
  if (!json) return json.error();
  if (json->integer("schemaVersion") != 2) return malformed(kDocument, "schemaVersion is not 2");
  OciManifest out;
  auto config = descriptor_of(kDocument, (*json)["config"]);
  if (!config) return std::move(config).error();
  out.config = *std::move(config);
  const Json& layers = (*json)["layers"];
  if (!layers.is_array()) return malformed(kDocument, "there are no layers");
  if (layers.size() > kMaxOciLayers)
    return Error(Code::kUnsupported,
                 fmt::format("{}: it has more than {} layers", kDocument, kMaxOciLayers));
  for (const auto& layer : layers.as_array()) {
    auto descriptor = descriptor_of(kDocument, layer);
    if (!descriptor) return std::move(descriptor).error();
    out.layers.push_back(*std::move(descriptor));
  }
  auto annotations = annotations_of(kDocument, (*json)["annotations"]);
  if (!annotations) return std::move(annotations).error();
  out.annotations = *std::move(annotations);
  return out;
}

std::string write_oci_manifest(const OciManifest& manifest) {
  Json layers = Json::array();
  for (const auto& layer : manifest.layers)
    layers.push(descriptor_json(layer));
  Json out = Json::object({{"schemaVersion", 2},
                           {"mediaType", kOciManifestType},
                           {"artifactType", kPackageType},
                           {"config", descriptor_json(manifest.config)},
                           {"layers", layers}});
  if (!manifest.annotations.empty()) out.set("annotations", annotations_json(manifest.annotations));
  return out.dump();
}

}  // namespace strata::wire
