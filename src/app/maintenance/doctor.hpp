#pragma once

#include <string>
#include <vector>

#include "app/settings.hpp"

namespace strata::app {

// One thing that a server needs or profits from, and what is true of it on this machine.
struct Diagnosis {
  enum class State : std::uint8_t { kGood, kWarning, kBad };
  std::string what;
  State state = State::kGood;
  std::string found;  // what was seen, and how to mend it where it is not good
};
std::string_view state_name(Diagnosis::State state);

// Looks at what a server with these settings would meet here. Changes nothing; blocks for less than
// a second.
std::vector<Diagnosis> diagnose(const SettingSources& sources);

}  // namespace strata::app
