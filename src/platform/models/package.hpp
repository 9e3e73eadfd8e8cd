#pragma once

#include <map>
#include <string>

#include "base/json.hpp"
#include "platform/models/models.hpp"

// What a package's manifest is made of. Private to the room.
namespace strata::platform::models {

// The files of a package that say what it needs.
inline constexpr std::array<std::string_view, 4> kDescribing = {"MLmodel", "requirements.txt",
                                                                "python_env.yaml", "conda.yaml"};
inline constexpr std::uint64_t kMaxDescribing = 4U << 20U;

// The manifest of a package in canonical JSON. `texts` holds those of kDescribing that it has.
// Pure: the same files give the same bytes. A file that cannot be read is a problem that the
// manifest names, not an error: MLflow lets anything be registered.
std::string package_manifest(const std::vector<ModelFile>& files, std::string_view digest,
                             std::string_view package_digest,
                             const std::map<std::string, std::string, std::less<>>& texts);

// Members sorted by the bytes of their names, at every depth.
Json sorted_members(const Json& value);

}  // namespace strata::platform::models
