#include "resources/workflow/zones.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "resources/workflow/workflow.hpp"
#include "runtime/files.hpp"

namespace strata::resources::workflow {
namespace {

bool is_zone_name(const std::string& name) {
  if (name.empty() || name.size() > 64 || name.front() == '/') return false;
  for (const std::string& part : split(name, '/')) {
    if (part.empty() || part.front() == '.') return false;
  }
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/_+-").contains(c);
  });
}

}  // namespace

Result<wire::TimeZone> load_zone(const std::string& name) {
  if (name == "UTC") return wire::TimeZone::utc();
  if (!is_zone_name(name)) {
    return invalid("timezone", fmt::format("'{}' is no name of a time zone", printable(name)));
  }
  static std::mutex mutex;
  static std::map<std::string, wire::TimeZone> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(name); found != known.end()) return found->second;
  SystemFiles files;
  const auto bytes = files.read_all("/usr/share/zoneinfo/" + name);
  if (!bytes) {
    return not_found(
        fmt::format("time zone '{}' is not in /usr/share/zoneinfo (package tzdata)", name));
  }
  auto zone = wire::TimeZone::parse(name, *bytes);
  if (!zone) return zone;
  return known.emplace(name, std::move(*zone)).first->second;
}

bool Workflows::zone_known(const std::string& zone) {
  return load_zone(zone).ok();
}

}  // namespace strata::resources::workflow
