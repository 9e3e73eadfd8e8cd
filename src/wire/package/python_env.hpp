#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// What MLflow writes about a model's environment beside requirements.txt.
struct PythonEnv {
  std::string python;                     // "3.11.2"; empty when it is not said
  std::vector<std::string> dependencies;  // lines of requirements
  std::vector<std::string> conda;         // packages of conda's own, without python and pip
};

// python_env.yaml. Errors: kMalformed, kTooLarge.
Result<PythonEnv> parse_python_env(std::string_view yaml);
// conda.yaml; `dependencies` are those of its pip section. Errors: kMalformed, kTooLarge.
Result<PythonEnv> parse_conda_env(std::string_view yaml);

}  // namespace strata::wire
