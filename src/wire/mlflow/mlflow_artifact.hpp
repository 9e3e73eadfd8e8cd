#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace strata::wire::mlflow {

// Checks a path below an artifact root that was percent-decoded once: relative, '/'-separated, no
// empty, "." or ".." part, no backslash, '#', '?' or control character, also none that further
// percent-decoding would bring out, at most 1,000 bytes of UTF-8. The empty path is legal only
// where `may_be_root`. Gives the path without a trailing slash. Errors: kInvalidArgument on
// `field`.
Result<std::string> check_artifact_path(std::string_view path, std::string_view field,
                                        bool may_be_root = false);

// The same for the location of an experiment or a model version given by a client:
// "mlflow-artifacts:/..." or another scheme with an authority ("s3://bucket/prefix"); never a path
// on the server. Errors: kInvalidArgument on `field`.
Status check_artifact_uri(std::string_view uri, std::string_view field);

// The store path behind "mlflow-artifacts:/a/b", or nothing for any other location.
std::optional<std::string> proxied_path(std::string_view uri);

// An MLmodel file (YAML) without what merely records its making: the top-level entries run_id,
// model_id, model_uuid, artifact_path and utc_time_created. All other bytes stay as they are, so
// equal results mean equal flavors, signature, metadata and versions.
std::string canonical_mlmodel(std::string_view yaml);

}  // namespace strata::wire::mlflow
