#include "platform/monitoring/alarms.hpp"

#include <algorithm>

#include "platform/statistics/correction.hpp"

namespace strata::platform::monitoring {

namespace {

constexpr double kClosesBelow =
    0.7;  // of the threshold: an index at the threshold does not flutter
constexpr int kCalmLooks = 3;
constexpr std::chrono::seconds kBudgetPeriod{30 * 86400};

}  // namespace

std::chrono::seconds look_every(const Settings& settings) {
  return std::clamp(settings.window / 4, std::chrono::seconds(60), std::chrono::seconds(3600));
}

double look_alpha(const Settings& settings) {
  const auto looks = static_cast<double>(kBudgetPeriod / look_every(settings));
  return std::min(1.0, settings.false_alarms / looks);
}

std::vector<AlarmChange> step_alarms(std::map<std::string, Alarm>& alarms, std::vector<Look> looks,
                                     const Settings& settings) {
  std::vector<double> p_values;
  for (const auto& look : looks)
    p_values.push_back(look.p_value);
  const double alpha = look_alpha(settings);
  const auto adjusted =
      statistics::correct(statistics::Correction::kHolm, p_values, alpha).p_values;
  std::vector<AlarmChange> changes;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    auto& look = looks[i];
    auto& alarm = alarms[look.feature];
    if (!alarm.open && look.psi >= settings.threshold && adjusted[i] <= alpha) {
      alarm = {.open = true, .calm = 0};
      changes.push_back({look.feature, true, look});
    } else if (alarm.open && look.psi < kClosesBelow * settings.threshold) {
      if (++alarm.calm < kCalmLooks) continue;
      alarm = {};
      changes.push_back({look.feature, false, look});
    } else {
      alarm.calm = 0;
    }
  }
  std::erase_if(alarms, [](const auto& one) { return one.second == Alarm{}; });
  return changes;
}

}  // namespace strata::platform::monitoring
