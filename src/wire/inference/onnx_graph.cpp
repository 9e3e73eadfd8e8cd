#include "wire/inference/onnx_graph.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::wire {

namespace {

constexpr int kDeepest = 64;  // graphs in graphs

// Operators whose work or whose output's size follows from values. Reductions, searches and the
// like are bounded by the shapes of what goes in.
constexpr std::array<std::string_view, 18> kByValue = {
    "Loop",   "Scan",   "If",        "SequenceMap",   "Range",     "ConstantOfShape",
    "Expand", "Tile",   "OneHot",    "Pad",           "Resize",    "Upsample",
    "Repeat", "Affine", "Bernoulli", "RandomUniform", "MaxUnpool", "CenterCropPad"};

Error broken(std::string_view what) {
  return Error(Code::kInvalidArgument, fmt::format("the file is no ONNX model: {}", what));
}

// One field of a message: its number, and its bytes when it has a length.
struct Field {
  std::uint64_t number = 0;
  bool has_bytes = false;
  std::string_view bytes;
};

class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  // The next field, or nothing at the end.
  Result<std::optional<Field>> next() {
    if (rest_.empty()) return std::optional<Field>();
    const auto tag = varint();
    if (!tag) return broken("a tag is cut");
    Field field{*tag >> 3U, false, {}};
    switch (*tag & 7U) {
      case 0:
        if (!varint()) return broken("a number is cut");
        return std::optional(field);
      case 1:
        return fixed(field, 8);
      case 5:
        return fixed(field, 4);
      case 2: {
        const auto size = varint();
        if (!size || *size > rest_.size()) return broken("a field is cut");
        field.has_bytes = true;
        field.bytes = rest_.substr(0, *size);
        rest_.remove_prefix(*size);
        return std::optional(field);
      }
      default:
        return broken("a field has a type that ONNX does not use");
    }
  }

 private:
  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

  Result<std::optional<Field>> fixed(Field field, std::size_t size) {
    if (rest_.size() < size) return broken("a number is cut");
    rest_.remove_prefix(size);
    return std::optional(field);
  }

  std::string_view rest_;
};

// Calls `f` with the bytes of each field of that number.
template <class F>
Status each(std::string_view bytes, std::uint64_t number, F f) {
  Message message(bytes);
  while (true) {
    auto field = message.next();
    if (!field) return std::move(field).error();
    if (!*field) return {};
    if ((*field)->number == number && (*field)->has_bytes) STRATA_TRY(f((*field)->bytes));
  }
}

// The numbers of fields in onnx.proto.
constexpr std::uint64_t kModelGraph = 7;
constexpr std::uint64_t kModelFunctions = 25;
constexpr std::uint64_t kFunctionName = 1;
constexpr std::uint64_t kFunctionNode = 7;
constexpr std::uint64_t kGraphNode = 1;
constexpr std::uint64_t kNodeOperator = 4;
constexpr std::uint64_t kNodeAttribute = 5;
constexpr std::uint64_t kAttributeGraph = 6;
constexpr std::uint64_t kAttributeGraphs = 11;

class Inspection {
 public:
  Result<OnnxTraits> run(std::string_view model) {
    std::size_t graphs = 0;
    STRATA_TRY(each(model, kModelFunctions, [&](std::string_view function) {
      return each(function, kFunctionName, [&](std::string_view name) -> Status {
        functions_.insert(name);
        return {};
      });
    }));
    STRATA_TRY(each(model, kModelGraph, [&](std::string_view graph) {
      ++graphs;
      return nodes(graph, kGraphNode, false, 0);
    }));
    STRATA_TRY(each(model, kModelFunctions, [&](std::string_view function) {
      return nodes(function, kFunctionNode, false, 0);
    }));
    if (graphs == 0) return broken("it has no graph");
    return traits_;
  }

 private:
  // The nodes of a graph or function. The body of a loop must hold one that is still there when
  // constants have become weights and functions what they are made of.
  Status nodes(std::string_view owner, std::uint64_t number, bool loop_body, int depth) {
    if (depth > kDeepest) return broken("its graphs are nested too deeply");
    bool computes = false;
    STRATA_TRY(each(owner, number, [&](std::string_view node) -> Status {
      std::optional<std::string_view> kind;
      STRATA_TRY(each(node, kNodeOperator, [&](std::string_view name) -> Status {
        if (kind) return broken("a node has two operators");
        kind = name;
        return {};
      }));
      const std::string_view name = kind.value_or("");
      if (std::find(kByValue.begin(), kByValue.end(), name) != kByValue.end())
        traits_.steady = false;
      const bool loop = name == "Loop";
      traits_.loops = traits_.loops || loop;
      computes = computes || (name != "Constant" && !functions_.contains(name));
      return each(node, kNodeAttribute, [&](std::string_view attribute) -> Status {
        const auto body = [&](std::string_view graph) {
          traits_.steady = false;
          return nodes(graph, kGraphNode, loop, depth + 1);
        };
        STRATA_TRY(each(attribute, kAttributeGraph, body));
        return each(attribute, kAttributeGraphs, body);
      });
    }));
    if (!loop_body || computes) return {};
    return Error(
        Code::kUnsupported,
        "the graph has a Loop whose body computes nothing, which cannot be stopped once it "
        "runs; take the loop out of the model");
  }

  OnnxTraits traits_;
  std::set<std::string_view> functions_;
};

}  // namespace

Result<OnnxTraits> inspect_onnx(std::string_view model) {
  return Inspection().run(model);
}

}  // namespace strata::wire
