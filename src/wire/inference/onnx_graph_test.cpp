#include "wire/inference/onnx_graph.hpp"

#include <string>

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

// Messages of onnx.proto, written field by field.
std::string field(int number, const std::string& bytes) {
  std::string out;
  for (auto value : {static_cast<std::size_t>(number) << 3U | 2U, bytes.size()}) {
    while (value >= 0x80) {
      out += static_cast<char>(value | 0x80U);
      value >>= 7U;
    }
    out += static_cast<char>(value);
  }
  return out + bytes;
}
std::string node(const std::string& kind, const std::string& body = "-") {
  return field(4, kind) + (body == "-" ? "" : field(5, field(1, "body") + field(6, body)));
}
std::string graph(const std::string& nodes) {
  return field(7, nodes);
}
std::string one(const std::string& some_node) {
  return field(1, some_node);
}

TEST(OnnxGraph, A_plain_graph_costs_what_its_shapes_say) {
  const auto traits = inspect_onnx(graph(one(node("MatMul")) + one(node("Add"))));
  ASSERT_TRUE(traits) << traits.error().message;
  EXPECT_TRUE(traits->steady);
  EXPECT_FALSE(traits->loops);
}

TEST(OnnxGraph, Loops_are_found_in_graphs_and_functions_however_deep) {
  const std::string loop = node("Loop", one(node("Add")));
  const std::string branch = node("If", one(node("Identity")) + one(loop));
  for (const auto& model :
       {graph(one(loop)), graph(one(branch)), graph(one(node("Scan", one(branch)))),
        graph(one(node("Mine"))) + field(25, field(1, "Mine") + field(7, loop))}) {
    const auto traits = inspect_onnx(model);
    ASSERT_TRUE(traits) << traits.error().message;
    EXPECT_TRUE(traits->loops);
    EXPECT_FALSE(traits->steady);
  }
}

TEST(OnnxGraph, Operators_whose_output_grows_with_values_are_not_steady) {
  for (const auto* kind : {"If", "Scan", "Range", "ConstantOfShape", "Expand", "Tile", "OneHot"}) {
    const auto traits = inspect_onnx(graph(one(node("Add")) + one(node(kind))));
    ASSERT_TRUE(traits);
    EXPECT_FALSE(traits->steady) << kind;
    EXPECT_FALSE(traits->loops) << kind;
  }
}

TEST(OnnxGraph, A_loop_that_computes_nothing_is_refused) {
  const std::string function = field(25, field(1, "Nothing") + field(7, node("Constant")));
  for (const auto& body : {std::string(), one(node("Constant")), one(node("Nothing"))}) {
    const auto refused = inspect_onnx(graph(one(node("Loop", body))) + function);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kUnsupported);
  }
}

TEST(OnnxGraph, What_is_no_model_is_refused) {
  std::string deep = one(node("Add"));
  for (int i = 0; i < 100; ++i)
    deep = one(node("If", deep));
  for (const auto& bytes : {std::string(), std::string("\xff\xff"),
                            std::string("no protobuf at all"), graph(one(node("Add"))).substr(0, 5),
                            graph(deep), graph(one(field(4, "Add") + field(4, "Loop")))}) {
    EXPECT_FALSE(inspect_onnx(bytes));
  }
}

}  // namespace
}  // namespace strata::wire
