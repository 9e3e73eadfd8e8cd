#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "platform/monitoring/monitoring.hpp"

namespace strata::platform::monitoring {

// One feature at one look.
struct Look {
  std::string feature;
  double psi = 0;
  double p_value = 1;
};

// Of one feature. Kept as long as it is open or on its way.
struct Alarm {
  bool open = false;
  int calm = 0;  // looks in a row that were below, while it is open
  bool operator==(const Alarm&) const = default;
};

struct AlarmChange {
  std::string feature;
  bool opened = false;
  Look look;
};

// How long lies between two looks: a quarter of the window, from a minute to an hour.
std::chrono::seconds look_every(const Settings& settings);
// The chance that one look may raise an alarm without a change, so that 30 days of looks raise no
// more than the settings allow.
double look_alpha(const Settings& settings);

// What one look makes of the alarms of an endpoint: opened where the index reaches the threshold
// and Holm's adjusted p-value is at most look_alpha(); closed after three looks in a row below
// seven tenths of the threshold. A pure function.
std::vector<AlarmChange> step_alarms(std::map<std::string, Alarm>& alarms, std::vector<Look> looks,
                                     const Settings& settings);

}  // namespace strata::platform::monitoring
