#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "platform/statistics/statistics.hpp"

namespace strata::platform::release {

// What a candidate may do worse than the concurrent control, fixed before the start.
struct Limits {
  double alpha = 0.005;        // the chance that a candidate within these limits is rolled back
  double errors = 0.01;        // of all requests, more than the control's share
  double rejects = 0.01;       // the same, of requests that do not fit the signature
  double not_finite = 0.001;   // the same, of answers with NaN or infinity
  double latency_ratio = 1.5;  // of the geometric means, each over latency + kLatencyFloor
  double tail_ratio = 2;       // of the 99th percentiles under the gates' load, likewise
  double memory_ratio = 2;     // of the processes that gates try the versions in, + kMemoryFloor
  double output_shift = 0.15;  // by which the share of outputs in any bin may differ; 1: anything
  double disagreement = 0.1;   // of the shadow's answers, far from the live version's; 1: anything

  Json to_json() const;
  // Errors: kInvalidArgument naming the field. What is absent keeps its default.
  static Result<Limits> from_json(const Json& json);
};

// Below this a model's time is not what a caller waits for.
inline constexpr double kLatencyFloorMicros = 1000;
// Below this a model's memory is not what a machine runs short of.
inline constexpr double kMemoryFloor = 64 << 20;

enum class Ending : std::uint8_t { kAnswered, kFailed, kRejected };

// One request, as far as arms are compared by it.
struct Observation {
  Ending ending = Ending::kAnswered;
  double latency_us = 0;           // of an answer
  std::optional<double> output{};  // the mean of the first numeric output; absent without one
  bool finite = true;              // no output was NaN or infinite
  bool timed = true;               // `latency_us` is known
};

// One limit as the arms stand to it now.
struct Finding {
  std::string metric;  // "errors", "latency", "outputs[3]" ...
  std::string unit;    // what the three values are: "share", "ratio"
  double control = 0, candidate = 0;
  double effect = 0;   // candidate against control: a difference of shares, or a ratio
  double limit = 0;    // what the effect may be
  double p_value = 1;  // against being within the limit, valid at every look
  double needed = 0;   // the p-value that decides: the limit's part of alpha
  double requests_control = 0, requests_candidate = 0;
  bool within() const;
  bool certain() const { return p_value <= needed; }
  Json to_json() const;
};

// The sufficient statistics of a candidate and its concurrent control, compared after every request
// by tests that hold at any look (statistics/sequential). The outputs' bins are the deciles of the
// control's first kFreeze answers, or its values when those are few; only answers after that count.
// The unit is a request: many requests of one entity that behave alike count for each of
// themselves. Not for several threads at once.
class Evidence {
 public:
  static constexpr std::size_t kFreeze = 100;
  static constexpr std::size_t kBins = 10;
  static constexpr std::size_t kNear = 2;
  // Before so many answers in each arm the times are not compared: their test is asymptotic.
  static constexpr double kLeastTimed = 50;

  explicit Evidence(Limits limits) : limits_(limits) {}
  // Keeps the bins of another stage, whose control was the same version.
  Evidence(Limits limits, const Evidence& before) : limits_(limits), bins_(before.bins_) {}

  void add(bool candidate, const Observation& seen);
  // The same request answered by both, as in a shadow. They disagree when the answers lie more than
  // kNear bins apart, or are other values.
  void add_pair(const Observation& live, const Observation& shadow);

  // The limit that the candidate has certainly broken, if any: the worst one.
  std::optional<Finding> harm() const;
  // All limits, with their numbers.
  std::vector<Finding> findings() const;
  double requests(bool candidate) const { return arm(candidate).requests; }

 private:
  struct Arm {
    double requests = 0, failed = 0, rejected = 0, not_finite = 0;
    statistics::Moments log_latency{1};
    double binned = 0;
    std::array<double, kBins + 1> bins{};
  };
  // Each has its part of alpha: errors, rejects, not finite, latency, disagreement, and the outputs
  // together.
  static constexpr double kLimits = 6;

  Arm& arm(bool candidate) { return arms_[candidate ? 1 : 0]; }
  const Arm& arm(bool candidate) const { return arms_[candidate ? 1 : 0]; }
  void bin(Arm& arm, bool candidate, double output);
  std::size_t place_of(double output) const;
  void freeze();
  Finding share(std::string metric, double Arm::* count, double limit) const;
  Finding latency() const;
  Finding output(std::size_t bin) const;
  Finding disagreement() const;
  // Calls look() with each finding; with `exceeded`, only of limits that are, which costs little.
  template <class F>
  void each(bool exceeded, const F& look) const;
  bool exceeds(double Arm::* count, double limit) const;
  bool moved(std::size_t bin) const;

  struct Bins {
    bool frozen = false;
    bool values = false;        // each bin is one value, and the last one all others
    std::vector<double> edges;  // ascending: of deciles the upper ends, without the last one's
    std::vector<double> first;  // the control's answers before they are frozen
    std::size_t count() const { return edges.size() + 1; }
  };
  Limits limits_;
  std::array<Arm, 2> arms_;
  double pairs_ = 0, apart_ = 0;
  Bins bins_;
};

}  // namespace strata::platform::release
