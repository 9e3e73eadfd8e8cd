#include "platform/monitoring/distance_json.hpp"

#include <optional>

namespace strata::platform::monitoring {

namespace {

Json maybe(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

Json mean_of(const drift::Profile& profile) {
  return profile.moments().count() > 0 ? Json(profile.moments().mean(0)) : Json();
}

Json bins_json(const drift::Profile& reference, const drift::Profile& current) {
  Json bins = Json::array();
  for (std::size_t i = 0; i < reference.counts().size(); ++i) {
    // What never occurs is not worth a line.
    if (reference.counts()[i] == 0 && current.counts()[i] == 0) continue;
    bins.push(Json::object({{"label", reference.bins().label(i)},
                            {"reference", reference.counts()[i]},
                            {"current", current.counts()[i]}}));
  }
  return bins;
}

}  // namespace

std::string_view kind_name(drift::Kind kind) {
  return kind == drift::Kind::kNumber ? "number" : "category";
}

void add_distance(Json& out, const drift::Profile& reference, const drift::Profile& current,
                  bool with_bins) {
  const auto found = distance(reference, current);
  out.set("defined", found.defined);
  out.set("reference_rows", found.reference);
  out.set("current_rows", found.current);
  if (!found.defined) {
    out.set("reason", found.reason);
    return;
  }
  out.set("psi", found.psi);
  out.set("jensen_shannon", found.jensen_shannon);
  out.set("chi_squared", found.chi_squared);
  out.set("degrees_of_freedom", found.degrees);
  out.set("p_value", found.p_value);
  out.set("kolmogorov_smirnov", maybe(found.kolmogorov_smirnov));
  out.set("wasserstein", maybe(found.wasserstein));
  out.set("missing_reference", found.missing_before);
  out.set("missing_current", found.missing_now);
  out.set("unseen", found.unseen);
  out.set("mean_reference", mean_of(reference));
  out.set("mean_current", mean_of(current));
  if (with_bins) out.set("bins", bins_json(reference, current));
}

}  // namespace strata::platform::monitoring
