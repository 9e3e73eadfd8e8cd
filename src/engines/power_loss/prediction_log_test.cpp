// The prediction log on a disk that loses what was not synced: what was flushed is found again,
// once, with its values. Seen to fail with each of these STRATA_CUT_LIE: .tmp (content of files
// that are replaced), flights/, default/ (names of files and folders).

#include <map>

#include "engines/power_loss/lives_testing.hpp"
#include "platform/predictions/predictions.hpp"
#include "runtime/random.hpp"

namespace strata::engines::power_loss {
namespace {

using namespace platform::predictions;  // NOLINT(google-build-using-namespace): the room under test
using wire::ElementType;
using wire::Tensor;

std::shared_ptr<const ModelIdentity> some_model() {
  auto identity = std::make_shared<ModelIdentity>();
  identity->project = "default";
  identity->endpoint = "flights";
  identity->model = "m";
  identity->version = "3";
  identity->digest = "sha256:abc";
  identity->contract.columns = {{"wind", wire::ColumnType::kDouble, ElementType::kFp64, true}};
  identity->contract.outputs = {{"predict", ElementType::kFp64, {-1}}};
  return identity;
}

struct Memory {
  std::map<std::string, double> flushed;   // the input by prediction id
  std::map<std::string, double> appended;  // in this life
  std::map<std::string, double> lost;      // in earlier ones, or perhaps not
};

class Life {
 public:
  Life(PowerLossFiles& disk, Dice& dice, Memory& memory, ManualClock& clock, Random& random)
      : disk_(disk),
        dice_(dice),
        memory_(memory),
        clock_(clock),
        random_(random),
        log_(kData + "/predictions", disk, clock, metrics_) {}

  void live() {
    memory_.lost.merge(memory_.appended);
    memory_.appended.clear();
    prepare(disk_);
    const auto opened = log_.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    check();
    for (int i = 0; i < 120 && !disk_.is_off(); ++i) {
      for (auto more = dice_.below(3); more > 0; --more)
        append();
      clock_.advance(std::chrono::seconds(dice_.below(40)));
      const auto flushed = log_.flush();
      if (disk_.is_off()) return;
      EXPECT_TRUE(flushed.ok());
      memory_.flushed.merge(memory_.appended);
      memory_.appended.clear();
    }
    check();
  }

 private:
  void append() {
    const auto wind = static_cast<double>(dice_.below(1000));
    auto exchange = std::make_shared<Exchange>();
    clock_.advance(std::chrono::milliseconds(1));
    exchange->time = clock_.now();
    exchange->id = random_.uuid7(exchange->time);
    exchange->model = model_;
    exchange->inputs.rows = 1;
    for (const auto* name : {"wind", "predict"}) {
      Tensor tensor(name, ElementType::kFp64, {1});
      tensor.allocate<double>(1)[0] = wind;
      (tensor.name == "wind" ? exchange->inputs.tensors : exchange->outputs)
          .push_back(std::move(tensor));
    }
    memory_.appended[exchange->id] = wind;
    log_.append(std::move(exchange), {});
  }

  void check() {
    if (disk_.is_off()) return;
    std::map<std::string, int> rows;
    for (const auto& path : log_.files("default")) {
      const auto bytes = disk_.read_all(path);
      ASSERT_TRUE(bytes.ok()) << path;
      auto table = wire::decode_parquet(*bytes);
      ASSERT_TRUE(table.ok()) << path << ": " << table.error().message;
      for (const auto& prediction : predictions_of(*table, 0, table->rows)) {
        ++rows[prediction.id];
        const auto known = memory_.flushed.find(prediction.id);
        const auto lost = memory_.lost.find(prediction.id);
        ASSERT_TRUE(known != memory_.flushed.end() || lost != memory_.lost.end())
            << "a prediction that nobody made";
        const double wind = known != memory_.flushed.end() ? known->second : lost->second;
        EXPECT_EQ(prediction.rows.front().inputs.number("wind"), wind);
        EXPECT_EQ(prediction.rows.front().outputs.number("predict"), wind);
      }
    }
    for (const auto& [id, wind] : memory_.flushed)
      EXPECT_EQ(rows[id], 1) << id;
    for (const auto& [id, count] : rows)
      EXPECT_EQ(count, 1) << id;
  }

  PowerLossFiles& disk_;
  Dice& dice_;
  Memory& memory_;
  ManualClock& clock_;
  Random& random_;
  metrics::Registry metrics_;
  std::shared_ptr<const ModelIdentity> model_ = some_model();
  PredictionLog log_;
};

TEST(ThePowerLostPredictionLog, Keeps_what_it_flushed_once_and_whole) {
  const auto first = number_of("STRATA_CUT_FIRST", 1);
  const auto seeds = number_of("STRATA_CUT_SEEDS", 60);
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE("STRATA_CUT_FIRST=" + std::to_string(seed));
    Memory memory;
    ManualClock clock{Instant::from_seconds(1'700'000'000)};
    SeededRandom random(seed);
    live_and_die(seed, 8, [&](PowerLossFiles& disk, Dice& dice) {
      Life(disk, dice, memory, clock, random).live();
    });
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace strata::engines::power_loss
