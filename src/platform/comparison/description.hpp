#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "platform/comparison/comparison.hpp"

// What compare() decides from. Private to the room.
namespace strata::platform::comparison {

// Name and type, in the order of the signature.
using Fields = std::vector<std::pair<std::string, std::string>>;

struct Description {
  std::string model;
  std::int64_t version = 0;
  std::string digest, package_digest;
  Fields inputs, outputs, params;  // of the signature
  // "files", "requirements", "params" ...: each thing by its name, and what it is.
  std::map<std::string, std::map<std::string, Json>> sections;
  std::set<std::string> hidden;  // sections that the caller may not read
};

// The requirements of a requirements.txt by their names in pip's canonical spelling (PEP 503): what
// stands behind the name, or the whole line where there is no name.
std::map<std::string, Json> requirements_of(std::string_view text);

// The answer of Comparison::diff(). Pure.
Json compare(const Description& a, const Description& b);

}  // namespace strata::platform::comparison
