#include "wire/flow/tar.hpp"

#include <cstddef>
#include <cstdint>

// Any archive: its files lie within it, none leads outside, and they can be packed again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const auto files = read_tar({reinterpret_cast<const char*>(data), size});
  if (!files) return 0;
  std::size_t total = 0;
  for (const auto& file : *files) {
    total += file.content.size();
    const std::string framed = "/" + file.path + "/";
    if (file.path.empty() || framed.find("/../") != std::string::npos ||
        framed.find("//") != std::string::npos || framed.find('\0') != std::string::npos)
      __builtin_trap();
  }
  if (total > size) __builtin_trap();
  const auto packed = write_tar(*files);
  if (!packed) return 0;  // a long path that ustar cannot hold
  const auto again = read_tar(*packed);
  if (!again || again->size() != files->size()) __builtin_trap();
  for (std::size_t i = 0; i < files->size(); ++i) {
    if ((*again)[i].path != (*files)[i].path || (*again)[i].content != (*files)[i].content ||
        (*again)[i].executable != (*files)[i].executable)
      __builtin_trap();
  }
  return 0;
}
