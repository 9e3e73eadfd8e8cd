#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/result.hpp"
#include "runtime/files.hpp"

namespace strata::resources::workflow {

// Outputs and source packages by content, below DATA/flows. All calls block.
class ContentStore {
 public:
  ContentStore(Files& files, std::string data) : files_(files), root_(std::move(data) + "/flows") {}

  struct Stored {
    std::string digest;  // "sha256:..."
    std::uint64_t size = 0;
  };
  // Keeps a finished file under its digest without copying it. Errors: kNotFound, kInvalidArgument
  // for what is no file.
  Result<Stored> keep(const std::string& path);
  Result<Stored> keep_bytes(std::string_view bytes);
  // Where it lies. Errors: kNotFound.
  Result<std::string> path_of(const std::string& digest);
  // A folder with the files of a kept package; made at the first call. Errors: kNotFound,
  // kMalformed.
  Result<std::string> unpacked(const std::string& digest);
  // The digest of each file of a kept package, by path; none for the empty digest. Errors:
  // kNotFound, kMalformed.
  Result<std::map<std::string, std::string>> files_of(const std::string& digest);

 private:
  Status make_folder(const std::string& target);
  std::string place(const std::string& digest) const;

  Files& files_;
  std::string root_;
  std::mutex writing_;  // one package at a time
};

}  // namespace strata::resources::workflow
