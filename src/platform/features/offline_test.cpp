// The point-in-time fold against a brute force that looks at every row for every question.
#include <filesystem>
#include <random>

#include <gtest/gtest.h>

#include "platform/features/features.hpp"
#include "platform/features/values.hpp"
#include "platform/streams/memory_state_store.hpp"
#include "runtime/random.hpp"

namespace strata::platform::features {
namespace {

using streams::KeyState;
using streams::Record;
using streams::Row;

constexpr std::string_view kDefinitions = R"(
entities: {carrier: {keys: {carrier: string}}}
sources:
  s:
    stream: true
    columns: {carrier: string, x: double, y: int64, t: timestamp, made: timestamp}
    timestamp: t
    created: made
views:
  v: {entities: [carrier], source: s, ttl: 5ms, features: {twice: x * 2, both: x + y, y: y}}
)";

struct Asked {
  std::optional<std::string> key;
  std::int64_t time = 0;
};

// What the rows come to by looking at all of them.
std::vector<FeatureValue> brute_force(const Catalog& of, const PlannedService& service,
                                      const std::vector<Record>& log, const Asked& asked,
                                      const KnownAt& known_at) {
  KeyState state;
  for (std::size_t sequence = 1; sequence <= log.size(); ++sequence) {
    const Record& record = log[sequence - 1];
    for (std::uint32_t i = 0; i < record.rows.size(); ++i) {
      const Row& row = record.rows[i];
      const bool known = known_at.as_asked
                             ? row.created <= asked.time
                             : !known_at.until || row.created <= known_at.until->micros;
      const bool mine = asked.key && row.cells[0]->text == *asked.key;
      if (mine && known && row.event <= asked.time) fold(state, record.columns, row, {sequence, i});
    }
  }
  Json entities = Json::object({{"carrier", Json::array()}});
  entities.as_object()[0].second.push(asked.key ? Json(*asked.key) : Json());
  const auto input = input_of(service, entities);
  EXPECT_TRUE(input.ok());
  return *evaluate(of, service, *input, 0, {{"v", {state, {}}}}, Instant{asked.time});
}

struct World {
  World() {
    folder = std::filesystem::temp_directory_path() / ("strata_offline_" + SystemRandom().hex(8));
    streams = std::make_unique<streams::Streams>(streams::Streams::Ports{
        files, clock, pool,
        [](const std::string&) -> Result<std::unique_ptr<streams::StateStore>> {
          return std::unique_ptr<streams::StateStore>(
              std::make_unique<streams::MemoryStateStore>(std::make_shared<streams::MemoryDisk>()));
        },
        folder.string()});
  }
  ~World() {
    streams.reset();
    std::filesystem::remove_all(folder);
  }
  std::filesystem::path folder;
  SystemFiles files;
  ManualClock clock{Instant{1'000'000'000}};
  BlockingPool pool{1};
  std::unique_ptr<streams::Streams> streams;
};

std::vector<Record> random_log(const Catalog& of, std::mt19937& random) {
  std::vector<Record> log;
  const auto micros = [&](int below) {
    return show_micros(static_cast<std::int64_t>(random() % static_cast<unsigned>(below)) * 1000);
  };
  for (int i = 0; i < 60; ++i) {
    PushRequest request{"s", "", Json::array(), Json::array()};
    for (std::size_t rows = 1 + random() % 4; rows > 0; --rows) {
      Json row = Json::object({{"carrier", std::string(1, static_cast<char>('A' + random() % 3))},
                               {"t", micros(20)},
                               {"made", micros(25)}});
      if (random() % 6 == 0) {
        request.deletes.push(std::move(row));
        continue;
      }
      if (random() % 3 > 0) row.set("x", static_cast<double>(random() % 100) / 3);
      if (random() % 3 > 0) row.set("y", random() % 4 == 0 ? Json() : Json(int(random() % 9)));
      request.rows.push(std::move(row));
    }
    auto record = record_of(of, "p", request, Instant{1'000'000'000});
    EXPECT_TRUE(record.ok()) << (record ? "" : record.error().message);
    log.push_back(*std::move(record));
  }
  return log;
}

TEST(OfflineFeatures, Each_answer_is_what_all_rows_that_count_then_come_to) {
  const auto document = read_features_yaml(kDefinitions, "f.yaml");
  ASSERT_TRUE(document.ok());
  const auto of = make_catalog(document->definitions);
  ASSERT_TRUE(of.ok()) << of.error().message;
  const auto service = plan_service(*of, {"v.twice", "v.both", "v.y"}, "features");
  ASSERT_TRUE(service.ok());
  std::mt19937 random(17);
  const auto log = random_log(*of, random);
  World world;
  for (const auto& record : log)
    ASSERT_TRUE(sync_wait(world.streams->push(record)).ok());
  std::vector<Asked> spine;
  Json times = Json::array();
  Json keys = Json::array();
  for (int i = 0; i < 300; ++i) {
    Asked one{std::string(1, static_cast<char>('A' + random() % 4)),
              static_cast<std::int64_t>(random() % 30) * 1000};
    if (i % 50 == 7) one.key.reset();
    keys.push(one.key ? Json(*one.key) : Json());
    times.push(show_micros(one.time));
    spine.push_back(one);
  }
  std::set<Presence> seen;
  for (const KnownAt& known_at : {KnownAt{}, KnownAt{false, {}}, KnownAt{false, Instant{12'000}}}) {
    const Json entities = Json::object({{"carrier", keys}, {kSpineTime.data(), times}});
    OnlineRequest request{"", {"v.twice", "v.both", "v.y"}, entities};
    const auto answer =
        sync_wait(historical(*of, "p", *world.streams, world.pool, request, known_at));
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    ASSERT_EQ(answer->rows.size(), spine.size());
    for (std::size_t row = 0; row < spine.size(); ++row) {
      const auto expected = brute_force(*of, *service, log, spine[row], known_at);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const FeatureValue& got = answer->rows[row][i];
        ASSERT_TRUE(got.value.same_bits(expected[i].value)) << row << " " << i;
        ASSERT_EQ(got.presence, expected[i].presence) << row << " " << i;
        ASSERT_EQ(got.event, expected[i].event) << row << " " << i;
        seen.insert(got.presence);
      }
    }
  }
  EXPECT_EQ(seen.size(), 4U);
}

}  // namespace
}  // namespace strata::platform::features
