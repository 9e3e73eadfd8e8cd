#pragma once

#include <string>

#include "base/json.hpp"
#include "platform/statistics/correction.hpp"
#include "platform/statistics/decision.hpp"
#include "platform/statistics/effect.hpp"
#include "platform/statistics/moments.hpp"
#include "platform/statistics/power.hpp"
#include "platform/statistics/sample_ratio.hpp"
#include "platform/statistics/sequential.hpp"

// The statistics of experiments, releases and drift: pure functions of mergeable sufficient
// statistics. No input or output, no time, no randomness: the same numbers give the same answer.
// Every effect says whether it is defined and, if not, why; a p-value and its interval always
// agree.
namespace strata::platform::statistics {}
