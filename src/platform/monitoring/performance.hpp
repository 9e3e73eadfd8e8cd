#pragma once

// Performance: how good the answers of endpoints were, once labels tell. The contract stands at
// class Performance.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "kernel/identity/identity.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/labels/labels.hpp"
#include "platform/predictions/predictions.hpp"
#include "runtime/clock.hpp"
#include "runtime/pool.hpp"

namespace strata::platform::monitoring {

// Which answers, and how they are read.
struct PerformanceQuery {
  std::optional<Instant> since, until;  // of the predictions; the last seven days unless said
  std::string version{};                // the one that has the most rows, unless said
  std::string output{};                 // "outputs.NAME", "NAME[1]"; the only one, unless said
  std::string label = "label";
  std::string kind{};      // "regression", "binary" or "classes"; by the labels, unless said
  double threshold = 0.5;  // from which score on a binary answer is 1
};

// Predictions joined with their labels.
//
// Promises: each row of the prediction log counts once, with the one label that counts of it
// (labels/labels.hpp), whenever either came; a correction changes the figures of its prediction's
// time. Rows that no client got (shadow) and those whose model failed are left out. Shows how many
// rows have a label yet, and how long labels take, so that a young window is not compared with an
// old one. Owns nothing. Cost: reads the log and the labels of the time that is asked about, on a
// thread of the pool. Threads: from any loop.
class Performance {
 public:
  static constexpr std::chrono::hours kSpan{7 * 24};
  static constexpr std::int64_t kMostSteps = 120;
  static constexpr std::int64_t kLeastRows = 30;  // that make a share of labels be believed

  struct Ports {
    const Clock& clock;
    BlockingPool& pool;
    predictions::PredictionLog& log;
    deployment::Endpoints& endpoints;
    labels::Labels& labels;
  };
  explicit Performance(Ports ports) : ports_(ports) {}

  // Figures of the span and of its steps. Errors: kNotFound for an endpoint that nothing was logged
  // of; kInvalidArgument naming what was asked wrongly; kTooLarge for too many labels.
  Task<Result<Json>> report(const kernel::Caller& caller, std::string endpoint,
                            PerformanceQuery query);

 private:
  Result<Json> report_of(const ProjectId& project, const std::string& endpoint,
                         const PerformanceQuery& query, Instant since, Instant until, Instant now);

  Ports ports_;
};

}  // namespace strata::platform::monitoring
