#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// One element of a parsed document: local name, character data of its own, child elements.
// Attributes are not kept.
struct XmlElement {
  std::string name;
  std::string text;
  std::vector<XmlElement> children;

  const XmlElement* find(std::string_view child) const;
  // The text of the first child of that name, or `fallback`.
  std::string child_text(std::string_view child, std::string_view fallback = "") const;
};

struct XmlLimits {
  int depth = 16;
  std::size_t elements = 50'000;
};

// Reads the subset of XML 1.0 that protocol messages use: elements, attributes (dropped), character
// data, the five named and numeric references, CDATA, comments and a declaration. A document type
// is refused, so entities cannot be defined and nothing can expand. Namespace prefixes are dropped.
// Errors: kMalformed with the byte offset.
Result<XmlElement> parse_xml(std::string_view text, XmlLimits limits = {});

// Writes a document piece by piece. Names are ours and not escaped; text is.
class XmlWriter {
 public:
  // Opens the root element after the XML declaration.
  explicit XmlWriter(std::string_view root, std::string_view xml_namespace = "");

  XmlWriter& open(std::string_view name);
  XmlWriter& close();
  // <name>text</name>; control characters that XML cannot hold become U+FFFD.
  XmlWriter& element(std::string_view name, std::string_view text);
  XmlWriter& element(std::string_view name, std::uint64_t number);
  XmlWriter& element(std::string_view name, bool truth);
  XmlWriter& element(std::string_view name, const char* text) {
    return element(name, std::string_view(text));
  }
  // Text that is XML already.
  XmlWriter& raw(std::string_view markup);

  // Closes what is open and gives the document.
  std::string finish();

 private:
  std::string out_;
  std::vector<std::string> open_;
};

}  // namespace strata::wire
