#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// What a Python package needs: lines of a requirements.txt, and their canonical form.

struct VersionClause {
  std::string op;       // "==", ">=", "===" ...
  std::string version;  // as written; "1.2.*" behind == and !=
};

// One dependency specifier (PEP 508).
struct Requirement {
  std::string name;                    // normalised (PEP 503)
  std::vector<std::string> extras;     // normalised, sorted, each once
  std::vector<VersionClause> clauses;  // sorted by their text, each once
  std::string url;                     // of "name @ url"
  std::string marker;                  // as written
  std::vector<std::string> hashes;     // "sha256:..." of pip's --hash, sorted

  // Whether it names one version: "==" without a wildcard, or "===".
  bool locked() const;
  // "name[extra]<2,==1.0; marker --hash=sha256:...": the same for every way to write the same.
  std::string canonical() const;
};

// Specs: PEP 508 (dependency specifiers), PEP 440 (versions), pip's --hash. Errors: kMalformed
// saying what is wrong.
Result<Requirement> parse_requirement(std::string_view text);

// "Foo._Bar" is "foo-bar" (PEP 503).
std::string normal_package_name(std::string_view name);

// One line of a requirements file that asks for something.
struct RequirementLine {
  std::size_t line = 0;                    // from 1; the first one of continued lines
  std::string text;                        // without comment and surrounding blanks
  std::optional<Requirement> requirement;  // none when it is not one by itself
  std::string open;                        // why it does not name one version; empty when it does
};

inline constexpr std::size_t kMaxRequirementsFile = 1U << 20U;
inline constexpr std::size_t kMaxRequirementLines = 10'000;

// Every line that asks for something; comments, blank lines and options about where packages come
// from ask for nothing. Lines that cannot be read, and options that add others (-r, -c, -e), are
// open lines. Spec: pip's requirements file format. Errors: kTooLarge.
Result<std::vector<RequirementLine>> read_requirements(std::string_view text);

}  // namespace strata::wire
