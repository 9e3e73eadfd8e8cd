// Windows of rows against a brute force, and what is served against the past, on rows that come
// late, twice, in any order, corrected and deleted.
#include "platform/features/aggregates.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "platform/features/features.hpp"
#include "platform/features/values.hpp"
#include "platform/streams/memory_state_store.hpp"
#include "runtime/random.hpp"

namespace strata::platform::features {
namespace {

using expressions::Value;
using streams::KeyState;
using streams::Record;
using streams::Row;
using streams::Stamp;
using enum Aggregate::Function;

constexpr std::string_view kDefinitions = R"(
entities: {pair: {keys: {carrier: string, gate: int64}}}
sources:
  s:
    stream: true
    columns: {carrier: string, gate: int64, id: int64, x: double, y: int64, t: timestamp,
              made: timestamp}
    timestamp: t
    created: made
views:
  v:
    entities: [pair]
    source: s
    event_id: [id]
    features:
      n: {aggregate: count, window: 6ms}
      some: {aggregate: count, of: y, window: 9ms, where: x > 10}
      total: {aggregate: sum, of: y, window: 12ms}
      high: {aggregate: max, of: x, window: 7ms}
      begin: {aggregate: first, of: y, window: 5ms}
      end: {aggregate: last, of: x, window: 5ms}
      kinds: {aggregate: count_distinct, of: y, window: 12ms}
      before: {aggregate: sum, of: y, window: 4ms, tumbling: true}
      avg: {aggregate: mean, of: x, window: 12ms}
      dev: {aggregate: stddev, of: x / 3, window: 12ms}
      newest: y
)";
const std::vector<std::string> kFeatures = {"v.n",     "v.some", "v.total", "v.high",
                                            "v.begin", "v.end",  "v.kinds", "v.before",
                                            "v.avg",   "v.dev",  "v.newest"};

Catalog catalog_of(std::string_view text) {
  const auto document = read_features_yaml(text, "f.yaml");
  EXPECT_TRUE(document.ok()) << (document ? "" : document.error().message);
  auto out = make_catalog(document->definitions);
  EXPECT_TRUE(out.ok()) << (out ? "" : out.error().message);
  return *std::move(out);
}

std::string refusal(const std::string& feature, const std::string& more = "") {
  const auto document = read_features_yaml(
      "entities: {c: {keys: {c: string}}}\nsources: {s: {stream: true, columns: {c: string, x: "
      "double, name: string, t: timestamp}, timestamp: t}}\nviews:\n  v: {entities: [c], source: "
      "s, " +
          more + "features: {f: " + feature + "}}\n",
      "f.yaml");
  if (!document) return document.error().field;
  const auto catalog = make_catalog(document->definitions);
  return catalog ? "" : catalog.error().field;
}

struct World {
  World() {
    folder = std::filesystem::temp_directory_path() / ("strata_windows_" + SystemRandom().hex(8));
    open();
  }
  ~World() {
    streams.reset();
    std::filesystem::remove_all(folder);
  }
  void open() {
    streams.reset();
    streams = std::make_unique<streams::Streams>(streams::Streams::Ports{
        files, clock, pool,
        [this](const std::string&) -> Result<std::unique_ptr<streams::StateStore>> {
          return std::unique_ptr<streams::StateStore>(
              std::make_unique<streams::MemoryStateStore>(disk));
        },
        folder.string()});
    EXPECT_TRUE(streams->start().ok());
  }
  void keep(const Catalog& of) {
    for (const auto& set : key_sets(of, "p", "s"))
      ASSERT_TRUE(sync_wait(streams->keep(set)).ok());
    for (const auto& [set, kept] : event_sets(of, ProjectId("p")))
      ASSERT_TRUE(sync_wait(streams->keep_events(set, kept)).ok());
  }
  std::filesystem::path folder;
  SystemFiles files;
  ManualClock clock{Instant{30'000}};
  BlockingPool pool{1};
  std::shared_ptr<streams::MemoryDisk> disk = std::make_shared<streams::MemoryDisk>();
  std::unique_ptr<streams::Streams> streams;
};

// Rows on a coarse grid of times, so that ties of every kind are many.
std::vector<Record> random_log(const Catalog& of, std::mt19937& random) {
  std::vector<Record> log;
  const auto micros = [&](unsigned below) {
    return show_micros(static_cast<std::int64_t>(random() % below) * 1000);
  };
  for (int i = 0; i < 150; ++i) {
    if (i > 0 && random() % 8 == 0) {
      log.push_back(log[random() % log.size()]);  // again
      continue;
    }
    PushRequest request{"s", "", Json::array(), Json::array()};
    for (std::size_t rows = 1 + random() % 4; rows > 0; --rows) {
      Json row = Json::object({{"carrier", std::string(1, static_cast<char>('A' + random() % 2))},
                               {"gate", static_cast<int>(random() % 2)},
                               {"t", micros(24)},
                               {"made", micros(28)}});
      if (random() % 25 == 0) {
        request.deletes.push(std::move(row));
        continue;
      }
      if (random() % 4 > 0) row.set("id", static_cast<int>(random() % 3));
      if (random() % 3 > 0) row.set("x", static_cast<double>(random() % 100) / 3);
      if (random() % 3 > 0) row.set("y", random() % 4 == 0 ? Json() : Json(int(random() % 9)));
      request.rows.push(std::move(row));
    }
    auto record = record_of(of, "p", request, Instant{30'000});
    EXPECT_TRUE(record.ok()) << (record ? "" : record.error().message);
    log.push_back(*std::move(record));
  }
  return log;
}

// An event as the rules say it: of each column what the newest row that has it says.
struct Event {
  Stamp stamp;
  std::optional<double> x;
  std::optional<std::int64_t> y;
};

struct Asked {
  std::string carrier;
  std::int64_t gate = 0, time = 0, known = 0;
};

std::vector<Event> brute_events(const std::vector<Record>& log, const Asked& asked) {
  struct Said {
    Stamp stamp;
    const Row* row;
  };
  std::optional<Stamp> deleted;
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<Said>> said;
  // Columns in the order of their names: carrier, gate, id, made, t, x, y.
  for (std::size_t sequence = 1; sequence <= log.size(); ++sequence) {
    const auto& rows = log[sequence - 1].rows;
    for (std::uint32_t i = 0; i < rows.size(); ++i) {
      const Row& row = rows[i];
      if (row.cells[0]->text != asked.carrier || row.cells[1]->integer != asked.gate) continue;
      if (row.event > asked.time || row.created > asked.known) continue;
      const Stamp stamp{row.event, row.created, {sequence, i}};
      if (row.deleted) {
        deleted = std::max(deleted.value_or(stamp), stamp);
      } else {
        said[{row.event, row.cells[2] ? row.cells[2]->integer : -1}].push_back({stamp, &row});
      }
    }
  }
  std::vector<Event> out;
  for (auto& [key, rows] : said) {
    std::erase_if(rows, [&](const Said& one) { return deleted && one.stamp < *deleted; });
    if (rows.empty()) continue;
    std::ranges::sort(rows, {}, &Said::stamp);
    Event event{rows.back().stamp, {}, {}};
    for (const auto& one : rows) {
      if (const auto& x = one.row->cells[5]) event.x = x->number;
      if (const auto& y = one.row->cells[6])
        event.y = y->present ? std::optional(y->integer) : std::nullopt;
    }
    out.push_back(event);
  }
  std::ranges::sort(out, {}, &Event::stamp);
  return out;
}

using Number = std::optional<double>;

// n, some, total, high, begin, end, kinds, before: by hand.
std::vector<Number> by_hand(const std::vector<Event>& events, std::int64_t time) {
  std::int64_t n = 0;
  std::int64_t some = 0;
  Number total, high, begin, end, before;
  std::set<std::int64_t> kinds;
  const std::int64_t whole = time - (time % 4000);
  for (const auto& one : events) {
    const std::int64_t age = time - one.stamp.event;
    if (age < 6000) ++n;
    if (age < 9000 && one.y && one.x && *one.x > 10) ++some;
    if (age < 12'000 && one.y) total = total.value_or(0) + static_cast<double>(*one.y);
    if (age < 7000 && one.x) high = std::max(high.value_or(*one.x), *one.x);
    if (age < 5000 && one.y && !begin) begin = static_cast<double>(*one.y);
    if (age < 5000 && one.x) end = one.x;
    if (age < 12'000 && one.y) kinds.insert(*one.y);
    if (one.y && one.stamp.event >= whole - 4000 && one.stamp.event < whole)
      before = before.value_or(0) + static_cast<double>(*one.y);
  }
  const auto count = [](std::int64_t value) {
    return Number(static_cast<double>(value));
  };
  return {count(n),
          count(some),
          total,
          high,
          begin,
          end,
          count(static_cast<std::int64_t>(kinds.size())),
          before};
}

Number number_of(const Value& value) {
  if (!value.present) return std::nullopt;
  return value.type == Type::kDouble ? value.number : static_cast<double>(value.integer);
}

OnlineAnswer past(World& world, const Catalog& of, const std::vector<Asked>& spine,
                  const KnownAt& known_at) {
  Json carriers = Json::array();
  Json gates = Json::array();
  Json times = Json::array();
  for (const auto& one : spine) {
    carriers.push(one.carrier);
    gates.push(one.gate);
    times.push(show_micros(one.time));
  }
  const Json entities =
      Json::object({{"carrier", carriers}, {"gate", gates}, {kSpineTime.data(), times}});
  auto answer = sync_wait(historical(of, "p", *world.streams, world.pool,
                                     OnlineRequest{"", kFeatures, entities}, known_at));
  EXPECT_TRUE(answer.ok()) << (answer ? "" : answer.error().message);
  return *std::move(answer);
}

// From the states that are kept, as a request is answered.
std::vector<FeatureValue> served(World& world, const Catalog& of, const Asked& asked) {
  const PlannedView& view = of.views.at("v");
  const auto sets = key_set_of(ProjectId("p"), view);
  const auto events = event_set_of(ProjectId("p"), view);
  const std::vector<Value> key = {Value::of(asked.carrier), Value::of(asked.gate)};
  const Window reach = reach_of(view, asked.time);
  const auto found =
      sync_wait(world.streams->read({{&sets, key}}, {{&events, key, reach.after, reach.until}}));
  EXPECT_TRUE(found.ok());
  std::vector<EventRow> rows;
  for (const auto& event : found->events[0]) {
    const auto row = event_row(view, key, event, found->states[0].deleted);
    if (*row) rows.push_back(**row);
  }
  std::ranges::sort(rows, {}, &EventRow::stamp);
  std::vector<const EventRow*> order;
  for (const auto& row : rows)
    order.push_back(&row);
  return aggregate(view, order, asked.time);
}

TEST(Aggregates, The_past_is_what_the_rules_say_of_all_rows) {
  const Catalog of = catalog_of(kDefinitions);
  for (unsigned seed = 1; seed <= 8; ++seed) {
    std::mt19937 random(seed);
    const auto log = random_log(of, random);
    World world;
    for (const auto& record : log)
      ASSERT_TRUE(sync_wait(world.streams->push(record)).ok());
    for (const KnownAt& known_at :
         {KnownAt{}, KnownAt{false, {}}, KnownAt{false, Instant{14'000}}}) {
      std::vector<Asked> spine;
      for (int i = 0; i < 200; ++i) {
        Asked one{std::string(1, static_cast<char>('A' + random() % 2)),
                  static_cast<std::int64_t>(random() % 2),
                  static_cast<std::int64_t>(random() % 60) * 500, 0};
        one.known = known_at.as_asked ? one.time
                    : known_at.until  ? known_at.until->micros
                                      : std::numeric_limits<std::int64_t>::max();
        spine.push_back(one);
      }
      const auto answer = past(world, of, spine, known_at);
      for (std::size_t row = 0; row < spine.size(); ++row) {
        const auto events = brute_events(log, spine[row]);
        if (events.empty()) {
          EXPECT_EQ(answer.rows[row][0].presence, Presence::kMissing);
          continue;
        }
        const auto expected = by_hand(events, spine[row].time);
        for (std::size_t i = 0; i < expected.size(); ++i)
          ASSERT_EQ(number_of(answer.rows[row][i].value), expected[i])
              << seed << " " << row << " " << kFeatures[i];
      }
    }
  }
}

TEST(Aggregates, What_is_served_is_the_past_bit_for_bit_also_after_a_crash_and_a_longer_window) {
  const Catalog of = catalog_of(kDefinitions);
  std::string shorter(kDefinitions);
  for (std::size_t at = 0; (at = shorter.find("12ms", at)) != std::string::npos; ++at)
    shorter.replace(at, 4, "3ms");
  for (unsigned seed = 1; seed <= 8; ++seed) {
    std::mt19937 random(seed);
    const auto log = random_log(of, random);
    World world;
    world.keep(catalog_of(shorter));
    for (std::size_t i = 0; i < log.size(); ++i) {
      if (i == 40) world.keep(of);  // folded from the log
      if (i == 80) {                // what was not flushed is gone
        world.disk->kept.clear();
        world.open();
        world.keep(of);
      }
      ASSERT_TRUE(sync_wait(world.streams->push(log[i])).ok());
    }
    for (const auto* const carrier : {"A", "B"}) {
      for (const std::int64_t gate : {0, 1}) {
        // At the end of all rows, since later deletions have taken what they take.
        const Asked asked{carrier, gate, 24'000, 0};
        const auto then = past(world, of, {asked}, KnownAt{false, {}});
        const auto now = served(world, of, asked);
        const PlannedView& view = of.views.at("v");
        for (std::size_t i = 0; i + 1 < kFeatures.size(); ++i) {
          const auto* const feature = view.find(kFeatures[i].substr(2));
          const auto& got = now[static_cast<std::size_t>(feature - view.features.data())];
          if (then.rows[0][i].presence == Presence::kMissing) continue;
          ASSERT_TRUE(got.value.same_bits(then.rows[0][i].value)) << seed << kFeatures[i];
          ASSERT_EQ(got.event, then.rows[0][i].event);
        }
      }
    }
  }
}

TEST(Aggregates, What_is_older_than_any_window_is_swept_away_and_the_rest_stays) {
  const Catalog of = catalog_of(kDefinitions);
  World world;
  world.keep(of);
  const auto push = [&](std::int64_t time, int gate) {
    Json row = Json::object({{"carrier", "A"}, {"gate", gate}, {"y", 1}, {"t", show_micros(time)}});
    PushRequest request{"s", "", Json::array(), Json()};
    request.rows.push(std::move(row));
    auto record = record_of(of, "p", request, Instant{time});
    ASSERT_TRUE(record.ok());
    ASSERT_TRUE(sync_wait(world.streams->push(*record)).ok());
  };
  for (int i = 0; i < 100; ++i)
    push(i * 100, i % 7);
  const std::int64_t later = 10 * streams::Streams::kLookBack.count();
  world.clock.advance(std::chrono::microseconds(later - 30'000));
  for (int i = 0; i < 100; ++i)
    push(later - i, 0);
  const auto events = event_set_of(ProjectId("p"), of.views.at("v"));
  std::size_t left = 0;
  for (std::int64_t gate = 0; gate < 7; ++gate) {
    const auto found = sync_wait(world.streams->read(
        {}, {{&events, {Value::of(std::string("A")), Value::of(gate)}, -1, later}}));
    ASSERT_TRUE(found.ok());
    left += found->events[0].size();
  }
  EXPECT_EQ(left, 100U);
}

Value of_all(Aggregate::Function function, const std::vector<Value>& values) {
  std::vector<const Value*> all;
  for (const auto& value : values)
    all.push_back(&value);
  return aggregate_values(function, values.front().type, all);
}

TEST(Aggregates, Sums_of_doubles_are_exact_and_rounded_once) {
  const auto sum = [](std::vector<double> numbers) {
    std::vector<Value> values;
    for (const double number : numbers)
      values.push_back(Value::of(number));
    const double there = of_all(kSum, values).number;
    std::ranges::reverse(values);
    EXPECT_TRUE(of_all(kSum, values).same_bits(Value::of(there)));
    return there;
  };
  EXPECT_EQ(sum({1e308, 1e308, -1e308}), 1e308);
  EXPECT_EQ(sum({1e16, 1, -1e16}), 1);
  EXPECT_EQ(sum(std::vector<double>(10, 0.1)), 1.0);
  EXPECT_EQ(sum({5e-324, 5e-324, -5e-324}), 5e-324);
  EXPECT_EQ(sum({-1.5, 0.25}), -1.25);
  EXPECT_EQ(sum({9007199254740992, 1}), 9007199254740992);          // a tie, to even
  EXPECT_EQ(sum({9007199254740992, 1, 1e-300}), 9007199254740994);  // and a bit more
  EXPECT_EQ(sum({1e308, 1e308}), std::numeric_limits<double>::infinity());
  const double infinite = std::numeric_limits<double>::infinity();
  EXPECT_EQ(sum({1, -infinite}), -infinite);
  EXPECT_TRUE(std::isnan(sum({infinite, -infinite})));
}

TEST(Aggregates, Types_and_what_does_not_fit) {
  const auto most = Value::of(std::numeric_limits<std::int64_t>::max());
  EXPECT_FALSE(of_all(kSum, {most, Value::of(std::int64_t{1})}).present);
  EXPECT_EQ(of_all(kSum, {most, most, Value::of(std::int64_t{1} - most.integer)}).present, false);
  EXPECT_EQ(of_all(kSum, {most, Value::of(std::int64_t{1}), Value::of(std::int64_t{-1})}).integer,
            most.integer);
  EXPECT_EQ(of_all(kMean, {most, most}).number, 9223372036854775807.0);
  EXPECT_FALSE(of_all(kVariance, {Value::of(1.0)}).present);
  EXPECT_EQ(of_all(kVariance, {Value::of(1e9), Value::of(1e9 + 2)}).number, 2);
  EXPECT_EQ(
      of_all(kCountDistinct, {Value::of(0.0), Value::of(-0.0), Value::of(NAN), Value::of(NAN)})
          .integer,
      2);
  EXPECT_TRUE(std::isnan(of_all(kMax, {Value::of(NAN), Value::of(1.0)}).number));
  EXPECT_EQ(of_all(kMin, {Value::of(NAN), Value::of(1.0)}).number, 1);
  EXPECT_EQ(of_all(kMin, {Value::of(std::string("b")), Value::of(std::string("a"))}).text, "a");
}

TEST(Aggregates, What_cannot_be_is_refused_with_its_field) {
  EXPECT_EQ(refusal("{aggregate: sum, of: x, window: 1h}"), "");
  EXPECT_EQ(refusal("{aggregate: median, of: x, window: 1h}"), "views.v.features.f.aggregate");
  EXPECT_EQ(refusal("{aggregate: sum, window: 1h}"), "views.v.features.f.of");
  EXPECT_EQ(refusal("{aggregate: sum, of: name, window: 1h}"), "views.v.features.f.of");
  EXPECT_EQ(refusal("{aggregate: sum, of: y, window: 1h}"), "views.v.features.f.of");
  EXPECT_EQ(refusal("{aggregate: sum, of: x}"), "views.v.features.f.window");
  EXPECT_EQ(refusal("{aggregate: sum, of: x, window: 0s}"), "views.v.features.f.window");
  EXPECT_EQ(refusal("{aggregate: sum, of: x, window: 9999d}"), "views.v.features.f.window");
  EXPECT_EQ(refusal("{aggregate: count, where: x, window: 1h}"), "views.v.features.f.where");
  EXPECT_EQ(refusal("{aggregate: count, window: 1h}", "event_id: [nr], "), "views.v.event_id");
  EXPECT_EQ(refusal("x", "event_id: [name], "), "views.v.event_id");
}

TEST(Aggregates, Another_window_is_another_version_and_spelling_is_not) {
  const auto version = [](std::string feature) {
    return catalog_of(
               "entities: {c: {keys: {c: string}}}\nsources: {s: {stream: true, columns: {c: "
               "string, x: double, t: timestamp}, timestamp: t}}\nviews: {v: {entities: "
               "[c], source: s, features: {f: " +
               feature + "}}}\n")
        .views.at("v")
        .version;
  };
  const auto one = version("{aggregate: sum, of: x, window: 1h}");
  EXPECT_EQ(one, version("{aggregate: sum, of: (x), window: 60m, description: d}"));
  EXPECT_NE(one, version("{aggregate: sum, of: x, window: 2h}"));
  EXPECT_NE(one, version("{aggregate: sum, of: x, window: 1h, tumbling: true}"));
  EXPECT_NE(one, version("{aggregate: mean, of: x, window: 1h}"));
  EXPECT_NE(one, version("{aggregate: sum, of: x, window: 1h, where: x > 0}"));
  EXPECT_NE(one, version("x"));
}

}  // namespace
}  // namespace strata::platform::features
