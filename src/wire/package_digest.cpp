#include "wire/package_digest.hpp"

#include "base/digest.hpp"
#include "base/text.hpp"

namespace strata::wire {

std::string package_digest(std::vector<PackageFile> files) {
  std::sort(files.begin(), files.end(),
            [](const PackageFile& a, const PackageFile& b) { return a.path < b.path; });
  std::string lines;
  for (const auto& file : files) lines += file.sha256 + "  " + file.path + "\n";
  return content_digest(lines);
}

bool is_package_path(const std::string& path) {
  if (path.empty() || path.size() > 1024) return false;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == '\\' || c == 0x7F) return false;
  }
  for (const auto& segment : split(path, '/')) {
    if (segment.empty() || segment == "." || segment == "..") return false;
  }
  return true;
}

}  // namespace strata::wire
