#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// The documents of an OCI image layout that holds one model: index, manifest and what they point
// at. Spec: OCI image specification 1.1 (image-layout.md, manifest.md, descriptor.md).

inline constexpr std::string_view kOciManifestType = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndexType = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciLayerType = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kPackageType = "application/vnd.strata.package.v1";
inline constexpr std::string_view kPackageConfigType = "application/vnd.strata.package.v1+json";
// Of the layer that is a signature of the files in the others.
inline constexpr std::string_view kBundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";
inline constexpr std::size_t kMaxOciDocument = 4U << 20U;
inline constexpr std::size_t kMaxOciLayers = 16;

struct OciDescriptor {
  std::string media_type;
  std::string digest;  // "sha256:" and 64 hexadecimal digits
  std::uint64_t size = 0;
  std::map<std::string, std::string> annotations;

  // Where it lies in the layout: "blobs/sha256/...".
  std::string blob() const;
};

struct OciManifest {
  OciDescriptor config;
  std::vector<OciDescriptor> layers;
  std::map<std::string, std::string> annotations;
};

// The text of `oci-layout`, and whether a text is one of a version that is known. Errors:
// kMalformed, kUnsupported.
std::string write_oci_layout();
Status check_oci_layout(std::string_view text);

// The one manifest that the index names. Errors: kMalformed; kUnsupported for several, or an index
// within the index.
Result<OciDescriptor> read_oci_index(std::string_view text);
std::string write_oci_index(const OciDescriptor& manifest);

// Errors: kMalformed; kUnsupported for digests other than SHA-256, and more layers than
// kMaxOciLayers.
Result<OciManifest> read_oci_manifest(std::string_view text);
// The same manifest gives the same bytes.
std::string write_oci_manifest(const OciManifest& manifest);

}  // namespace strata::wire
