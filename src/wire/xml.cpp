#include "wire/xml.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire {

namespace {

void append_utf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool is_name(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':' || static_cast<unsigned char>(c) >= 0x80;
}

class Parser {
 public:
  Parser(std::string_view text, XmlLimits limits) : text_(text), limits_(limits) {}

  Result<XmlElement> run() {
    if (!is_utf8(text_)) return Error(Code::kMalformed, "the XML document is not UTF-8", "body");
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    STRATA_TRY(skip_misc());
    XmlElement root;
    STRATA_TRY(element(root, 1));
    STRATA_TRY(skip_misc());
    if (at_ != text_.size()) return fail("text after the end of the document");
    return root;
  }

 private:
  Error fail(std::string_view what) const {
    return Error(Code::kMalformed,
                 fmt::format("the XML document is malformed at byte {}: {}", at_, what), "body");
  }
  bool looking_at(std::string_view word) const { return text_.substr(at_).starts_with(word); }
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_]))
      ++at_;
  }
  Status skip_past(std::string_view mark) {
    const std::size_t end = text_.find(mark, at_);
    if (end == std::string_view::npos) return fail(fmt::format("'{}' is missing", mark));
    at_ = end + mark.size();
    return {};
  }
  // White space, comments and processing instructions around the root.
  Status skip_misc() {
    while (true) {
      skip_space();
      if (looking_at("<?")) {
        STRATA_TRY(skip_past("?>"));
      } else if (looking_at("<!--")) {
        STRATA_TRY(skip_past("-->"));
      } else if (looking_at("<!")) {
        return fail("a document type is not allowed");
      } else {
        return {};
      }
    }
  }

  Result<std::string> name() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_name(text_[at_]))
      ++at_;
    auto whole = text_.substr(start, at_ - start);
    if (whole.empty()) return fail("a name is missing");
    const std::size_t colon = whole.rfind(':');
    if (colon != std::string_view::npos) whole.remove_prefix(colon + 1);
    return std::string(whole);
  }

  // Skips attributes up to '>' or '/>'; true when the element is empty.
  Result<bool> end_of_start_tag() {
    while (true) {
      skip_space();
      if (looking_at("/>")) {
        at_ += 2;
        return true;
      }
      if (looking_at(">")) {
        ++at_;
        return false;
      }
      auto attribute = name();
      if (!attribute) return std::move(attribute).error();
      skip_space();
      if (!looking_at("=")) return fail("an attribute needs a value");
      ++at_;
      skip_space();
      if (at_ >= text_.size() || (text_[at_] != '"' && text_[at_] != '\'')) {
        return fail("an attribute's value needs quotes");
      }
      const char quote = text_[at_++];
      STRATA_TRY(skip_past(std::string_view(&quote, 1)));
    }
  }

  Status reference(std::string& out) {
    const std::size_t end = text_.find(';', at_);
    if (end == std::string_view::npos || end - at_ > 12) return fail("a reference needs a ';'");
    const auto word = text_.substr(at_ + 1, end - at_ - 1);
    if (word == "lt") {
      out += '<';
    } else if (word == "gt") {
      out += '>';
    } else if (word == "amp") {
      out += '&';
    } else if (word == "quot") {
      out += '"';
    } else if (word == "apos") {
      out += '\'';
    } else if (word.starts_with('#')) {
      const bool hex = word.size() > 1 && (word[1] == 'x' || word[1] == 'X');
      const auto digits = word.substr(hex ? 2 : 1);
      std::uint32_t point = 0;
      const auto [stop, fault] =
          std::from_chars(digits.data(), digits.data() + digits.size(), point, hex ? 16 : 10);
      if (fault != std::errc() || stop != digits.data() + digits.size() || point == 0 ||
          point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
        return fail("a numeric reference names no character");
      }
      append_utf8(out, point);
    } else {
      return fail("an unknown entity");
    }
    at_ = end + 1;
    return {};
  }

  Status element(XmlElement& out, int depth) {
    if (depth > limits_.depth) return fail("elements are nested too deeply");
    if (++elements_ > limits_.elements) return fail("too many elements");
    if (!looking_at("<")) return fail("an element is missing");
    ++at_;
    auto tag = name();
    if (!tag) return std::move(tag).error();
    out.name = *std::move(tag);
    const auto empty = end_of_start_tag();
    if (!empty) return empty.error();
    if (*empty) return {};
    return content(out, depth);
  }

  Status content(XmlElement& out, int depth) {
    while (at_ < text_.size()) {
      if (text_[at_] == '&') {
        STRATA_TRY(reference(out.text));
      } else if (text_[at_] != '<') {
        const std::size_t end = std::min(text_.find_first_of("<&", at_), text_.size());
        out.text += text_.substr(at_, end - at_);
        at_ = end;
      } else if (looking_at("</")) {
        at_ += 2;
        const auto tag = name();
        if (!tag) return tag.error();
        if (*tag != out.name) return fail(fmt::format("</{}> closes <{}>", *tag, out.name));
        skip_space();
        if (!looking_at(">")) return fail("'>' is missing");
        ++at_;
        return {};
      } else if (looking_at("<!--")) {
        STRATA_TRY(skip_past("-->"));
      } else if (looking_at("<![CDATA[")) {
        const std::size_t start = at_ + 9;
        at_ = start;
        STRATA_TRY(skip_past("]]>"));
        out.text += text_.substr(start, at_ - 3 - start);
      } else if (looking_at("<?")) {
        STRATA_TRY(skip_past("?>"));
      } else {
        out.children.emplace_back();
        STRATA_TRY(element(out.children.back(), depth + 1));
      }
    }
    return fail(fmt::format("<{}> is not closed", out.name));
  }

  std::string_view text_;
  XmlLimits limits_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
};

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\r':
        out += "&#13;";
        break;
      case '\n':
      case '\t':
        out += c;
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\xEF\xBF\xBD";
        } else {
          out += c;
        }
    }
  }
}

}  // namespace

const XmlElement* XmlElement::find(std::string_view child) const {
  for (const auto& element : children) {
    if (element.name == child) return &element;
  }
  return nullptr;
}

std::string XmlElement::child_text(std::string_view child, std::string_view fallback) const {
  const auto* found = find(child);
  return found == nullptr ? std::string(fallback) : found->text;
}

Result<XmlElement> parse_xml(std::string_view text, XmlLimits limits) {
  return Parser(text, limits).run();
}

XmlWriter::XmlWriter(std::string_view root, std::string_view xml_namespace)
    : out_("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {
  out_ += '<';
  out_ += root;
  if (!xml_namespace.empty()) out_ += fmt::format(" xmlns=\"{}\"", xml_namespace);
  out_ += '>';
  open_.emplace_back(root);
}

XmlWriter& XmlWriter::open(std::string_view name) {
  out_ += '<';
  out_ += name;
  out_ += '>';
  open_.emplace_back(name);
  return *this;
}

XmlWriter& XmlWriter::close() {
  out_ += "</" + open_.back() + ">";
  open_.pop_back();
  return *this;
}

XmlWriter& XmlWriter::element(std::string_view name, std::string_view text) {
  out_ += '<';
  out_ += name;
  out_ += '>';
  append_escaped(out_, text);
  out_ += "</";
  out_ += name;
  out_ += '>';
  return *this;
}

XmlWriter& XmlWriter::element(std::string_view name, std::uint64_t number) {
  return element(name, std::string_view(fmt::to_string(number)));
}

XmlWriter& XmlWriter::element(std::string_view name, bool truth) {
  return element(name, std::string_view(truth ? "true" : "false"));
}

XmlWriter& XmlWriter::raw(std::string_view markup) {
  out_ += markup;
  return *this;
}

std::string XmlWriter::finish() {
  while (!open_.empty())
    close();
  return std::move(out_);
}

}  // namespace strata::wire
