#include "engines/python/staffing.hpp"

#include <gtest/gtest.h>

namespace strata::engines::python {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Processes that start within `start_takes` and work as long as the test says.
class Simulation {
 public:
  explicit Simulation(platform::inference::Replicas replicas, int spare = 0) {
    state.replicas = replicas;
    state.spare = spare;
    state.last_used = now;
  }

  StaffingActions tell(StaffingEvent event = StaffingEvent::kLook) {
    auto actions = step(state, event, staff, now);
    staff.starting += actions.start;
    staff.idle -= actions.end;
    started += actions.start;
    ended += actions.end;
    return actions;
  }
  void advance(std::chrono::milliseconds d) {
    now += d;
    tell();
  }
  void all_ready() {
    while (staff.starting > 0) {
      --staff.starting;
      ++staff.idle;
      serve();
      tell();
    }
  }
  void ask(int requests) {
    staff.waiting += requests;
    serve();
    tell();
  }
  void answer(int requests) {
    staff.busy -= requests;
    staff.idle += requests;
    serve();
    tell(StaffingEvent::kAnswered);
  }
  void die() {
    if (staff.starting > 0) {
      --staff.starting;
    } else if (staff.busy > 0) {
      --staff.busy;
    } else {
      --staff.idle;
    }
    tell(StaffingEvent::kEnded);
  }
  int processes() const { return staff.starting + staff.idle + staff.busy; }

  Staffing state;
  Staff staff;
  Staffing::Time now{seconds(1000)};
  int started = 0, ended = 0;

 private:
  void serve() {
    while (staff.idle > 0 && staff.waiting > 0) {
      --staff.idle;
      --staff.waiting;
      ++staff.busy;
    }
  }
};

TEST(Staffing, A_spare_process_stands_ready_once_the_first_one_is) {
  Simulation sim({1, 1, seconds(300)}, 1);
  sim.tell();
  EXPECT_EQ(sim.processes(), 1) << "two at a time would make each slower to start";
  sim.all_ready();
  EXPECT_EQ(sim.staff.idle, 2);
  sim.ask(1);
  sim.die();
  EXPECT_EQ(sim.staff.idle, 1) << "the next request waits for nothing";
  EXPECT_EQ(sim.staff.starting, 1);
}

TEST(Staffing, A_short_burst_starts_nothing_and_a_lasting_one_as_many_as_are_at_hand) {
  Simulation sim({1, 4, seconds(300)});
  sim.tell();
  sim.all_ready();
  sim.ask(3);
  sim.advance(milliseconds(200));
  EXPECT_EQ(sim.processes(), 1);
  sim.answer(1);
  sim.answer(1);
  sim.advance(seconds(1));
  EXPECT_EQ(sim.processes(), 1);
  sim.answer(1);
  sim.ask(9);
  sim.advance(milliseconds(300));
  EXPECT_EQ(sim.processes(), 4) << "no more than `most`";
}

TEST(Staffing, Replicas_go_when_a_minute_did_not_need_them_and_not_before) {
  Simulation sim({1, 4, seconds(300)});
  sim.tell();
  sim.all_ready();
  sim.ask(4);
  sim.advance(milliseconds(300));
  sim.all_ready();
  EXPECT_EQ(sim.staff.busy, 4);
  sim.answer(4);
  sim.advance(seconds(30));
  sim.ask(2);
  sim.advance(seconds(1));
  sim.answer(2);
  sim.advance(seconds(28));
  EXPECT_EQ(sim.processes(), 4);
  sim.advance(seconds(2));
  EXPECT_EQ(sim.processes(), 2) << "two were at work at a time within the minute";
  sim.advance(seconds(61));
  EXPECT_EQ(sim.processes(), 1);
  sim.advance(seconds(86400));
  EXPECT_EQ(sim.processes(), 1);
}

TEST(Staffing, An_idle_model_sleeps_with_its_spare_and_wakes_for_one_request) {
  Simulation sim({0, 2, seconds(60)}, 1);
  sim.tell();
  sim.all_ready();
  EXPECT_EQ(sim.processes(), 2);
  sim.ask(1);
  sim.advance(seconds(100));
  EXPECT_GT(sim.processes(), 0) << "a long run is use";
  sim.answer(1);
  sim.advance(seconds(59));
  EXPECT_EQ(sim.processes(), 2);
  sim.advance(seconds(2));
  EXPECT_EQ(sim.processes(), 0);
  const auto quiet = sim.tell();
  EXPECT_FALSE(quiet.look_again) << "nothing to look at while it sleeps";
  sim.ask(1);
  EXPECT_EQ(sim.staff.starting, 1) << "at once";
  sim.all_ready();
  EXPECT_EQ(sim.staff.busy, 1);
}

TEST(Staffing, A_model_that_keeps_dying_is_started_less_and_less_often) {
  Simulation sim({1, 1, seconds(300)});
  sim.tell();
  int starts = 0;
  for (int second = 0; second < 3600 * 10; ++second) {
    if (sim.staff.starting > 0) {
      sim.die();
      ++starts;
    }
    sim.advance(milliseconds(100));
  }
  EXPECT_GT(starts, 55) << "it is tried once a minute for ever";
  EXPECT_LT(starts, 75);
  sim.advance(seconds(61));
  sim.all_ready();
  sim.ask(1);
  sim.answer(1);
  sim.die();
  EXPECT_EQ(sim.staff.starting, 1) << "one that has answered since is replaced at once";
}

TEST(Staffing, A_change_of_replicas_holds_at_once) {
  Simulation sim({1, 4, seconds(300)});
  sim.tell();
  sim.all_ready();
  sim.state.replicas = {3, 4, seconds(300)};
  sim.tell();
  EXPECT_EQ(sim.processes(), 3);
  sim.all_ready();
  sim.state.replicas = {1, 1, seconds(300)};
  sim.tell();
  EXPECT_EQ(sim.processes(), 1);
}

// Whatever happens in whatever order, there are never more processes than asked for, and a request
// that waits has one under way or a moment to look for it.
TEST(Staffing, Nobody_waits_for_ever_and_the_bound_holds_over_random_days) {
  std::uint64_t random = 42;
  const auto draw = [&](std::uint64_t below) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    return static_cast<int>((random >> 33U) % below);
  };
  for (int day = 0; day < 50; ++day) {
    const int least = draw(3);
    const int most = std::max(1, least) + draw(4);
    const int spare = draw(2);
    Simulation sim({least, most, seconds(1 + draw(100))}, spare);
    sim.tell();
    for (int i = 0; i < 500; ++i) {
      const int what = draw(6);
      if (what == 0) sim.ask(1 + draw(5));
      if (what == 1) sim.all_ready();
      if (what == 2 && sim.staff.busy > 0) sim.answer(1);
      if (what == 3 && sim.processes() > 0 && draw(4) == 0) sim.die();
      sim.advance(milliseconds(draw(3000)));
      ASSERT_LE(sim.processes(), most + spare);
      ASSERT_GE(sim.staff.idle, 0);
      const auto last = sim.tell();
      ASSERT_TRUE(sim.staff.waiting == 0 || sim.processes() > 0 || last.look_again);
    }
  }
}

}  // namespace
}  // namespace strata::engines::python
