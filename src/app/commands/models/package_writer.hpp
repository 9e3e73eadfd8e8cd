#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "app/commands/models/cli_package.hpp"
#include "base/json.hpp"

namespace strata::app {

// A package on its way out of a server.
struct ExportedPackage {
  NamedVersion version;
  std::string digest;
  std::string package_digest;
  std::string manifest_digest;
  std::string manifest;   // canonical JSON
  std::string signature;  // its bundle; empty when nobody signed it
  struct File {
    std::string path;
    std::uint64_t size = 0;
    std::string sha256;
  };
  std::vector<File> files;  // by path
  // Gives the bytes of a file, piece by piece, checked: an error ends an export.
  std::function<Status(const File&, const std::function<Status(std::string_view)>&)> read;
};

// Each writes below `path`, which must not exist yet; the same package gives the same bytes.
Status write_directory(const ExportedPackage& package, const std::string& path);
Status write_archive(const ExportedPackage& package, const std::string& path);
Status write_layout(const ExportedPackage& package, const std::string& path);

}  // namespace strata::app
