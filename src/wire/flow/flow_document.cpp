#include "wire/flow/flow_document.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

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

// Follows a parse to tell where it stands when it fails, and keeps nothing.
class Position final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string& value) override {
    scalar_ = mark;
    scalar_size_ = value.size();
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open_.push_back(mark);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open_.push_back(mark);
  }
  void OnMapEnd() override { open_.pop_back(); }

  // Of the innermost list or mapping that has begun and not ended.
  std::optional<YAML::Mark> innermost() const {
    return open_.empty() ? std::nullopt : std::optional(open_.back());
  }
  // The last text that was read whole, and how long it was.
  std::pair<YAML::Mark, std::size_t> last_scalar() const { return {scalar_, scalar_size_}; }

 private:
  std::vector<YAML::Mark> open_;
  YAML::Mark scalar_;
  std::size_t scalar_size_ = 0;
};

std::size_t offset_of(std::string_view text, const YAML::Mark& mark) {
  std::size_t at = 0;
  for (int line = 0; line < mark.line && at < text.size(); ++line)
    at = std::min(text.find('\n', at), text.size() - 1) + 1;
  return std::min(at + static_cast<std::size_t>(std::max(mark.column, 0)), text.size());
}

std::pair<int, int> place_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = std::ranges::count(before, '\n');
  const auto begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<int>(line) + 1, static_cast<int>(offset - begin) + 1};
}

// Behind the text that begins at `at`.
std::size_t end_of_scalar(std::string_view text, std::size_t at, std::size_t size) {
  if (at >= text.size() || (text[at] != '"' && text[at] != '\''))
    return std::min(at + size, text.size());
  const char quote = text[at];
  for (++at; at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      if (quote == '"' || at + 1 >= text.size() || text[at + 1] != quote) return at + 1;
      ++at;
    }
  }
  return text.size();
}

// The quote behind the last whole text that stands where a text can begin.
std::size_t open_quote(std::string_view text, const Position& position) {
  const auto [mark, size] = position.last_scalar();
  std::size_t at = size == 0 && mark.is_null() ? 0 : offset_of(text, mark);
  if (!mark.is_null()) at = end_of_scalar(text, at, size);
  for (; at < text.size(); ++at) {
    if (text[at] == '#' && at > 0 && (text[at - 1] == ' ' || text[at - 1] == '\n')) {
      at = std::min(text.find('\n', at), text.size() - 1);
      continue;
    }
    const bool quote = text[at] == '"' || text[at] == '\'';
    const bool begins =
        at == 0 || std::string_view(" \t\n\r[{,:").find(text[at - 1]) != std::string_view::npos;
    if (quote && begins) return at;
  }
  return text.size();
}

// What the parser's complaint means to who wrote the file, and where.
Error explain(const YAML::Exception& fault, std::string_view text, const Position& position,
              const std::string& file) {
  const std::string_view says = fault.msg;
  if (says == YAML::ErrorMsg::EOF_IN_SCALAR) {
    const auto [line, column] = place_of(text, open_quote(text, position));
    return located(Code::kMalformed, file, line, column, "the quote that opens here never closes");
  }
  const auto open = position.innermost();
  if (open &&
      (says == YAML::ErrorMsg::END_OF_SEQ_FLOW || says == YAML::ErrorMsg::END_OF_MAP_FLOW)) {
    const bool list = says == YAML::ErrorMsg::END_OF_SEQ_FLOW;
    return located(Code::kMalformed, file, open->line + 1, open->column + 1,
                   fmt::format("the '{}' that opens here never closes; a '{}' is missing",
                               list ? '[' : '{', list ? ']' : '}'));
  }
  const std::size_t at = offset_of(text, fault.mark);
  const std::size_t begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;
  const std::string_view line = text.substr(begin);
  const std::size_t tab = line.substr(0, line.find_first_not_of(" \t")).find('\t');
  if (tab != std::string_view::npos) {
    return located(Code::kMalformed, file, fault.mark.line + 1, static_cast<int>(tab) + 1,
                   "a tab in the indentation; YAML is indented with spaces only");
  }
  if (says == YAML::ErrorMsg::END_OF_MAP || says == YAML::ErrorMsg::END_OF_SEQ) {
    return located(Code::kMalformed, file, fault.mark.line + 1, fault.mark.column + 1,
                   "this does not go on with what stands above; look at its indentation, and for a "
                   "':' or '-' that is missing");
  }
  return located(Code::kMalformed, file, fault.mark.line + 1, fault.mark.column + 1, says);
}

// Parses a first document and looks for a second. YAML::LoadAll() would not do: a stray ',' at the
// top gives it documents without end. The comment at the end is for yaml-cpp, which takes the end
// of the text for the end of a quoted one when a line break stands before it.
bool has_second_document(std::string_view text, Position& position) {
  std::istringstream in{fmt::format("{}{}#", text, text.ends_with('\n') ? "" : "\n")};
  YAML::Parser parser(in);
  return parser.HandleNextDocument(position) && parser.HandleNextDocument(position);
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
  Position position;
  try {
    if (has_second_document(text, position)) {
      return Error(Code::kMalformed,
                   fmt::format("{}: one pipeline a file; this has more than one document", file));
    }
    const YAML::Node document = YAML::Load(std::string(text));
    if (!document.IsDefined() || document.IsNull())
      return Error(Code::kMalformed, fmt::format("{}: the file is empty", file));
    return YamlReader(file).read(document, 0);
  } catch (const YAML::Exception& e) {
    return explain(e, text, position, file);
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
