#pragma once

// What the tests of lost writes share: the lives of one disk, and what an outsider knows of it.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engines/power_loss/power_loss_files.hpp"

namespace strata::engines::power_loss {

// Below a file, so that on the real disk nothing can be there: whoever goes past the port fails.
inline const std::string kData = "/dev/null/strata";

// As the server begins: what a killed one left in the data directory is durable from here on.
inline void prepare(PowerLossFiles& disk) {
  EXPECT_TRUE(disk.make_dirs(kData));
  EXPECT_TRUE(disk.sync_names(kData));
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t end) { return engine_() % end; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::uint64_t seed() { return engine_(); }
  std::string bytes(std::size_t count) {
    std::string out;
    for (; out.size() < count; out.resize(std::min(out.size(), count))) {
      const std::uint64_t word = engine_();
      out.append(reinterpret_cast<const char*>(&word), sizeof word);
    }
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

inline const std::string kAbsent = "absent";

// A place that holds one value and is written by one thread: what it may hold now.
class Place {
 public:
  // Before a write is asked for.
  void intend(const std::string& value) { possible_.insert(value); }
  // After it was answered, by a disk that still was there.
  void acknowledge(const std::string& value) { possible_ = {value}; }
  bool may_be(const std::string& value) const { return possible_.contains(value); }
  // The only thing that it may be.
  const std::string* certain() const {
    return possible_.size() == 1 ? &*possible_.begin() : nullptr;
  }

 private:
  std::set<std::string> possible_ = {kAbsent};
};

// How many disks live and die: STRATA_CUT_SEEDS, STRATA_CUT_FIRST to repeat one.
inline std::uint64_t number_of(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

// The disk of a test; STRATA_CUT_LIE names syncs that it ignores, by which a test must fail.
inline std::unique_ptr<PowerLossFiles> new_disk(std::uint64_t seed) {
  auto disk = std::make_unique<PowerLossFiles>(seed);
  EXPECT_TRUE(disk->make_dirs(kData.substr(0, kData.rfind('/'))));  // was there long ago
  if (const char* lie = std::getenv("STRATA_CUT_LIE")) disk->lie_about(lie);
  return disk;
}

// Runs `live` again and again on one disk that loses its power, or its process, each time at a
// random operation. `live(disk, dice)` opens what lies there, checks it against what it remembers,
// and works until the disk is off.
inline void live_and_die(std::uint64_t seed, int lives,
                         const std::function<void(PowerLossFiles&, Dice&)>& live) {
  Dice dice(seed);
  auto disk = new_disk(dice.seed());
  for (int life = 0; life < lives; ++life) {
    const auto how = dice.one_in(2) ? PowerLossFiles::Cut::kKill : PowerLossFiles::Cut::kPower;
    // From the first operation on: while it starts or recovers as well as later. A kill between a
    // new name and its sync is rare and leaves most for the next life to go wrong with: half of
    // the kills come there.
    const double reach = static_cast<double>(dice.below(1000)) / 1000;
    const bool at_name = how == PowerLossFiles::Cut::kKill && dice.one_in(2);
    const auto most = at_name ? 100.0 : 2000.0;
    disk->cut_after(static_cast<std::uint64_t>(std::exp(reach * std::log(most))), how,
                    at_name ? PowerLossFiles::Count::kNames : PowerLossFiles::Count::kAll);
    live(*disk, dice);
    if (testing::Test::HasFatalFailure()) return;
    disk->cut(how);
    disk = disk->after();
  }
  live(*disk, dice);
}

// Lets `count` clients work at once, each with dice of its own, until the disk is off or each has
// done `steps`.
inline void work(PowerLossFiles& disk, Dice& dice, std::size_t count, int steps,
                 const std::function<void(std::size_t client, Dice& own)>& step) {
  std::vector<std::jthread> threads;
  for (std::size_t client = 0; client < count; ++client) {
    threads.emplace_back([&, client, seed = dice.seed()] {
      Dice own(seed);
      for (int i = 0; i < steps && !disk.is_off(); ++i)
        step(client, own);
    });
  }
}

}  // namespace strata::engines::power_loss
