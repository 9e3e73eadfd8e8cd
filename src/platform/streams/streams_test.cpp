#include "platform/streams/streams.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "platform/streams/event_log.hpp"
#include "platform/streams/memory_state_store.hpp"
#include "runtime/random.hpp"

namespace strata::platform::streams {
namespace {

const std::vector<Column> kColumns = {
    {"carrier", Type::kString}, {"delay", Type::kDouble}, {"gate", Type::kString}};
const KeySet kByCarrier{"p", "landings", {"carrier"}};
const KeySet kByGate{"p", "landings", {"gate"}};

Row row(const std::string& carrier, std::int64_t event, std::optional<Value> delay,
        std::optional<Value> gate = {}) {
  return {false, event, kOnArrival, {Value::of(carrier), std::move(delay), std::move(gate)}};
}

Row gone(const std::string& carrier, std::int64_t event) {
  return {true, event, kOnArrival, {Value::of(carrier), std::nullopt, std::nullopt}};
}

Record record(std::vector<Row> rows, std::string key = "") {
  return {"p", "landings", std::move(key), 0, kColumns, std::move(rows)};
}

std::optional<double> delay_of(const KeyState& state) {
  const Cell* const cell = state.find("delay");
  return cell == nullptr || !cell->value.present ? std::nullopt : std::optional(cell->value.number);
}

// A server's part of a life: it can be killed, which takes what the store had not flushed.
struct World {
  World() {
    folder = std::filesystem::temp_directory_path() / ("strata_streams_" + SystemRandom().hex(8));
    begin();
  }
  ~World() {
    streams.reset();
    std::filesystem::remove_all(folder);
  }
  void begin() {
    streams = std::make_unique<Streams>(Streams::Ports{
        files, clock, pool,
        [this](const std::string&) -> Result<std::unique_ptr<StateStore>> {
          return std::unique_ptr<StateStore>(std::make_unique<MemoryStateStore>(disk));
        },
        folder.string()});
    started = streams->start();
  }
  void crash() {
    const auto flushed = disk->kept;  // stop() flushes, a crash does not
    streams.reset();
    disk->kept = flushed;
    begin();
  }
  Result<Pushed> push(Record what) { return sync_wait(streams->push(std::move(what))); }
  KeyState read(const KeySet& set, const std::string& key) {
    auto found = sync_wait(streams->read({{&set, {Value::of(key)}}}));
    EXPECT_TRUE(found.ok());
    return found ? found->states.front() : KeyState();
  }
  std::vector<std::filesystem::path> logs() const {
    std::vector<std::filesystem::path> out;
    for (const auto& one : std::filesystem::directory_iterator(folder / "log"))
      out.push_back(one.path());
    std::ranges::sort(out);
    return out;
  }

  std::filesystem::path folder;
  SystemFiles files;
  ManualClock clock{Instant{1'000'000}};
  BlockingPool pool{1};
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  std::unique_ptr<Streams> streams;
  Status started;
};

TEST(StreamState, Rows_in_any_order_and_however_often_give_the_same_state) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::pair<Row, Place>> rows;
    for (std::uint32_t i = 0; i < 12; ++i) {
      const auto event = static_cast<std::int64_t>(random() % 4);
      Row one = random() % 5 == 0 ? gone("AA", event) : row("AA", event, std::nullopt);
      one.created = static_cast<std::int64_t>(random() % 3);
      if (!one.deleted && random() % 2 == 0) one.cells[1] = Value::of(double(random() % 100));
      if (!one.deleted && random() % 3 == 0) one.cells[1] = Value::null(Type::kDouble);
      if (!one.deleted && random() % 2 == 0) one.cells[2] = Value::of(std::to_string(i));
      rows.emplace_back(one, Place{random() % 6, i});
    }
    KeyState first;
    for (const auto& [one, place] : rows)
      fold(first, kColumns, one, place);
    rows.insert(rows.end(), rows.begin(), rows.begin() + 5);
    std::ranges::shuffle(rows, random);
    KeyState second;
    for (const auto& [one, place] : rows)
      fold(second, kColumns, one, place);
    ASSERT_EQ(encode(first), encode(second)) << round;
    ASSERT_EQ(encode(*decode_state(encode(first))), encode(first));
  }
}

TEST(StreamState, The_latest_event_counts_then_the_latest_made_then_the_last_to_come) {
  const auto state_after = [](std::vector<std::tuple<int, int, int, double>> rows) {
    KeyState state;
    for (const auto& [event, created, sequence, delay] : rows) {
      Row one = row("AA", event, Value::of(delay));
      one.created = created;
      fold(state, kColumns, one, {static_cast<std::uint64_t>(sequence), 0});
    }
    return delay_of(state);
  };
  EXPECT_EQ(state_after({{5, 1, 1, 10}, {4, 9, 2, 20}}), 10);  // late
  EXPECT_EQ(state_after({{5, 1, 1, 10}, {5, 2, 2, 20}}), 20);  // a correction
  EXPECT_EQ(state_after({{5, 2, 1, 10}, {5, 1, 2, 20}}), 10);  // an older one that came later
  EXPECT_EQ(state_after({{5, 1, 1, 10}, {5, 1, 2, 20}}), 20);  // a tie
}

TEST(StreamState, A_deletion_takes_what_is_older_and_lets_newer_rows_stand) {
  KeyState state;
  fold(state, kColumns, row("AA", 5, Value::of(10.0), Value::of(std::string("B1"))), {1, 0});
  fold(state, kColumns, row("AA", 9, std::nullopt, Value::of(std::string("B2"))), {2, 0});
  fold(state, kColumns, gone("AA", 7), {3, 0});
  EXPECT_FALSE(delay_of(state));
  EXPECT_EQ(state.find("gate")->value.text, "B2");
  fold(state, kColumns, row("AA", 6, Value::of(20.0)), {4, 0});  // late, from before the deletion
  EXPECT_FALSE(delay_of(state));
  fold(state, kColumns, row("AA", 8, Value::of(30.0)), {5, 0});
  EXPECT_EQ(delay_of(state), 30);
}

TEST(StreamState, A_row_of_some_columns_leaves_the_others_their_value_and_their_age) {
  KeyState state;
  fold(state, kColumns, row("AA", 5, Value::of(10.0)), {1, 0});
  fold(state, kColumns, row("AA", 9, std::nullopt, Value::of(std::string("B2"))), {2, 0});
  EXPECT_EQ(delay_of(state), 10);
  EXPECT_EQ(state.find("delay")->stamp.event, 5);
  fold(state, kColumns, row("AA", 10, Value::null(Type::kDouble)), {3, 0});
  ASSERT_NE(state.find("delay"), nullptr);  // known to be NULL, which is not unknown
  EXPECT_FALSE(state.find("delay")->value.present);
}

TEST(Streams, What_was_acknowledged_is_there_after_a_crash_and_a_clean_stop) {
  World world;
  ASSERT_TRUE(sync_wait(world.streams->keep(kByCarrier)).ok());
  EXPECT_EQ(world.push(record({row("AA", 1, Value::of(5.0))}))->sequence, 1U);
  EXPECT_EQ(delay_of(world.read(kByCarrier, "AA")), 5);
  world.crash();
  ASSERT_TRUE(world.started.ok());
  ASSERT_TRUE(sync_wait(world.streams->keep(kByCarrier)).ok());
  EXPECT_EQ(delay_of(world.read(kByCarrier, "AA")), 5);
  EXPECT_EQ(world.push(record({row("AA", 2, Value::of(6.0))}))->sequence, 2U);
  world.streams.reset();  // flushes
  world.begin();
  EXPECT_EQ(delay_of(world.read(kByCarrier, "AA")), 6);  // without asking to keep it again
  EXPECT_EQ(world.push(record({row("AA", 3, Value::of(7.0))}))->sequence, 3U);
  world.crash();  // the store is behind the log now
  EXPECT_EQ(delay_of(world.read(kByCarrier, "AA")), 7);
}

TEST(Streams, Rows_that_came_before_a_set_of_keys_are_in_its_states) {
  World world;
  ASSERT_TRUE(world
                  .push(record({row("AA", 1, Value::of(5.0), Value::of(std::string("B1"))),
                                row("UA", 2, Value::of(6.0), Value::null(Type::kString))}))
                  .ok());
  EXPECT_FALSE(world.read(kByGate, "B1").exists());
  ASSERT_TRUE(sync_wait(world.streams->keep(kByGate)).ok());
  EXPECT_EQ(delay_of(world.read(kByGate, "B1")), 5);
  EXPECT_FALSE(world.read(kByGate, "").exists());  // NULL is nobody's key
}

TEST(Streams, The_same_push_again_adds_nothing_and_another_one_with_its_key_is_refused) {
  World world;
  ASSERT_TRUE(sync_wait(world.streams->keep(kByCarrier)).ok());
  const auto first = world.push(record({row("AA", 1, Value::of(5.0))}, "k"));
  world.clock.advance(std::chrono::seconds(5));
  const auto again = world.push(record({row("AA", 1, Value::of(5.0))}, "k"));
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(first->sequence, again->sequence);
  EXPECT_TRUE(again->repeated && !first->repeated);
  world.crash();
  EXPECT_TRUE(world.push(record({row("AA", 1, Value::of(5.0))}, "k"))->repeated);
  const auto other = world.push(record({row("AA", 1, Value::of(6.0))}, "k"));
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::kConflict);
  EXPECT_EQ(other.error().field, "idempotency_key");
}

TEST(Streams, Who_pushed_is_noted_and_makes_no_other_push_of_it) {
  World world;
  ASSERT_TRUE(sync_wait(world.streams->keep(kByCarrier)).ok());
  const Record nameless = record({row("AA", 1, Value::of(5.0))}, "k");
  Record named = nameless;
  named.pushed_by = "ada";
  ASSERT_FALSE(world.push(nameless)->repeated);
  EXPECT_TRUE(world.push(named)->repeated);  // the log of before knew no names
  named.idempotency_key = "other";
  ASSERT_TRUE(world.push(named).ok());
  const auto history =
      sync_wait(world.streams->history({{&kByCarrier, {Value::of(std::string("AA"))}}}));
  ASSERT_TRUE(history.ok());
  ASSERT_EQ(history->rows[0].size(), 2U);
  EXPECT_EQ(history->rows[0][0].record->pushed_by, "");
  EXPECT_EQ(history->rows[0][1].record->pushed_by, "ada");
}

TEST(Streams, A_key_that_is_asked_for_twice_has_its_history_twice) {
  World world;
  ASSERT_TRUE(sync_wait(world.streams->keep(kByCarrier)).ok());
  ASSERT_TRUE(world.push(record({row("AA", 1, Value::of(5.0))})).ok());
  const Streams::Key key{&kByCarrier, {Value::of(std::string("AA"))}};
  const auto history = sync_wait(world.streams->history({key, key}));
  ASSERT_TRUE(history.ok());
  EXPECT_EQ(history->rows[0].size(), 1U);
  EXPECT_EQ(history->rows[1].size(), 1U);
}

TEST(Streams, What_a_crash_left_half_written_is_passed_over) {
  World world;
  ASSERT_TRUE(world.push(record({row("AA", 1, Value::of(5.0))})).ok());
  world.streams.reset();
  std::ofstream(world.logs().back(), std::ios::app | std::ios::binary) << "\x30\0\0\0half a rec";
  world.begin();
  ASSERT_TRUE(world.started.ok());
  EXPECT_EQ(world.push(record({row("AA", 2, Value::of(6.0))}))->sequence, 2U);
  EXPECT_EQ(world.logs().size(), 2U);
  ASSERT_TRUE(sync_wait(world.streams->keep(kByCarrier)).ok());
  EXPECT_EQ(delay_of(world.read(kByCarrier, "AA")), 6);
  world.streams.reset();
  EXPECT_EQ(Streams::check(world.files, world.folder).records, 2U);
  EXPECT_TRUE(Streams::check(world.files, world.folder).findings.empty());
}

TEST(Streams, Damage_of_what_was_acknowledged_is_told_and_not_served) {
  World world;
  for (int i = 1; i <= 3; ++i)
    ASSERT_TRUE(world.push(record({row("AA", i, Value::of(5.0))})).ok());
  world.streams.reset();
  const auto path = world.logs().front();
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(size / 2);
  file.put('\x7f');
  file.close();
  world.begin();
  ASSERT_FALSE(world.started.ok());
  EXPECT_EQ(world.started.error().code, Code::kDataLoss);
}

TEST(EventLog, A_missing_file_is_told) {
  World world;
  ASSERT_TRUE(world.push(record({row("AA", 1, Value::of(5.0))})).ok());
  world.crash();
  ASSERT_TRUE(world.push(record({row("AA", 2, Value::of(5.0))})).ok());
  world.streams.reset();
  std::filesystem::remove(world.logs().front());
  EXPECT_FALSE(Streams::check(world.files, world.folder).findings.empty());
}

}  // namespace
}  // namespace strata::platform::streams
