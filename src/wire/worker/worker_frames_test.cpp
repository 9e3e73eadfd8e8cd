#include "wire/worker/worker_frames.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

WorkerAnswer two_outputs() {
  WorkerAnswer answer{7, false, {}};
  Tensor numbers("score", ElementType::kFp64, {2, 1});
  const auto values = numbers.allocate<double>(2);
  values[0] = 0.1;
  values[1] = -0.0;
  Tensor texts("label", ElementType::kText, {3});
  texts.texts = {"late", "", ""};
  texts.missing = {0, 0, 1};
  answer.outputs.push_back(std::move(numbers));
  answer.outputs.push_back(std::move(texts));
  return answer;
}

TEST(WorkerFrames, An_answer_comes_back_as_it_was_with_missing_texts_told_from_empty_ones) {
  const auto back = decode_worker_answer(encode_worker_answer(two_outputs()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->id, 7U);
  ASSERT_EQ(back->outputs.size(), 2U);
  EXPECT_EQ(back->outputs[0].name, "score");
  EXPECT_EQ(back->outputs[0].shape, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(back->outputs[0].as<double>()[0], 0.1);
  EXPECT_TRUE(std::signbit(back->outputs[0].as<double>()[1]));
  EXPECT_EQ(back->outputs[1].texts, (std::vector<std::string>{"late", "", ""}));
  EXPECT_FALSE(back->outputs[1].is_missing(1));
  EXPECT_TRUE(back->outputs[1].is_missing(2));
}

TEST(WorkerFrames, An_answer_that_is_cut_off_anywhere_is_refused) {
  const auto whole = encode_worker_answer(two_outputs());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = decode_worker_answer(std::string_view(whole).substr(0, size));
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error().code, Code::kMalformed);
  }
  EXPECT_FALSE(decode_worker_answer(whole + "x"));
}

TEST(WorkerFrames, A_shape_that_is_larger_than_the_data_costs_no_memory) {
  WorkerAnswer answer{1, true, {}};
  Tensor tensor("y", ElementType::kText, {1});
  tensor.texts = {"a"};
  answer.outputs.push_back(std::move(tensor));
  auto bytes = encode_worker_answer(answer);
  const std::size_t dimension = 8 + 1 + 4 + 4 + 1;  // behind id, flags, count, head and name
  bytes[dimension + 5] = 0x7F;
  const auto refused = decode_worker_answer(bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kMalformed);
}

TEST(WorkerFrames, Values_that_no_tensor_can_hold_are_refused) {
  WorkerAnswer answer{1, true, {}};
  Tensor tensor("y", ElementType::kBool, {1});
  tensor.allocate<std::uint8_t>(1)[0] = 1;
  answer.outputs.push_back(std::move(tensor));
  const auto good = encode_worker_answer(answer);
  ASSERT_TRUE(decode_worker_answer(good));
  auto third = good;
  third.back() = 2;
  EXPECT_FALSE(decode_worker_answer(third)) << "a boolean of 2";
  auto type = good;
  type[13] = 99;
  EXPECT_FALSE(decode_worker_answer(type)) << "a type that there is not";
  auto name = good;
  name[17] = '\xFF';
  EXPECT_FALSE(decode_worker_answer(name)) << "a name that is not UTF-8";
}

TEST(WorkerFrames, A_worker_of_another_version_is_told_from_garbage) {
  EXPECT_TRUE(decode_worker_ready(std::string_view("\1\0\0\0", 4)));
  EXPECT_EQ(decode_worker_ready(std::string_view("\2\0\0\0", 4)).error().code, Code::kUnsupported);
  EXPECT_EQ(decode_worker_ready("hello").error().code, Code::kMalformed);
}

}  // namespace
}  // namespace strata::wire
