#include "resources/workflow/triggers.hpp"

#include <fmt/format.h>

#include "resources/workflow/zones.hpp"
#include "wire/flow/cron.hpp"

namespace strata::resources::workflow {

std::string trigger_name(const std::string& project, const std::string& flow,
                         const wire::CronTrigger& trigger) {
  return fmt::format("cron:{}/{}:{} {}", project, flow, trigger.cron, trigger.timezone);
}

Result<std::optional<Instant>> next_fire(const wire::CronTrigger& trigger, Instant now) {
  const auto cron = wire::Cron::parse(trigger.cron);
  if (!cron) return cron.error();
  const auto zone = load_zone(trigger.timezone);
  if (!zone) return zone.error();
  return cron->next(now, *zone);
}

Result<std::optional<Instant>> due_fire(const wire::CronTrigger& trigger, Instant last,
                                        Instant now) {
  const auto cron = wire::Cron::parse(trigger.cron);
  if (!cron) return cron.error();
  const auto zone = load_zone(trigger.timezone);
  if (!zone) return zone.error();
  auto first = cron->next(last, *zone);
  if (!first || *first > now) return std::optional<Instant>();
  // After a long downtime do not walk through all that was missed: look for the latest in windows
  // that double.
  for (auto back = std::chrono::microseconds(std::chrono::minutes(2)); now - back > *first;
       back *= 2) {
    const auto recent = cron->next(now - back, *zone);
    if (recent && *recent <= now) {
      first = recent;
      break;
    }
  }
  for (auto next = cron->next(*first, *zone); next && *next <= now;
       next = cron->next(*first, *zone))
    first = next;
  return first;
}

bool matches(const wire::EventTrigger& trigger, const std::string& bucket, const std::string& key) {
  return trigger.bucket == bucket && key.starts_with(trigger.prefix);
}

}  // namespace strata::resources::workflow
