#include "platform/release/gates.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/random.hpp"

namespace strata::platform::release {
namespace {

using deployment::LiveModel;
using inference::Contract;
using inference::Inputs;
using testing::HasSubstr;
using Verdict = GateResult::Verdict;
using wire::ColumnType;
using wire::ElementType;
using wire::Tensor;

Contract contract(std::vector<inference::Column> columns) {
  Contract out;
  out.columns = std::move(columns);
  out.outputs = {{"predict", ElementType::kFp64, {-1}}};
  return out;
}

inference::Column column(const char* name, ColumnType type = ColumnType::kDouble,
                         bool required = true) {
  return {name, type, ElementType::kFp64, required};
}

TEST(ReleaseGates, A_signature_that_takes_all_that_was_taken_passes) {
  const auto live = contract({column("x"), column("n", ColumnType::kInteger)});
  EXPECT_EQ(check_signature(live, live).verdict, Verdict::kPass);
  const auto wider = contract(
      {column("n", ColumnType::kLong), column("x"), column("y", ColumnType::kDouble, false)});
  EXPECT_EQ(check_signature(live, wider).verdict, Verdict::kPass);
  const auto fewer = check_signature(live, contract({column("x")}));
  EXPECT_EQ(fewer.verdict, Verdict::kWarn);
  EXPECT_THAT(fewer.reason, HasSubstr("'n'"));
}

TEST(ReleaseGates, A_signature_that_refuses_what_was_taken_fails_by_column) {
  const auto live = contract({column("x"), column("maybe", ColumnType::kDouble, false)});
  const std::vector<std::pair<Contract, const char*>> worse = {
      {contract({column("x"), column("new")}), "'new' is new and required"},
      {contract({column("x"), column("maybe")}), "'maybe' became required"},
      {contract({column("x", ColumnType::kFloat)}), "'x' was double and is float"},
      {contract({column("x", ColumnType::kString)}), "'x' was double and is string"}};
  for (const auto& [candidate, reason] : worse) {
    const auto result = check_signature(live, candidate);
    EXPECT_TRUE(result.failed()) << reason;
    EXPECT_THAT(result.reason, HasSubstr(reason));
  }
  auto renamed = live;
  renamed.outputs[0].name = "score";
  EXPECT_THAT(check_signature(live, renamed).reason, HasSubstr("output 'predict' is gone"));
  auto retyped = live;
  retyped.outputs[0].type = ElementType::kInt64;
  EXPECT_TRUE(check_signature(live, retyped).failed());
}

// Answers by a function of the input and of how often it was asked.
class FunctionRunner final : public inference::ModelRunner {
 public:
  using Function = std::function<Result<double>(double, int)>;
  explicit FunctionRunner(Function function) : function_(std::move(function)) {
    interface_.inputs = {{"input", ElementType::kFp64, {-1, 1}}};
    interface_.outputs = {{"predict", ElementType::kFp64, {-1}}};
    interface_.bare_output = true;
  }
  const inference::ModelInterface& interface() const override { return interface_; }
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                  const std::stop_token&) const override {
    const auto value = function_(inputs[0].as<double>()[0], ++asked_);
    if (!value) return value.error();
    Tensor out("predict", ElementType::kFp64, {1});
    out.allocate<double>(1)[0] = *value;
    std::vector<Tensor> outputs;
    outputs.push_back(std::move(out));
    return outputs;
  }

 private:
  Function function_;
  inference::ModelInterface interface_;
  mutable std::atomic<int> asked_{0};
};

LiveModel model(FunctionRunner::Function function) {
  LiveModel live;
  const auto runner = std::make_shared<FunctionRunner>(std::move(function));
  const auto about = wire::parse_mlmodel(
      "flavors: {f: {}}\nsignature:\n  inputs: '[{\"type\":\"double\",\"name\":\"x\"}]'\n");
  EXPECT_TRUE(about);
  auto binding = inference::Binding::make(*about, runner->interface());
  EXPECT_TRUE(binding) << binding.error().message;
  live.binding = std::make_shared<const inference::Binding>(*std::move(binding));
  live.runner = runner;
  return live;
}

Inputs input(const LiveModel& to, double value) {
  Tensor x("x", ElementType::kFp64, {1});
  x.allocate<double>(1)[0] = value;
  std::vector<Tensor> tensors;
  tensors.push_back(std::move(x));
  return *to.binding->bind(std::move(tensors));
}

class ModelGatesTest : public testing::Test {
 protected:
  std::vector<Sample> samples(const LiveModel& candidate, int count = 40) {
    std::vector<Sample> all;
    for (int i = 0; i < count; ++i)
      all.push_back({input(live_, i), input(candidate, i)});
    return all;
  }
  GateResult answers(FunctionRunner::Function function, int count = 40) {
    const auto candidate = model(std::move(function));
    return check_answers(live_, candidate, samples(candidate, count), {});
  }
  LiveModel live_ = model([](double x, int) { return 2 * x; });
};

TEST_F(ModelGatesTest, Each_fault_of_the_answers_is_told_apart) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(answers([](double x, int) { return 3 * x; }).verdict, Verdict::kPass);
  const std::vector<std::pair<FunctionRunner::Function, const char*>> faults = {
      {[](double, int) { return 1.0; }, "every answer is the same"},
      {[=](double x, int) { return x > 30 ? nan : x; }, "9 of 40 answers have NaN"},
      {[](double x, int asked) { return x + asked; }, "40 of 40 requests got two different"},
      {[](double x, int) -> Result<double> {
         if (x < 3) return Error(Code::kInternal, "too small");
         return x;
       },
       "3 of 40 requests that the live version answers fail: too small"}};
  for (const auto& [function, reason] : faults) {
    const auto result = answers(function);
    EXPECT_TRUE(result.failed()) << reason;
    EXPECT_THAT(result.reason, HasSubstr(reason));
  }
}

TEST_F(ModelGatesTest, Few_requests_are_a_doubt_and_no_proof) {
  const auto few = answers([](double, int) { return 1.0; }, 3);
  EXPECT_EQ(few.verdict, Verdict::kWarn);
  EXPECT_THAT(few.reason, HasSubstr("only 3"));
}

TEST_F(ModelGatesTest, A_fault_that_the_live_version_shares_is_none_of_the_candidates) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  live_ = model([=](double x, int) { return x > 30 ? nan : 2 * x; });
  EXPECT_EQ(answers([=](double x, int) { return x > 30 ? nan : x; }).verdict, Verdict::kPass);
  live_ = model([](double, int) { return 5.0; });
  EXPECT_EQ(answers([](double, int) { return 1.0; }).verdict, Verdict::kPass);
}

TEST_F(ModelGatesTest, A_candidate_is_measured_against_the_live_version_under_the_same_load) {
  ManualClock clock{Instant{0}};
  const auto taking = [&clock](std::int64_t micros) {
    return model([&clock, micros](double x, int) {
      clock.advance(std::chrono::microseconds(micros));
      return x;
    });
  };
  live_ = taking(2'000);
  for (const auto& [micros, fails] : {std::pair(2'500, false), std::pair(9'000, true)}) {
    const auto candidate = taking(micros);
    const auto all = samples(candidate);
    const auto result =
        check_load(live_, candidate, all, Limits{}, clock, 1, std::chrono::milliseconds(2'000), {});
    EXPECT_EQ(result.failed(), fails) << result.reason;
    EXPECT_EQ(result.numbers.number("median_us_candidate"), micros);
    EXPECT_EQ(result.numbers.number("median_us_live"), 2'000);
  }
}

TEST_F(ModelGatesTest, A_long_tail_is_told_from_a_few_slow_requests) {
  ManualClock clock{Instant{0}};
  const auto taking = [&clock](int every) {  // each so manieth request takes long
    return model([&clock, every](double x, int asked) {
      clock.advance(std::chrono::microseconds(asked % every == 0 ? 30'000 : 2'000));
      return x;
    });
  };
  live_ = taking(1'000'000);
  for (const auto& [every, fails] : {std::pair(500, false), std::pair(20, true)}) {
    const auto candidate = taking(every);
    const auto all = samples(candidate);
    const auto result =
        check_load(live_, candidate, all, Limits{}, clock, 1, std::chrono::seconds(8), {});
    EXPECT_EQ(result.failed(), fails) << result.reason;
  }
}

TEST(ReleaseGates, Legal_requests_fail_a_candidate_only_where_the_live_version_does_better) {
  const auto report = [](const char* cases) {
    return Probed(inference::ProbeReport{cases, "bad value (asked x=-1)", 0});
  };
  EXPECT_EQ(check_inputs(report("..fn"), report("..fn")).verdict, Verdict::kPass);
  EXPECT_EQ(check_inputs(report("..fn"), report("....")).verdict, Verdict::kPass);
  EXPECT_EQ(check_inputs(report("f..."), report("n...")).verdict, Verdict::kPass);
  const std::vector<std::pair<const char*, const char*>> worse = {
      {".f..", "1 legal requests fail: bad value (asked x=-1)"},
      {".nn.", "2 legal requests get NaN"},
      {"ddd.", "3 legal requests get two different"}};
  for (const auto& [cases, reason] : worse) {
    const auto result = check_inputs(report("...."), report(cases));
    EXPECT_TRUE(result.failed()) << cases;
    EXPECT_THAT(result.reason, HasSubstr(reason));
  }
  const Probed died = Error(Code::kDataLoss, "signal 11");
  const auto dead = check_inputs(report("...."), died);
  EXPECT_TRUE(dead.failed());
  EXPECT_THAT(dead.reason, HasSubstr("signal 11"));
  EXPECT_EQ(check_inputs(died, died).verdict, Verdict::kWarn);
  EXPECT_EQ(check_inputs(died, report("....")).verdict, Verdict::kWarn);
}

TEST(ReleaseGates, More_memory_than_the_limit_allows_fails) {
  const auto holding = [](std::uint64_t mebibytes) {
    return Probed(inference::ProbeReport{"..", "", mebibytes << 20U});
  };
  EXPECT_EQ(check_memory(holding(100), holding(250), {}).verdict, Verdict::kPass);
  const auto large = check_memory(holding(100), holding(300), {});
  EXPECT_TRUE(large.failed());
  EXPECT_THAT(large.reason, HasSubstr("held 300 MiB, the live version's 100"));
  EXPECT_EQ(check_memory(holding(100), holding(300), Limits{.memory_ratio = 3}).verdict,
            Verdict::kPass);
  EXPECT_EQ(check_memory(holding(0), holding(300), {}).verdict, Verdict::kWarn);
}

TEST(ReleaseGates, A_pickle_that_would_run_a_command_fails_whatever_its_name) {
  const std::string folder = testing::TempDir() + "gates-" + SystemRandom().hex(8);
  SystemFiles files;
  ASSERT_TRUE(files.make_dirs(folder));
  std::vector<models::ModelFile> list;
  const auto add = [&](const std::string& name, const std::string& bytes) {
    EXPECT_TRUE(files.replace(folder + "/" + name, bytes));
    list.push_back({name, bytes.size(), ""});
  };
  add("model.lgb", "tree\nversion=v4\n");
  add("plain.pkl", "\x80\x02}.");
  EXPECT_EQ(check_artifacts(files, folder, list).verdict, Verdict::kPass);
  add("own.pkl", "cshop\nNet\n.");
  EXPECT_EQ(check_artifacts(files, folder, list).verdict, Verdict::kWarn);
  add("data.bin",
      std::string("\x80\x02") + "cposix\nsystem\n(X\x04" + std::string(3, '\0') + "truetR.");
  const auto found = check_artifacts(files, folder, list);
  EXPECT_TRUE(found.failed());
  EXPECT_THAT(found.reason, HasSubstr("'data.bin' calls posix.system"));
  EXPECT_EQ(found.numbers.integer("pickles"), 3);
  std::filesystem::remove_all(folder);
}

TEST(ReleaseGates, A_bad_question_fails_and_what_is_unknown_warns) {
  const auto report = [](const char* verdict) {
    const Json evidence = Json::object({{"text", "the owner has left"}});
    const Json question = Json::object(
        {{"question", "owner"}, {"verdict", verdict}, {"evidence", Json(Json::Array{evidence})}});
    return Json::object({{"questions", Json(Json::Array{question})}});
  };
  EXPECT_EQ(check_questions(report("good")).verdict, Verdict::kPass);
  EXPECT_EQ(check_questions(report("unknown")).verdict, Verdict::kWarn);
  const auto bad = check_questions(report("bad"));
  EXPECT_TRUE(bad.failed());
  EXPECT_THAT(bad.reason, HasSubstr("the owner has left"));
  EXPECT_EQ(check_questions(Json()).verdict, Verdict::kWarn);
}

}  // namespace
}  // namespace strata::platform::release
