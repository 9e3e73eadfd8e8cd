#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/verdicts/facts.hpp"

namespace strata::platform::verdicts {
namespace {

using deployment::EndpointState;
using testing::HasSubstr;

const Instant kTrained = Instant::from_seconds(1'000'000);
const Instant kNow = kTrained + std::chrono::hours(10);

// A model of which everything is as it should be.
Facts sound() {
  Facts facts;
  facts.model = "flights";
  facts.subject = "@champion";
  facts.version = 3;
  facts.package_digest = "sha256:3";
  facts.created = kTrained;
  facts.owner = {{"ada", true, false}, "core", true, Person{"bob", true, false}, "champion"};
  facts.replicas = {{"flights", EndpointState::kReady, "", true, "3", "sha256:3", 7}};
  facts.features = {true, {{"wind", "double"}}, {{"t", {{"wind", "double"}, {"late", "long"}}}}};
  facts.code.commit = "abc";
  facts.code.has_requirements = true;
  facts.data.tables = {
      {"table:main.t@1", "main.t", {{"wind", "DOUBLE"}}, 100, true, {}, {{"wind", "DOUBLE"}}, 100}};
  facts.data.steps = {
      {"daily", "load", true, "r1", "succeeded", kTrained, "", std::chrono::hours(24)}};
  return facts;
}

Verdict verdict(const Facts& facts, Question question, Instant now = kNow) {
  return judge(facts, now).report.answer(question).verdict;
}

TEST(Judge, FindsNothingWhereAllIsWell) {
  const auto judged = judge(sound(), kNow);
  for (const auto& answer : judged.report.answers)
    EXPECT_EQ(answer.verdict, Verdict::kGood) << answer.evidence.front().text;
  EXPECT_EQ(judged.until, kTrained + std::chrono::hours(24));
}

TEST(Judge, SaysTheSameOfTheSameFactsAsTimePasses) {
  const auto report = judge(sound(), kNow).report;
  EXPECT_EQ(judge(sound(), kNow + std::chrono::hours(13)).report, report);
  EXPECT_EQ(report_json(judge(sound(), kTrained).report), report_json(report));
}

TEST(Judge, LetsAPromiseOfFreshnessLapseAtItsTimeAndNotBefore) {
  const Instant due = kTrained + std::chrono::hours(24);
  EXPECT_EQ(verdict(sound(), Question::kData, due - std::chrono::microseconds(1)), Verdict::kGood);
  EXPECT_EQ(verdict(sound(), Question::kData, due), Verdict::kBad);
  auto promised_by_nobody = sound();
  promised_by_nobody.data.steps[0].fresh = {};
  EXPECT_EQ(verdict(promised_by_nobody, Question::kData, kNow + std::chrono::hours(1000)),
            Verdict::kGood);
}

TEST(Judge, AsksForASignatureWhereTheProjectDoes) {
  using signing::SignatureState;
  auto facts = sound();
  const auto judged = [&](SignatureState state, bool required) {
    facts.signature = {{state, "ada", "why"}, required};
    const auto report = judge(facts, kNow).report;
    for (const auto question :
         {Question::kOwner, Question::kFeatures, Question::kCode, Question::kData})
      EXPECT_EQ(report.answer(question).verdict, Verdict::kGood);
    return report.answer(Question::kBinary).verdict;
  };
  EXPECT_EQ(judged(SignatureState::kNone, false), Verdict::kGood);
  EXPECT_EQ(judged(SignatureState::kNone, true), Verdict::kBad);
  EXPECT_EQ(judged(SignatureState::kValid, true), Verdict::kGood);
  EXPECT_EQ(judged(SignatureState::kUntrusted, false), Verdict::kWarning);
  EXPECT_EQ(judged(SignatureState::kUntrusted, true), Verdict::kBad);
  EXPECT_EQ(judged(SignatureState::kInvalid, false), Verdict::kBad);
}

TEST(Judge, LetsTheWorstEvidenceDecideAndShowsItFirst) {
  auto facts = sound();
  facts.owner.mover->disabled = true;
  EXPECT_EQ(verdict(facts, Question::kOwner), Verdict::kWarning);
  facts.owner.owner.disabled = true;
  const auto answer = judge(facts, kNow).report.answer(Question::kOwner);
  EXPECT_EQ(answer.verdict, Verdict::kBad);
  EXPECT_EQ(answer.evidence.front().code, "owner.disabled");
  EXPECT_EQ(answer.evidence.back().code, "owner.mover_gone");
}

TEST(Judge, SaysWhoApprovedAMoveAndWhyItWasMadeAgainstTheQuestions) {
  auto facts = sound();
  facts.owner.approved_by = "cleo";
  const auto approved = judge(facts, kNow).report.answer(Question::kOwner);
  EXPECT_EQ(approved.verdict, Verdict::kGood);
  EXPECT_EQ(approved.evidence.back().code, "owner.approved_by");
  EXPECT_THAT(approved.evidence.back().text, HasSubstr("cleo"));
  facts.owner.override_reason = "the boss said so";
  const auto overridden = judge(facts, kNow).report.answer(Question::kOwner);
  EXPECT_EQ(overridden.verdict, Verdict::kWarning);
  EXPECT_EQ(overridden.evidence.front().code, "owner.overridden");
  EXPECT_THAT(overridden.evidence.front().text, HasSubstr("the boss said so"));
}

TEST(Judge, TellsAnEndpointThatFollowsFromOneThatCannot) {
  auto facts = sound();
  facts.replicas[0].version = "2";
  facts.replicas[0].package_digest = "sha256:2";
  facts.replicas[0].state = EndpointState::kLoading;
  EXPECT_EQ(verdict(facts, Question::kBinary), Verdict::kGood);
  facts.replicas[0].state = EndpointState::kDegraded;
  facts.replicas[0].error = "the file is damaged";
  const auto answer = judge(facts, kNow).report.answer(Question::kBinary);
  EXPECT_EQ(answer.verdict, Verdict::kBad);
  EXPECT_THAT(answer.evidence.front().text, HasSubstr("the file is damaged"));
  facts.replicas.clear();
  EXPECT_EQ(verdict(facts, Question::kBinary), Verdict::kUnknown);
}

TEST(Judge, DoesNotMissATableThatThePipelineDroppedItself) {
  auto facts = sound();
  facts.data.tables[0].exists = false;
  facts.data.tables[0].dropped = kTrained - std::chrono::seconds(1);
  EXPECT_EQ(verdict(facts, Question::kData), Verdict::kGood);
  facts.data.tables[0].dropped = kTrained + std::chrono::seconds(1);
  EXPECT_EQ(verdict(facts, Question::kData), Verdict::kBad);
}

TEST(Judge, WarnsBelowHalfOfTheRowsOnly) {
  auto facts = sound();
  facts.data.tables[0].rows_now = 50;
  EXPECT_EQ(verdict(facts, Question::kData), Verdict::kGood);
  facts.data.tables[0].rows_now = 49;
  EXPECT_EQ(verdict(facts, Question::kData), Verdict::kWarning);
  facts.data.tables[0].rows_now = 0;
  EXPECT_EQ(verdict(facts, Question::kData), Verdict::kBad);
  facts.data.tables[0].rows_now = -1;  // a view: nobody counted
  EXPECT_EQ(verdict(facts, Question::kData), Verdict::kGood);
}

TEST(Judge, NamesNoMoreThanAFewOfManyColumns) {
  auto facts = sound();
  for (int i = 0; i < 100; ++i)
    facts.features.inputs.push_back({fmt::format("missing{}", i), "double"});
  const auto answer = judge(facts, kNow).report.answer(Question::kFeatures);
  EXPECT_EQ(answer.verdict, Verdict::kBad);
  EXPECT_THAT(answer.evidence.front().text, HasSubstr("and 90 more"));
}

TEST(Judge, DoesNotKnowWhatNobodyRecorded) {
  const Facts nothing;
  const auto report = judge(nothing, kNow).report;
  EXPECT_EQ(report.answer(Question::kOwner).verdict, Verdict::kBad);  // nobody answers for it
  EXPECT_EQ(report.answer(Question::kBinary).verdict, Verdict::kUnknown);
  EXPECT_EQ(report.answer(Question::kCode).verdict, Verdict::kUnknown);
  EXPECT_EQ(report.answer(Question::kData).verdict, Verdict::kUnknown);
}

}  // namespace
}  // namespace strata::platform::verdicts
