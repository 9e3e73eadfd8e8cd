// What releases do with bad candidates and with none: over 30 kinds of bad releases on simulated
// traffic, each with the default plan and, for comparison, without a shadow, and 1,000 releases of
// the live version itself. Drives the real assignment, statistics and state machine, as the server
// does; a gate stops nothing here. Prints the figures, and fails when they miss what is promised:
// every bad release stopped below 10 % of the traffic, within a second of the request that decided,
// and at most 10 of the 1,000 rolled back.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "platform/deployment/arms.hpp"
#include "platform/release/machine.hpp"

namespace {

using namespace strata::platform;
using release::Ending;
using release::Event;
using release::EventKind;
using release::Evidence;
using release::Observation;
using release::Stage;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A flight, as a delay model sees it.
struct Row {
  double distance, wind, hour, cold, load, late_before;
};

// SplitMix64 (Steele, Lea and Flood 2014): seeded at no cost, for each entity anew.
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed) : state_(seed) {}
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }
  std::uint64_t operator()() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

 private:
  std::uint64_t state_;
};

Row draw_row(Random& random) {
  std::uniform_real_distribution<double> unit(0, 1);
  std::normal_distribution<double> noise;
  return {100 + 2900 * unit(random),
          30 * unit(random) * unit(random),
          std::floor(24 * unit(random)),
          unit(random) < 0.2 ? 1.0 : 0.0,
          std::min(1.0, 0.6 + 0.2 * std::abs(noise(random))),
          std::max(0.0, 20 * noise(random))};
}

// The live version: minutes of delay.
double minutes(const Row& r) {
  return 0.9 * r.late_before + 1.1 * r.wind + 6 * r.cold + 0.5 * std::abs(r.hour - 4) +
         8 * (r.load - 0.6) + 0.001 * r.distance;
}

double live_micros(Random& random) {
  std::normal_distribution<double> noise;
  return 400 * std::exp(0.6 * noise(random));
}

Observation answer(double output, double micros) {
  Observation seen{Ending::kAnswered, micros, output, true};
  if (!std::isfinite(output)) {
    seen.finite = false;
    seen.output.reset();
  }
  return seen;
}

struct Kind {
  const char* name;
  std::function<Observation(Row, Random&, std::uint64_t)> candidate;  // the row, its number
};

// A candidate that computes as the live one, from another row.
Kind with_row(const char* name, std::function<void(Row&)> change) {
  return {name, [change = std::move(change)](Row row, Random& random, std::uint64_t) {
            change(row);
            return answer(minutes(row), live_micros(random));
          }};
}

Kind with_output(const char* name, std::function<double(double, Random&)> change) {
  return {name, [change = std::move(change)](Row row, Random& random, std::uint64_t) {
            return answer(change(minutes(row), random), live_micros(random));
          }};
}

Kind with_time(const char* name, std::function<double(double, Random&, std::uint64_t)> change) {
  return {name, [change = std::move(change)](Row row, Random& random, std::uint64_t i) {
            return answer(minutes(row), change(live_micros(random), random, i));
          }};
}

Kind with_ending(const char* name, Ending ending,
                 std::function<bool(const Row&, Random&, std::uint64_t)> when) {
  return {name, [ending, when = std::move(when)](Row row, Random& random, std::uint64_t i) {
            if (when(row, random, i)) return Observation{ending, 0, {}, true};
            return answer(minutes(row), live_micros(random));
          }};
}

bool chance(Random& random, double p) {
  return std::uniform_real_distribution<double>(0, 1)(random) < p;
}

std::vector<Kind> bad_features() {
  return {
      with_row("features swapped: wind and distance",
               [](Row& r) { std::swap(r.wind, r.distance); }),
      with_row("features swapped: wind and hour", [](Row& r) { std::swap(r.wind, r.hour); }),
      with_row("features swapped: hour and late_before",
               [](Row& r) { std::swap(r.hour, r.late_before); }),
      with_row("features swapped: load and late_before",
               [](Row& r) { std::swap(r.load, r.late_before); }),
      with_row("wrong unit: wind in km/h", [](Row& r) { r.wind *= 3.6; }),
      with_row("wrong unit: late_before in seconds", [](Row& r) { r.late_before *= 60; }),
      with_row("wrong unit: late_before in hours", [](Row& r) { r.late_before /= 60; }),
      with_row("wrong unit: distance in metres", [](Row& r) { r.distance *= 1609; }),
      with_row("wrong unit: load in percent", [](Row& r) { r.load *= 100; }),
      with_row("feature constant: late_before is 0", [](Row& r) { r.late_before = 0; }),
      with_row("feature constant: late_before is 30", [](Row& r) { r.late_before = 30; }),
      with_row("feature default: wind is -999", [](Row& r) { r.wind = -999; }),
      with_row("feature missing: late_before is NaN", [](Row& r) { r.late_before = kNan; }),
      with_row("feature missing: cold is NaN on cold days",
               [](Row& r) { r.cold = r.cold > 0 ? kNan : 0; }),
      with_row("sign flipped: late_before", [](Row& r) { r.late_before = -r.late_before; }),
      with_row("category shifted: cold is inverted and scaled",
               [](Row& r) { r.cold = 5 * (1 - r.cold); }),
  };
}

std::vector<Kind> bad_outputs() {
  using Limits = std::numeric_limits<double>;
  return {
      with_output("constant output", [](double, Random&) { return 12.0; }),
      with_output("output is always 0", [](double, Random&) { return 0.0; }),
      with_output("output is NaN", [](double, Random&) { return kNan; }),
      with_output("one answer in 20 is NaN",
                  [](double y, Random& random) { return chance(random, 0.05) ? kNan : y; }),
      with_output("output is infinite", [](double, Random&) { return Limits::infinity(); }),
      with_output("output in seconds", [](double y, Random&) { return 60 * y; }),
      with_output("output in hours", [](double y, Random&) { return y / 60; }),
      with_output("output negated", [](double y, Random&) { return -y; }),
      with_output("output shifted by 20", [](double y, Random&) { return y + 20; }),
      with_output("output scaled by 3", [](double y, Random&) { return 3 * y; }),
      with_output("output is a class instead of minutes",
                  [](double y, Random&) { return y > 15 ? 1.0 : 0.0; }),
      with_output("output clipped at 10", [](double y, Random&) { return std::min(y, 10.0); }),
      with_output(
          "output of an untrained model",
          [](double, Random& random) { return std::normal_distribution<double>()(random); }),
  };
}

std::vector<Kind> bad_service() {
  return {
      with_time("10 ms slower", [](double t, Random&, std::uint64_t) { return t + 10'000; }),
      with_time("one request in 3 takes 100 ms",
                [](double t, Random& r, std::uint64_t) { return chance(r, 0.33) ? 100'000 : t; }),
      with_time(
          "slower with every request",
          [](double t, Random&, std::uint64_t i) { return t + 100.0 * static_cast<double>(i); }),
      with_ending("every request fails", Ending::kFailed,
                  [](const Row&, Random&, std::uint64_t) { return true; }),
      with_ending("one request in 10 fails", Ending::kFailed,
                  [](const Row&, Random& r, std::uint64_t) { return chance(r, 0.1); }),
      with_ending("night flights fail", Ending::kFailed,
                  [](const Row& row, Random&, std::uint64_t) { return row.hour < 5; }),
      with_ending("fails from the 60th request on", Ending::kFailed,
                  [](const Row&, Random&, std::uint64_t i) { return i >= 60; }),
      with_ending("a column is required that clients do not send", Ending::kRejected,
                  [](const Row&, Random&, std::uint64_t) { return true; }),
      with_ending("one request in 10 does not fit its signature", Ending::kRejected,
                  [](const Row&, Random& r, std::uint64_t) { return chance(r, 0.1); }),
      with_ending("cold days are refused", Ending::kRejected,
                  [](const Row& row, Random&, std::uint64_t) { return row.cold > 0; }),
  };
}

// The traffic of an endpoint, and how its live version takes it.
struct Traffic {
  const char* name;
  std::uint64_t entities;  // among which requests are drawn
  double errors = 0;
  bool classes = false;
  bool once = false;  // no entity comes twice
};

struct Outcome {
  release::State state;
  std::uint32_t share = 0;     // the largest that it had
  std::uint64_t requests = 0;  // of the endpoint, since the start
  std::uint64_t seen = 0;      // by the candidate
  double micros = 0;           // from the deciding request to the state that follows
  std::string reason;
};

// One release from its gates to its end, or to the alias.
class Run {
 public:
  Run(release::Plan plan, std::uint64_t seed, const Traffic& traffic, const Kind* bad)
      : plan_(std::move(plan)),
        random_(seed),
        traffic_(traffic),
        bad_(bad),
        salt_("r" + std::to_string(seed)),
        evidence_(plan_.limits) {}

  Outcome play(std::uint64_t most) {
    apply({EventKind::kGatesPassed});
    apply({EventKind::kReady});
    for (; out_.requests < most && !state_.over() && state_.stage != Stage::kLive; ++out_.requests)
      request();
    out_.state = state_;
    return out_;
  }

 private:
  Observation live(const Row& row) {
    if (chance(random_, traffic_.errors)) return {Ending::kFailed, 0, {}, true};
    const double y = minutes(row);
    return answer(traffic_.classes ? (y > 20 ? 1.0 : 0.0) : y, live_micros(random_));
  }
  // The same model asked again: the same output in another time, or not.
  Observation again(const Observation& answered) {
    ++out_.seen;
    if (chance(random_, traffic_.errors)) return {Ending::kFailed, 0, {}, true};
    Observation seen = answered;
    seen.ending = Ending::kAnswered;
    seen.latency_us = live_micros(random_);
    return seen;
  }
  Observation candidate(const Row& row) {
    ++out_.seen;
    return bad_ != nullptr ? bad_->candidate(row, random_, out_.seen) : live(row);
  }

  void request() {
    const auto number = random_() % traffic_.entities;
    const auto want = release::wanted(plan_, state_);
    out_.share = std::max(out_.share, want.share);
    Random of_entity(number * 7919 + 13);
    if (want.shadow) {
      const Row row = draw_row(of_entity);
      const auto answered = live(row);
      evidence_.add_pair(answered, bad_ == nullptr ? again(answered) : candidate(row));
    } else {
      // Entities that come once fall anywhere: their bucket need not be computed.
      const auto bucket = traffic_.once
                              ? static_cast<std::uint32_t>(random_() % deployment::kBuckets)
                              : deployment::bucket_of(salt_, std::to_string(number));
      const auto route = deployment::route_of(bucket, want.share);
      if (route == deployment::Route::kLive) return;
      const Row row = draw_row(of_entity);
      const bool canary = route == deployment::Route::kCanary;
      evidence_.add(canary, canary ? candidate(row) : live(row));
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto event = release::judge(plan_, state_, evidence_);
    if (!event) return;
    apply(*event);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    out_.micros = took.count();
    out_.reason = event->reason;
  }

  void apply(const Event& event) {
    const auto before = state_.stage;
    state_ = release::step(plan_, state_, event).value_or(state_);
    if (before == Stage::kShadow && state_.stage == Stage::kCanary)
      evidence_ = Evidence(plan_.limits, evidence_);
  }

  release::Plan plan_;
  Random random_;
  const Traffic& traffic_;
  const Kind* bad_;
  std::string salt_;
  release::State state_;
  Evidence evidence_;
  Outcome out_;
};

constexpr std::uint64_t kMostRequests = 400'000;

bool stop_bad(bool shadow) {
  const Traffic traffic{"", 1'000'000};  // each release by the real assignment
  bool all = true;
  int number = 0, stopped = 0;
  double slowest = 0;
  std::printf("\nBad releases%s\n%-52s %-8s %9s %9s  %s\n", shadow ? "" : ", without a shadow",
              "kind", "share", "candidate", "requests", "decided by");
  for (const auto& kinds : {bad_features(), bad_outputs(), bad_service()}) {
    for (const auto& kind : kinds) {
      release::Plan plan;
      if (!shadow) plan.shadow_sample = 0;
      const auto out =
          Run(plan, 100 + static_cast<std::uint64_t>(++number), traffic, &kind).play(kMostRequests);
      const bool good = out.state.stage == Stage::kRolledBack && out.share < 1'000;
      stopped += good ? 1 : 0;
      all = all && good;
      slowest = std::max(slowest, out.micros);
      std::printf("%-52s %5.1f %% %9llu %9llu  %s%s\n", kind.name, out.share / 100.0,
                  static_cast<unsigned long long>(out.seen),
                  static_cast<unsigned long long>(out.requests), good ? "" : "MISSED ",
                  out.reason.c_str());
    }
  }
  std::printf(
      "%d of %d stopped below 10 %% of the traffic; at most %.0f us from the deciding "
      "request to the decision\n",
      stopped, number, slowest);
  return all && slowest < 1e6;
}

bool leave_good(int count) {
  const std::vector<Traffic> kinds = {{"each entity once", 1'000'000'000, 0, false, true},
                                      {"entities that return", 20'000},
                                      {"2 % errors", 1'000'000'000, 0.02, false, true},
                                      {"classes", 1'000'000'000, 0, true, true}};
  int rolled = 0, held = 0;
  std::printf("\nReleases of the live version itself\n%-24s %9s %12s %6s %9s\n", "traffic",
              "releases", "rolled back", "held", "promoted");
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    int back = 0, waits = 0, up = 0;
    const int of_kind = count / static_cast<int>(kinds.size());
    for (int i = 0; i < of_kind; ++i) {
      const auto seed = 1'000'000 * (k + 1) + static_cast<std::uint64_t>(i);
      const auto out = Run({}, seed, kinds[k], nullptr).play(kMostRequests);
      back += out.state.stage == Stage::kRolledBack ? 1 : 0;
      up += out.state.stage == Stage::kLive ? 1 : 0;
      waits += out.state.held.empty() ? 0 : 1;
    }
    std::printf("%-24s %9d %12d %6d %9d\n", kinds[k].name, of_kind, back, waits, up);
    rolled += back;
    held += waits;
  }
  std::printf("%d of %d rolled back, %d held\n", rolled, count, held);
  return rolled * 100 <= count;
}

}  // namespace

int main() {
  const bool stopped = stop_bad(true);
  stop_bad(false);  // for comparison: what asks both the same has more to tell them apart by
  const bool left = leave_good(1'000);
  return stopped && left ? 0 : 1;
}
