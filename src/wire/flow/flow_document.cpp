#include "wire/flow/flow_document.hpp"

#include <charconv>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire {
namespace {

constexpr std::size_t kMaxText = 1 << 20;
constexpr std::size_t kMaxNodes = 100'000;
constexpr int kMaxDepth = 32;

Error located(Code code, const std::string& file, int line, int column, std::string_view what) {
  return Error(code, fmt::format("{}:{}:{}: {}", file, line, column, what));
}

// The type of a plain scalar by the core schema of YAML 1.2.
Json typed(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return {};
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const char first = text[0] == '-' || text[0] == '+' ? (text.size() > 1 ? text[1] : 'x') : text[0];
  if ((first >= '0' && first <= '9') || first == '.') {
    const char* const begin = text.data() + (text[0] == '+' ? 1 : 0);
    const char* const end = text.data() + text.size();
    std::int64_t integer = 0;
    if (const auto read = std::from_chars(begin, end, integer);
        read.ec == std::errc() && read.ptr == end) {
      return integer;
    }
    double number = 0;
    if (const auto read = std::from_chars(begin, end, number);
        read.ec == std::errc() && read.ptr == end) {
      return number;
    }
  }
  return text;
}

// Parses and keeps nothing.
class Discard final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// YAML::LoadAll() would not do: a stray ',' at the top gives it documents without end.
bool has_second_document(std::string_view text) {
  std::istringstream in{std::string(text)};
  YAML::Parser parser(in);
  Discard handler;
  return parser.HandleNextDocument(handler) && parser.HandleNextDocument(handler);
}

class YamlReader {
 public:
  explicit YamlReader(const std::string& file) : file_(file) {}

  Result<FlowDocument> read(const YAML::Node& node, int depth) {
    FlowDocument out;
    out.line = node.Mark().line + 1;
    out.column = node.Mark().column + 1;
    if (++count_ > kMaxNodes || depth > kMaxDepth) {
      return located(
          Code::kMalformed, file_, out.line, out.column,
          fmt::format("the document has more than {} values or {} levels", kMaxNodes, kMaxDepth));
    }
    switch (node.Type()) {
      case YAML::NodeType::Sequence:
        out.kind = FlowDocument::Kind::kList;
        for (const auto& item : node) {
          auto child = read(item, depth + 1);
          if (!child) return child;
          out.items.push_back(std::move(*child));
        }
        return out;
      case YAML::NodeType::Map:
        return read_map(node, std::move(out), depth);
      case YAML::NodeType::Scalar:
        out.text = node.Scalar();
        // yaml-cpp tags quoted and block scalars "!", plain ones "?".
        out.value = node.Tag() == "!" ? Json(out.text) : typed(out.text);
        return out;
      default:
        return out;
    }
  }

 private:
  Result<FlowDocument> read_map(const YAML::Node& node, FlowDocument out, int depth) {
    out.kind = FlowDocument::Kind::kMap;
    for (const auto& entry : node) {
      auto key = read(entry.first, depth + 1);
      if (!key) return key;
      if (key->kind != FlowDocument::Kind::kScalar) {
        return located(Code::kMalformed, file_, key->line, key->column, "a key must be plain text");
      }
      if (out.find(key->text) != nullptr) {
        return located(Code::kMalformed, file_, key->line, key->column,
                       fmt::format("the key '{}' stands here twice", printable(key->text)));
      }
      auto value = read(entry.second, depth + 1);
      if (!value) return value;
      out.members.push_back({std::move(*key), std::move(*value)});
    }
    return out;
  }

  const std::string& file_;
  std::size_t count_ = 0;
};

}  // namespace

const FlowDocument* FlowDocument::find(std::string_view key) const {
  for (const auto& [name, child] : members) {
    if (name.text == key) return &child;
  }
  return nullptr;
}

std::string_view FlowDocument::type_name() const {
  if (kind == Kind::kList) return "a list";
  if (kind == Kind::kMap) return "a mapping";
  if (value.is_null()) return "empty";
  if (value.is_string()) return "text";
  return value.is_bool() ? "a boolean" : "a number";
}

Json FlowDocument::to_json() const {
  if (kind == Kind::kScalar) return value;
  if (kind == Kind::kList) {
    Json out = Json::array();
    for (const auto& item : items)
      out.push(item.to_json());
    return out;
  }
  Json out = Json::object();
  for (const auto& [key, child] : members)
    out.set(key.text, child.to_json());
  return out;
}

Result<FlowDocument> read_yaml(std::string_view text, const std::string& file) {
  if (text.size() > kMaxText) {
    return Error(Code::kTooLarge, fmt::format("{}: {} is more than a pipeline may have ({})", file,
                                              show_bytes(text.size()), show_bytes(kMaxText)));
  }
  if (!is_utf8(text)) return Error(Code::kMalformed, fmt::format("{}: not UTF-8 text", file));
  try {
    if (has_second_document(text)) {
      return Error(Code::kMalformed,
                   fmt::format("{}: one pipeline a file; this has more than one document", file));
    }
    const YAML::Node document = YAML::Load(std::string(text));
    if (!document.IsDefined() || document.IsNull())
      return Error(Code::kMalformed, fmt::format("{}: the file is empty", file));
    return YamlReader(file).read(document, 0);
  } catch (const YAML::Exception& e) {
    return located(Code::kMalformed, file, e.mark.line + 1, e.mark.column + 1, e.msg);
  }
}

FlowDocument document_of(const Json& json) {
  FlowDocument out;
  if (json.is_array()) {
    out.kind = FlowDocument::Kind::kList;
    for (const auto& item : json.as_array())
      out.items.push_back(document_of(item));
  } else if (json.is_object()) {
    out.kind = FlowDocument::Kind::kMap;
    for (const auto& [name, value] : json.as_object()) {
      out.members.push_back({document_of(Json(name)), document_of(value)});
    }
  } else {
    out.value = json;
    out.text = json.is_string() ? json.as_string() : json.is_null() ? "" : json.dump();
  }
  return out;
}

}  // namespace strata::wire
