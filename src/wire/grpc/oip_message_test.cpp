#include "wire/grpc/oip_message.hpp"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/protobuf/protobuf.hpp"

namespace strata::wire {
namespace {

using protobuf::Reader;
using protobuf::Writer;
using testing::ElementsAre;
using testing::HasSubstr;

Writer input(std::string_view name, std::string_view type, const std::vector<std::int64_t>& shape) {
  Writer writer;
  writer.text(1, name);
  writer.text(2, type);
  writer.packed(3, shape);
  return writer;
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

OipInferMessage decode(Writer& writer) {
  return decode_oip_message(std::make_shared<const std::string>(writer.take()));
}

std::string fault_of(Writer& writer) {
  const auto message = decode(writer);
  return message.request ? "" : message.request.error().message;
}

TEST(OipMessage, Raw_contents_are_looked_at_where_they_are_aligned) {
  const std::vector<std::uint8_t> values = {1, 2, 3, 4, 5, 6};
  Writer writer;
  writer.text(1, "m");
  writer.text(2, "3");
  writer.text(3, "request-7");
  writer.message(5, input("x", "UINT8", {2, 3}));
  writer.element(7, raw(values));
  const auto bytes = std::make_shared<const std::string>(writer.take());
  const auto message = decode_oip_message(bytes);
  ASSERT_TRUE(message.request.ok());
  EXPECT_EQ(message.model, "m");
  EXPECT_EQ(message.version, "3");
  EXPECT_EQ(message.request->id, "request-7");
  const auto& tensor = message.request->inputs.at(0);
  EXPECT_THAT(tensor.as<std::uint8_t>(), testing::ElementsAreArray(values));
  EXPECT_EQ(tensor.held_bytes(), 0U);
  EXPECT_GE(tensor.bytes().data(), bytes->data());
  EXPECT_LT(tensor.bytes().data(), bytes->data() + bytes->size());
}

TEST(OipMessage, Typed_contents_fill_the_type_that_the_input_names) {
  Writer contents;
  contents.packed(2, std::vector<std::int64_t>{-1, 127});
  auto x = input("x", "INT8", {2});
  x.message(5, contents);
  Writer texts;
  texts.element(8, "");
  texts.element(8, std::string("\0b", 2));
  auto y = input("y", "BYTES", {2, 1});
  y.message(5, texts);
  Writer writer;
  writer.message(5, x);
  writer.message(5, y);
  const auto message = decode(writer);
  ASSERT_TRUE(message.request.ok()) << message.request.error().message;
  EXPECT_THAT(message.request->inputs[0].as<std::int8_t>(), ElementsAre(-1, 127));
  EXPECT_THAT(message.request->inputs[1].texts, ElementsAre("", std::string("\0b", 2)));
}

TEST(OipMessage, Values_that_do_not_fit_are_refused_by_name) {
  const auto typed = [](std::string_view type, std::uint32_t field, std::int64_t value) {
    Writer contents;
    contents.packed(field, std::vector<std::int64_t>{value});
    auto x = input("x", type, {1});
    x.message(5, contents);
    Writer writer;
    writer.message(5, x);
    return fault_of(writer);
  };
  EXPECT_THAT(typed("INT8", 2, 128), HasSubstr("input 'x': element 0 is no INT8"));
  EXPECT_THAT(typed("UINT16", 4, 65536), HasSubstr("element 0 is no UINT16"));
  EXPECT_THAT(typed("INT32", 3, 1), HasSubstr("belong in int_contents"));
  EXPECT_THAT(typed("FP16", 2, 1), HasSubstr("raw_input_contents"));
  EXPECT_THAT(typed("BF16", 2, 1), HasSubstr("'BF16' is unknown"));
  EXPECT_EQ(typed("BOOL", 1, 1), "");
}

TEST(OipMessage, Shapes_and_data_have_to_agree) {
  const auto sent = [](const std::vector<std::int64_t>& shape, std::size_t bytes) {
    Writer writer;
    writer.message(5, input("x", "FP32", shape));
    writer.element(7, std::string(bytes, '\0'));
    return fault_of(writer);
  };
  EXPECT_EQ(sent({2, 3}, 24), "");
  EXPECT_EQ(sent({0, 3}, 0), "");
  EXPECT_EQ(sent({}, 4), "");
  EXPECT_THAT(sent({2, 3}, 23), HasSubstr("[2,3]"));
  EXPECT_THAT(sent({-1, 3}, 24), HasSubstr("negative"));
  EXPECT_THAT(sent({1LL << 62, 8}, 24), HasSubstr("too many"));
  EXPECT_THAT(sent(std::vector<std::int64_t>(65, 1), 4), HasSubstr("64 dimensions"));
}

TEST(OipMessage, Raw_and_typed_contents_do_not_mix) {
  Writer contents;
  contents.packed(2, std::vector<std::int64_t>{7});
  auto x = input("x", "INT32", {1});
  x.message(5, contents);
  Writer both;
  both.message(5, x);
  both.element(7, raw<std::int32_t>({7}));
  EXPECT_THAT(fault_of(both), HasSubstr("use one of the two"));
  Writer fewer;
  fewer.message(5, input("x", "INT32", {1}));
  fewer.message(5, input("y", "INT32", {1}));
  fewer.element(7, raw<std::int32_t>({7}));
  EXPECT_THAT(fault_of(fewer), HasSubstr("has 1 members for 2 inputs"));
}

TEST(OipMessage, Names_are_there_even_where_the_rest_is_wrong) {
  Writer writer;
  writer.text(1, "m");
  writer.text(3, "id-1");
  const auto message = decode(writer);
  EXPECT_EQ(message.model, "m");
  EXPECT_EQ(message.id, "id-1");
  ASSERT_FALSE(message.request.ok());
  EXPECT_EQ(message.request.error().field, "inputs");
}

TEST(OipMessage, Shared_memory_and_classification_are_not_offered) {
  const auto entry = [](std::string_view name) {
    Writer key;
    key.text(1, name);
    return key;
  };
  auto x = input("x", "FP32", {1});
  x.message(4, entry("shared_memory_region"));
  Writer shared;
  shared.message(5, x);
  EXPECT_THAT(fault_of(shared), HasSubstr("shared_memory"));
  Writer output;
  output.text(1, "y");
  output.message(2, entry("classification"));
  Writer classified;
  classified.message(6, output);
  EXPECT_THAT(fault_of(classified), HasSubstr("classification"));
}

TEST(OipMessage, Answers_hold_what_was_asked_for_in_that_order) {
  std::vector<Tensor> outputs;
  outputs.emplace_back("a", ElementType::kInt64, std::vector<std::int64_t>{2});
  outputs.back().allocate<std::int64_t>(2)[1] = -5;
  outputs.emplace_back("b", ElementType::kText, std::vector<std::int64_t>{1});
  outputs.back().texts = {"xy"};
  OipRequest request;
  request.id = "id-2";
  request.outputs = {{"b", {}}, {"a", {}}};
  std::string out = "head:";
  ASSERT_TRUE(append_oip_answer(out, "m", "4", request, outputs, {{"k", "v"}}).ok());
  ASSERT_TRUE(out.starts_with("head:"));
  std::vector<std::string> raws;
  std::vector<std::string> names;
  std::string id;
  Reader reader(std::string_view(out).substr(5), "ModelInferResponse");
  while (reader.next()) {
    if (reader.number() == 3) reader.text("id", id);
    if (reader.number() == 6) raws.emplace_back(reader.bytes("raw"));
    if (reader.number() != 5) continue;
    Reader tensor(reader.message("outputs"), "InferOutputTensor");
    while (tensor.next())
      if (tensor.number() == 1) tensor.text("name", names.emplace_back());
  }
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(id, "id-2");
  EXPECT_THAT(names, ElementsAre("b", "a"));
  EXPECT_THAT(raws, ElementsAre(std::string("\2\0\0\0xy", 6), raw<std::int64_t>({0, -5})));
  request.outputs = {{"c", {}}};
  EXPECT_FALSE(append_oip_answer(out, "m", "4", request, outputs, {}).ok());
}

}  // namespace
}  // namespace strata::wire
