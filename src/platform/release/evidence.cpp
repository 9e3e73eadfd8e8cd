#include "platform/release/evidence.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace strata::platform::release {

namespace {

using statistics::Alternative;
using statistics::Proportion;
using statistics::Question;

struct Field {
  const char* name;
  double Limits::* member;
  double low, high;
};
constexpr Field kFields[] = {{"alpha", &Limits::alpha, 1e-9, 0.1},
                             {"errors", &Limits::errors, 0, 1},
                             {"rejects", &Limits::rejects, 0, 1},
                             {"not_finite", &Limits::not_finite, 0, 1},
                             {"latency_ratio", &Limits::latency_ratio, 1, 1000},
                             {"tail_ratio", &Limits::tail_ratio, 1, 1000},
                             {"memory_ratio", &Limits::memory_ratio, 1, 1000},
                             {"output_shift", &Limits::output_shift, 0.01, 1},
                             {"disagreement", &Limits::disagreement, 0.01, 1}};

double p_of(double evidence) {
  return std::min(1.0, std::exp(-evidence));
}

// Where the mixtures for the times are narrowest: about the first step's requests.
constexpr statistics::Tuning kTuning{400, 0.001};

}  // namespace

Json Limits::to_json() const {
  Json json = Json::object();
  for (const auto& field : kFields)
    json.set(field.name, this->*field.member);
  return json;
}

Result<Limits> Limits::from_json(const Json& json) {
  Limits limits;
  if (json.is_null()) return limits;
  for (const auto& [name, value] : json.as_object()) {
    const auto* const field =
        std::ranges::find_if(kFields, [&](const Field& f) { return name == f.name; });
    if (field == std::end(kFields)) {
      return invalid("limits." + name,
                     "limits: '" + name +
                         "' is no limit; use alpha, errors, rejects, not_finite, latency_ratio, "
                         "tail_ratio, memory_ratio, output_shift and disagreement");
    }
    const double number = value.as_double();
    if (!value.is_number() || !(number >= field->low && number <= field->high)) {
      return invalid("limits." + name, fmt::format("limits.{}: must be a number from {} to {}",
                                                   name, field->low, field->high));
    }
    limits.*field->member = number;
  }
  return limits;
}

bool Finding::within() const {
  return metric.starts_with("outputs") ? std::abs(effect) <= limit : effect <= limit;
}

Json Finding::to_json() const {
  return Json::object({{"metric", metric},
                       {"unit", unit},
                       {"control", control},
                       {"candidate", candidate},
                       {"effect", effect},
                       {"limit", limit},
                       {"p_value", p_value},
                       {"needed", needed},
                       {"requests_control", requests_control},
                       {"requests_candidate", requests_candidate},
                       {"within", within()}});
}

void Evidence::add(bool candidate, const Observation& seen) {
  Arm& to = arm(candidate);
  ++to.requests;
  if (seen.ending == Ending::kRejected) ++to.rejected;
  if (seen.ending == Ending::kFailed) ++to.failed;
  if (seen.ending != Ending::kAnswered) return;
  if (seen.timed) to.log_latency.add(std::log(seen.latency_us + kLatencyFloorMicros));
  if (!seen.finite) ++to.not_finite;
  if (seen.output && std::isfinite(*seen.output)) bin(to, candidate, *seen.output);
}

void Evidence::bin(Arm& to, bool candidate, double output) {
  if (!bins_.frozen) {
    if (candidate) return;
    bins_.first.push_back(output);
    if (bins_.first.size() == kFreeze) freeze();
    return;
  }
  ++to.bins.at(place_of(output));
  ++to.binned;
}

std::size_t Evidence::place_of(double output) const {
  const auto& edges = bins_.edges;
  auto place = std::ranges::lower_bound(edges, output);
  if (bins_.values && place != edges.end() && *place != output) place = edges.end();
  return static_cast<std::size_t>(place - edges.begin());
}

void Evidence::add_pair(const Observation& live, const Observation& shadow) {
  add(false, live);
  add(true, shadow);
  const auto usable = [](const Observation& seen) {
    return seen.ending == Ending::kAnswered && seen.output && std::isfinite(*seen.output);
  };
  if (!bins_.frozen || !usable(live) || !usable(shadow)) return;
  const auto one = place_of(*live.output), other = place_of(*shadow.output);
  const auto apart = std::max(one, other) - std::min(one, other);
  ++pairs_;
  if (apart > (bins_.values ? 0 : kNear)) ++apart_;
}

void Evidence::freeze() {
  auto& sorted = bins_.first;
  std::ranges::sort(sorted);
  std::vector<double> values = sorted;
  values.erase(std::unique(values.begin(), values.end()), values.end());
  bins_.values = values.size() <= kBins;
  if (bins_.values) {
    bins_.edges = std::move(values);
  } else {
    for (std::size_t i = 1; i < kBins; ++i)
      bins_.edges.push_back(sorted[i * sorted.size() / kBins]);
    auto& edges = bins_.edges;
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  }
  bins_.first.clear();
  bins_.frozen = true;
}

Finding Evidence::share(std::string metric, double Arm::* count, double limit) const {
  const Proportion control{arm(false).*count, arm(false).requests};
  const Proportion treated{arm(true).*count, arm(true).requests};
  Finding out;
  out.metric = std::move(metric);
  out.unit = "share";
  out.limit = limit;
  out.needed = limits_.alpha / kLimits;
  out.requests_control = control.count;
  out.requests_candidate = treated.count;
  if (control.count == 0 || treated.count == 0) return out;
  out.control = control.successes / control.count;
  out.candidate = treated.successes / treated.count;
  out.effect = out.candidate - out.control;
  out.p_value = p_of(statistics::sequential_evidence(
      control, treated, Question{Alternative::kGreater, limit, out.needed}));
  return out;
}

Finding Evidence::latency() const {
  const auto& control = arm(false).log_latency;
  const auto& treated = arm(true).log_latency;
  Finding out;
  out.metric = "latency";
  out.unit = "ratio";
  out.limit = limits_.latency_ratio;
  out.effect = 1;
  out.needed = limits_.alpha / kLimits;
  out.requests_control = control.count();
  out.requests_candidate = treated.count();
  if (control.count() == 0 || treated.count() == 0) return out;
  out.control = std::exp(control.mean(0)) - kLatencyFloorMicros;
  out.candidate = std::exp(treated.mean(0)) - kLatencyFloorMicros;
  out.effect = std::exp(treated.mean(0) - control.mean(0));
  if (control.count() < kLeastTimed || treated.count() < kLeastTimed) return out;
  if (out.effect <= out.limit) return out;
  const auto contrast =
      statistics::contrast_of({}, statistics::Scale::kAbsolute, 0, control, treated);
  out.p_value = p_of(statistics::sequential_evidence(
      contrast, Question{Alternative::kGreater, std::log(out.limit), out.needed}, kTuning));
  return out;
}

Finding Evidence::output(std::size_t bin) const {
  const Proportion control{arm(false).bins.at(bin), arm(false).binned};
  const Proportion treated{arm(true).bins.at(bin), arm(true).binned};
  const double infinite = std::numeric_limits<double>::infinity();
  Finding out;
  const double low = bin == 0 ? -infinite : bins_.edges[bin - 1];
  const double high = bin == bins_.edges.size() ? infinite : bins_.edges[bin];
  out.metric = !bins_.values               ? fmt::format("outputs({:.6g}..{:.6g}]", low, high)
               : bin == bins_.edges.size() ? std::string("outputs(other)")
                                           : fmt::format("outputs({:.6g})", bins_.edges[bin]);
  out.unit = "share";
  out.limit = limits_.output_shift;
  out.needed = limits_.alpha / kLimits / (2 * static_cast<double>(bins_.count()));
  out.requests_control = control.count;
  out.requests_candidate = treated.count;
  if (control.count == 0 || treated.count == 0) return out;
  out.control = control.successes / control.count;
  out.candidate = treated.successes / treated.count;
  out.effect = out.candidate - out.control;
  if (std::abs(out.effect) <= out.limit) return out;
  const bool more = out.effect > 0;
  const Question question{more ? Alternative::kGreater : Alternative::kLess,
                          more ? out.limit : -out.limit, out.needed};
  out.p_value = p_of(statistics::sequential_evidence(control, treated, question));
  return out;
}

// Against a control that always agrees with itself.
Finding Evidence::disagreement() const {
  Finding out;
  out.metric = "disagreement";
  out.unit = "share";
  out.limit = limits_.disagreement;
  out.needed = limits_.alpha / kLimits;
  out.requests_control = out.requests_candidate = pairs_;
  out.candidate = out.effect = apart_ / pairs_;
  const Question question{Alternative::kGreater, out.limit, out.needed};
  out.p_value = p_of(statistics::sequential_evidence({0, pairs_}, {apart_, pairs_}, question));
  return out;
}

bool Evidence::exceeds(double Arm::* count, double limit) const {
  const Arm& control = arm(false);
  const Arm& treated = arm(true);
  if (control.requests == 0 || treated.requests == 0) return false;
  return treated.*count / treated.requests - control.*count / control.requests > limit;
}

bool Evidence::moved(std::size_t bin) const {
  const Arm& control = arm(false);
  const Arm& treated = arm(true);
  if (control.binned == 0 || treated.binned == 0) return false;
  const double by = treated.bins.at(bin) / treated.binned - control.bins.at(bin) / control.binned;
  return std::abs(by) > limits_.output_shift;
}

template <class F>
void Evidence::each(bool exceeded, const F& look) const {
  const auto shares = [&](const char* name, double Arm::* count, double limit) {
    if (!exceeded || exceeds(count, limit)) look(share(name, count, limit));
  };
  shares("errors", &Arm::failed, limits_.errors);
  shares("rejects", &Arm::rejected, limits_.rejects);
  shares("not_finite", &Arm::not_finite, limits_.not_finite);
  const double slower = arm(true).log_latency.mean(0) - arm(false).log_latency.mean(0);
  if (!exceeded || slower > std::log(limits_.latency_ratio)) look(latency());
  if (pairs_ > 0 && limits_.disagreement < 1 &&
      (!exceeded || apart_ > pairs_ * limits_.disagreement))
    look(disagreement());
  if (!bins_.frozen || limits_.output_shift >= 1) return;
  for (std::size_t bin = 0; bin < bins_.count(); ++bin)
    if (!exceeded || moved(bin)) look(output(bin));
}

std::vector<Finding> Evidence::findings() const {
  std::vector<Finding> all;
  each(false, [&](Finding finding) { all.push_back(std::move(finding)); });
  return all;
}

std::optional<Finding> Evidence::harm() const {
  std::optional<Finding> worst;
  each(true, [&](Finding finding) {
    if (!finding.certain()) return;
    if (!worst || finding.p_value / finding.needed < worst->p_value / worst->needed)
      worst = std::move(finding);
  });
  return worst;
}

}  // namespace strata::platform::release
