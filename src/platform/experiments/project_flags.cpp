#include "platform/experiments/project_flags.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/digest.hpp"

namespace strata::platform::experiments {

namespace gb = wire::growthbook;

const Version* ProjectFlags::newest(Kind kind, std::string_view name) const {
  const auto& all = things[static_cast<std::size_t>(kind)];
  const auto at = all.find(name);
  return at == all.end() ? nullptr : &at->second;
}

void ProjectFlags::put(Version version) {
  auto& all = things[static_cast<std::size_t>(version.kind)];
  const std::string name = version.name;
  all.insert_or_assign(name, std::move(version));
}

std::vector<Version> ProjectFlags::list(Kind kind, std::string_view after,
                                        std::size_t limit) const {
  const auto& all = things[static_cast<std::size_t>(kind)];
  std::vector<Version> out;
  for (auto at = all.upper_bound(after); at != all.end() && out.size() < limit; ++at) {
    if (!at->second.deleted) out.push_back(at->second);
  }
  return out;
}

gb::SavedGroups ProjectFlags::groups() const {
  gb::SavedGroups out;
  for (const auto& [name, version] : things[static_cast<std::size_t>(Kind::kGroup)]) {
    if (!version.deleted) out.emplace(name, version.definition);
  }
  return out;
}

Status ProjectFlags::check() const {
  gb::FlagDefinitions flags;
  std::size_t bytes = 0;
  for (const auto& all : things) {
    std::size_t standing = 0;
    for (const auto& [name, version] : all) {
      if (version.deleted) continue;
      ++standing;
      bytes += version.definition.dump().size();
      if (version.kind == Kind::kFlag) flags.emplace(name, version.definition);
    }
    if (standing > kMaxFlags)
      return Error(Code::kQuotaExceeded,
                   fmt::format("a project keeps at most {} of each kind; delete what nobody asks "
                               "for any more",
                               kMaxFlags));
  }
  if (bytes > kMaxDefinitions)
    return Error(Code::kQuotaExceeded,
                 fmt::format("the definitions of the project would have {} bytes, {} may be; "
                             "delete flags, or shorten groups",
                             bytes, kMaxDefinitions));
  return gb::check_flags(flags, groups());
}

std::shared_ptr<const Snapshot> ProjectFlags::snapshot(const ProjectId& id, Instant now) const {
  auto out = std::make_shared<Snapshot>();
  out->project = id;
  out->revision = revision;
  gb::FlagDefinitions given;
  for (const auto& [name, version] : things[static_cast<std::size_t>(Kind::kFlag)]) {
    if (version.deleted) continue;
    out->states.emplace(name, version.state);
    out->versions.emplace(name, version.number);
    if (version.state == State::kOn) given.emplace(name, version.definition);
    if (version.state == State::kOff)
      given.emplace(name, Json::object({{"default", version.definition["default"]}}));
  }
  std::vector<gb::Holdout> holdouts;
  for (const auto& [name, version] : things[static_cast<std::size_t>(Kind::kHoldout)]) {
    if (version.deleted) continue;
    if (auto holdout = gb::read_holdout(name, version.definition))
      holdouts.push_back(*std::move(holdout));
  }
  out->until = gb::next_step(given, now);
  // A ramp that went on since the last change makes the payload newer than that.
  out->updated = std::max(updated, gb::last_step(given, now).value_or(updated));
  Json payload = gb::payload_of(given, holdouts, now, groups());
  payload.set("dateUpdated", to_rfc3339(out->updated));
  Json answer = Json::object({{"status", 200}});
  for (auto& [name, value] : payload.as_object())
    answer.as_object().emplace_back(name, std::move(value));
  out->text = answer.dump();
  out->etag = "\"" + content_digest(out->text).substr(7, 32) + "\"";
  out->payload = std::make_shared<gb::Payload>(std::move(answer));
  return out;
}

}  // namespace strata::platform::experiments
