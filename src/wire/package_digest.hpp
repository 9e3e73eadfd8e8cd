#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata::wire {

// One file of a model package.
struct PackageFile {
  std::string path;    // relative, with '/'
  std::uint64_t size = 0;
  std::string sha256;  // 64 lower-case hex digits
};

// The digest that names a whole package: "sha256:" and the SHA-256 of one line for each file, sorted by the bytes of their paths,
// each line being the file's 64 hex digits, two spaces, the path and a line feed. That is what this prints in its directory:
//   find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum
std::string package_digest(std::vector<PackageFile> files);

// Whether a path may name a file of a package: relative, no empty, "." or ".." segment, no backslash or control character.
bool is_package_path(const std::string& path);

}  // namespace strata::wire
