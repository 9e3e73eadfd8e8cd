#pragma once

#include <array>

#include "platform/experiments/flags.hpp"

namespace strata::platform::experiments {

// All that a project keeps of flags, in memory: the newest version of each thing. Immutable once it
// is published.
struct ProjectFlags {
  std::int64_t revision = 0;
  Instant updated;
  std::array<std::map<std::string, Version, std::less<>>, 3> things;  // by kind

  const Version* newest(Kind kind, std::string_view name) const;
  void put(Version version);
  std::vector<Version> list(Kind kind, std::string_view after, std::size_t limit) const;
  // Whether all of it fits together. Errors: kInvalidArgument, kQuotaExceeded.
  Status check() const;
  std::shared_ptr<const Snapshot> snapshot(const ProjectId& id, Instant now) const;

 private:
  wire::growthbook::SavedGroups groups() const;
};

}  // namespace strata::platform::experiments
