#include "wire/mlflow/mlflow_search.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/mlflow/mlflow_artifact.hpp"

// The first byte chooses the subject, the rest is a filter, an order and a path.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace mlflow = strata::wire::mlflow;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto subject = static_cast<mlflow::Subject>(data[0] % 5);
  (void)mlflow::parse_filter(text, subject).ok();
  (void)mlflow::parse_order(text, subject).ok();
  (void)mlflow::check_artifact_path(text, "path").ok();
  (void)mlflow::check_artifact_uri(text, "uri").ok();
  (void)mlflow::canonical_mlmodel(text);
  return 0;
}
