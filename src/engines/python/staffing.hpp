#pragma once

#include <chrono>
#include <optional>

#include "platform/inference/model_runner.hpp"

namespace strata::engines::python {

// How many processes of a model there are to be, decided from what is asked of them: a pure state
// machine. Time comes with the events, so a test can run a day in a moment.
//
// Replicas follow the requests at hand (at work and waiting): up when more were at hand than there
// are replicas for kUpAfter, the first one at once; down to the most that were at hand within
// kDownAfter. Beside them `spare` processes stand ready, so that the place of one that dies is
// taken at once. A model whose processes end before they answered anything is given time between
// two attempts, twice as long each time.
struct Staffing {
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kUpAfter{300};
  static constexpr std::chrono::seconds kDownAfter{60};
  static constexpr std::chrono::milliseconds kFirstPause{500};
  static constexpr std::chrono::seconds kLongestPause{60};
  static constexpr int kHopeless = 3;  // failures in a row, after which nobody is made to wait

  platform::inference::Replicas replicas;
  int spare = 1;
  int wanted = 1;    // replicas
  int failures = 0;  // processes in a row that ended before an answer
  Time last_used;
  std::optional<Time> pressed_since;  // more was at hand than `wanted`
  std::optional<Time> calm_since;     // less was
  int calm_most = 0;                  // at hand since then
  std::optional<Time> not_before;     // when the next process may start
};

// What is the case now.
struct Staff {
  int starting = 0, idle = 0, busy = 0;
  int waiting = 0;  // requests without a process
};

enum class StaffingEvent : std::uint8_t {
  kLook,      // time has passed, a request came or went, replicas were changed
  kAnswered,  // a process gave an answer
  kEnded      // a process ended that nobody had asked to
};

struct StaffingActions {
  int start = 0;
  int end = 0;  // of those that are idle
  std::optional<Staffing::Time> look_again;
};

StaffingActions step(Staffing& state, StaffingEvent event, const Staff& staff, Staffing::Time now);

}  // namespace strata::engines::python
