#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

struct TarFile {
  std::string path;  // relative, no "..", '/' between its parts
  std::string content;
  bool executable = false;
};

// The regular files of a tar archive (POSIX ustar and pax, GNU long names); folders are implied.
// Errors: kMalformed; kInvalidArgument for links, devices and paths that lead outside.
Result<std::vector<TarFile>> read_tar(std::string_view archive);

// A ustar archive; the same files give the same bytes. Errors: kInvalidArgument for a path over 255
// bytes.
Result<std::string> write_tar(const std::vector<TarFile>& files);

}  // namespace strata::wire
