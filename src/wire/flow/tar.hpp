#pragma once

#include <cstdint>
#include <functional>
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

// A regular file in an archive, and where its bytes lie there.
struct TarEntry {
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  bool executable = false;
};

// An archive that is read in pieces: `read` gives `count` bytes from `offset`, all of them within
// `size`, or an error.
struct TarSource {
  std::uint64_t size = 0;
  std::function<Result<std::string>(std::uint64_t offset, std::size_t count)> read;
};

// The regular files of a tar archive (POSIX ustar and pax, GNU long names and sizes), without their
// bytes; folders are implied. Reads the headers alone. Errors: kMalformed; kInvalidArgument for
// links, devices, sparse files, paths that lead outside and paths that come twice; kTooLarge for
// more than `most` files.
Result<std::vector<TarEntry>> list_tar(const TarSource& archive, std::size_t most);

// The same with the bytes, of an archive in memory.
Result<std::vector<TarFile>> read_tar(std::string_view archive);

// What stands before the bytes of a file: a ustar header, with a pax header before it for a path or
// size that ustar cannot hold. The time is 0, the owner 0, the mode 0644 or 0755.
std::string tar_header(std::string_view path, std::uint64_t size, bool executable);
// What fills up the last block of a file of that size.
std::string tar_padding(std::uint64_t size);
// What ends an archive.
std::string tar_end();

// A whole archive; the same files give the same bytes.
Result<std::string> write_tar(const std::vector<TarFile>& files);

}  // namespace strata::wire
