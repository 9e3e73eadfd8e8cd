#include "engines/python/staffing.hpp"

#include <algorithm>

namespace strata::engines::python {

namespace {

using Time = Staffing::Time;

void look_at(StaffingActions& actions, Time when) {
  actions.look_again = actions.look_again ? std::min(*actions.look_again, when) : when;
}

void rise(Staffing& state, int at_hand, Time now, StaffingActions& actions) {
  const int want = std::min(at_hand, state.replicas.most);
  if (want <= state.wanted) {
    state.pressed_since.reset();
    return;
  }
  if (state.wanted == 0) state.wanted = 1;
  if (!state.pressed_since) state.pressed_since = now;
  if (now - *state.pressed_since >= Staffing::kUpAfter) {
    state.wanted = want;
    state.pressed_since.reset();
  } else if (want > state.wanted) {
    look_at(actions, *state.pressed_since + Staffing::kUpAfter);
  }
}

void fall(Staffing& state, int at_hand, Time now, StaffingActions& actions) {
  const int floor = std::max(1, state.replicas.least);
  if (at_hand >= state.wanted || state.wanted <= floor) {
    state.calm_since.reset();
    state.calm_most = 0;
    return;
  }
  if (!state.calm_since) state.calm_since = now;
  state.calm_most = std::max(state.calm_most, at_hand);
  if (now - *state.calm_since < Staffing::kDownAfter) {
    look_at(actions, *state.calm_since + Staffing::kDownAfter);
    return;
  }
  state.wanted = std::max(floor, state.calm_most);
  state.calm_since.reset();
  state.calm_most = 0;
  // The next minute begins at once: nobody else may look for long.
  fall(state, at_hand, now, actions);
}

void sleep_when_idle(Staffing& state, int at_hand, Time now, StaffingActions& actions) {
  if (at_hand > 0) state.last_used = now;
  if (state.replicas.least > 0 || at_hand > 0 || state.wanted == 0) return;
  const Time when = state.last_used + state.replicas.idle;
  if (now >= when) {
    state.wanted = 0;
  } else {
    look_at(actions, when);
  }
}

void note_end(Staffing& state, Time now) {
  ++state.failures;
  if (state.failures < 2) return;  // the first one is replaced at once
  auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(Staffing::kLongestPause);
  if (state.failures < 10) pause = std::min(pause, Staffing::kFirstPause * (1 << state.failures));
  state.not_before = now + pause;
}

}  // namespace

StaffingActions step(Staffing& state, StaffingEvent event, const Staff& staff, Time now) {
  StaffingActions actions;
  if (event == StaffingEvent::kEnded) note_end(state, now);
  if (event == StaffingEvent::kAnswered) {
    state.failures = 0;
    state.not_before.reset();
  }
  const int at_hand = staff.busy + staff.waiting;
  state.wanted = std::clamp(state.wanted, state.replicas.least, state.replicas.most);
  rise(state, at_hand, now, actions);
  fall(state, at_hand, now, actions);
  sleep_when_idle(state, at_hand, now, actions);

  const int all = staff.starting + staff.idle + staff.busy;
  // A spare one is not started beside those that somebody may wait for.
  const bool settled = staff.starting == 0 && staff.idle + staff.busy >= state.wanted;
  int target = state.wanted;
  if (state.wanted > 0 && (settled || all > state.wanted)) target += state.spare;
  if (all > target) actions.end = std::min(staff.idle, all - target);
  if (all >= target) return actions;
  if (state.not_before && now < *state.not_before) {
    look_at(actions, *state.not_before);
  } else {
    actions.start = target - all;
  }
  return actions;
}

}  // namespace strata::engines::python
