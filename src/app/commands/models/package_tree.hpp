#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace strata::app {

// A file of a package where it lies on this machine: all of a file, or a part of an archive.
struct TreeFile {
  std::string path;  // within the package
  std::uint64_t size = 0;
  std::string host_path;
  std::uint64_t offset = 0;
  std::string sha256 = {};  // once it was read
};

// A package as it lies on this machine, in one of the forms that `strata model export` writes.
struct PackageTree {
  std::vector<TreeFile> files;  // by path
  std::string manifest;         // canonical JSON; empty when none came along
  std::string signature;        // its bundle; empty when none came along
};

inline constexpr std::string_view kManifestName = "strata-package.json";
inline constexpr std::string_view kSignatureName = "model.sig";

// Where a directory's manifest lies: beside it, so that the directory is the model and nothing
// else.
std::string manifest_beside(const std::string& directory);

// The package at `path`: a directory, an OCI image layout or a tar archive, told by what is there.
// Nothing is unpacked. Errors: kNotFound; kInvalidArgument naming the entry for links, devices,
// paths that lead outside or come twice; kChecksumMismatch for a blob that is not what its digest
// says; kUnsupported for packed archives; kTooLarge.
Result<PackageTree> open_tree(const std::string& path);

// Reads `size` bytes of a file from `offset` in pieces. Errors: kNotFound, kConflict when it ends
// before.
class FilePart {
 public:
  static Result<FilePart> open(const std::string& path, std::uint64_t offset, std::uint64_t size);
  FilePart(FilePart&& other) noexcept;
  FilePart& operator=(FilePart&&) = delete;
  ~FilePart();
  // Empty at the end.
  Result<std::string_view> next();

 private:
  FilePart(int file, std::string path, std::uint64_t left);
  int file_;
  std::string path_;
  std::uint64_t left_;
  std::string piece_;
};

// Reads every file once and notes its SHA-256. Errors: kChecksumMismatch naming the first file that
// is not the one that the manifest lists.
Status hash_tree(PackageTree& tree, const std::function<void(std::uint64_t)>& on_bytes);

// SHA-256 over one line "<sha256>  <path>\n" for each file.
std::string digest_of(const std::vector<TreeFile>& files);

}  // namespace strata::app
