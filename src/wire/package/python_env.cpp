#include "wire/package/python_env.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "wire/package/requirement.hpp"

namespace strata::wire {
namespace {

constexpr std::size_t kMaxFile = 256U << 10U;

Error malformed(std::string_view file, std::string_view what) {
  return Error(Code::kMalformed, fmt::format("{}: {}", file, printable(what, 200)));
}

// The scalars of a list; others in it are left out.
std::vector<std::string> scalars_of(const YAML::Node& list) {
  std::vector<std::string> out;
  if (!list || !list.IsSequence()) return out;
  for (const auto& item : list) {
    if (item.IsScalar() && out.size() < kMaxRequirementLines) out.push_back(item.Scalar());
  }
  return out;
}

// "python=3.11.2", "python==3.11.2=h1_0", "python 3.11": the version; nothing for another package.
bool take_python(std::string_view spec, std::string& python) {
  std::string_view rest = trim(spec);
  if (!rest.starts_with("python")) return false;
  rest.remove_prefix(6);
  if (!rest.empty() && !std::string_view("= <>!~").contains(rest.front())) return false;
  if (rest.starts_with('=') || rest.starts_with(' ')) {
    while (!rest.empty() && (rest.front() == '=' || rest.front() == ' '))
      rest.remove_prefix(1);
    const auto version = rest.substr(0, rest.find_first_of("= "));
    if (version.find_first_not_of("0123456789.") == std::string_view::npos) python = version;
  }
  return true;
}

bool is_pip(std::string_view spec) {
  spec = trim(spec);
  return spec.substr(0, spec.find_first_of("=<>!~ ")) == "pip";
}

template <class Read>
Result<PythonEnv> read(std::string_view file, std::string_view yaml, Read read_root) {
  if (yaml.size() > kMaxFile)
    return Error(Code::kTooLarge, fmt::format("{}: the file is larger than 256 KiB", file));
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (!root.IsMap()) return malformed(file, "it is no mapping");
    return read_root(root);
  } catch (const YAML::Exception& e) {
    return malformed(file, e.what());
  }
}

}  // namespace

Result<PythonEnv> parse_python_env(std::string_view yaml) {
  return read("python_env.yaml", yaml, [](const YAML::Node& root) {
    PythonEnv env;
    if (root["python"] && root["python"].IsScalar()) env.python = root["python"].Scalar();
    env.dependencies = scalars_of(root["dependencies"]);
    return env;
  });
}

Result<PythonEnv> parse_conda_env(std::string_view yaml) {
  return read("conda.yaml", yaml, [](const YAML::Node& root) {
    PythonEnv env;
    const YAML::Node list = root["dependencies"];
    if (!list || !list.IsSequence()) return env;
    for (const auto& item : list) {
      if (item.IsMap() && item["pip"]) env.dependencies = scalars_of(item["pip"]);
    }
    for (const auto& spec : scalars_of(list)) {
      if (!take_python(spec, env.python) && !is_pip(spec)) env.conda.push_back(spec);
    }
    return env;
  });
}

}  // namespace strata::wire
