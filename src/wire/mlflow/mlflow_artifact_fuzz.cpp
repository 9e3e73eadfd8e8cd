#include "wire/mlflow/mlflow_artifact.hpp"

#include <cstddef>
#include <cstdint>

#include "wire/uri.hpp"

// Any path: one that is taken stays below its root, decoded as often as anyone may like.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(mlflow::check_artifact_uri(text, "uri").ok());
  static_cast<void>(mlflow::proxied_path(text));
  const auto path = mlflow::check_artifact_path(text, "path");
  if (!path) return 0;
  if (mlflow::check_artifact_path(*path, "path").value() != *path) __builtin_trap();
  std::string decoded = *path;
  while (true) {
    const std::string framed = "/" + decoded + "/";
    if (decoded.empty() || framed.find("/../") != std::string::npos || decoded.front() == '/' ||
        framed.find('\\') != std::string::npos || framed.find('\0') != std::string::npos)
      __builtin_trap();
    const auto next = percent_decode(decoded);
    if (!next || *next == decoded) return 0;
    decoded = *next;
  }
}
