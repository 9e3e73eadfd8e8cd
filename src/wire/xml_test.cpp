#include "wire/xml.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

TEST(Xml, Reads_what_it_wrote) {
  const std::string key = "a<b>&\"c\" \n\r\xC3\xA4";
  XmlWriter writer("Delete", "http://s3.amazonaws.com/doc/2006-03-01/");
  writer.open("Object")
      .element("Key", key)
      .element("Size", std::uint64_t{12})
      .element("Quiet", true)
      .close();
  const auto root = parse_xml(writer.finish());
  ASSERT_TRUE(root.ok()) << root.error().message;
  EXPECT_EQ(root->name, "Delete");
  ASSERT_NE(root->find("Object"), nullptr);
  EXPECT_EQ(root->find("Object")->child_text("Key"), key);
  EXPECT_EQ(root->find("Object")->child_text("Size"), "12");
  EXPECT_EQ(root->find("Object")->child_text("Quiet"), "true");
}

TEST(Xml, Reads_prefixes_references_cdata_and_comments) {
  const auto root = parse_xml(
      "<?xml version='1.0'?><!-- c --><s3:A xmlns:s3=\"u\" x='1'>&#x41;&#66;<![CDATA[<&]]><!-- d "
      "--><b/></s3:A>\n");
  ASSERT_TRUE(root.ok()) << root.error().message;
  EXPECT_EQ(root->name, "A");
  EXPECT_EQ(root->text, "AB<&");
  ASSERT_EQ(root->children.size(), 1U);
  EXPECT_EQ(root->children[0].name, "b");
}

TEST(Xml, Refuses_what_is_malformed_or_could_expand) {
  for (const std::string_view bad :
       {"", "text", "<a>", "<a></b>", "<a></a><b/>", "<a>&nbsp;</a>", "<a>&#0;</a>",
        "<a>&#xD800;</a>", "<a b></a>", "<a b=c></a>", "<a><![CDATA[x</a>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a>\xFF</a>", "<a", "<>", "<a/>trailing",
        "<a>&#99999999999;</a>"}) {
    const auto root = parse_xml(bad);
    ASSERT_FALSE(root.ok()) << bad;
    EXPECT_EQ(root.error().code, Code::kMalformed);
  }
}

TEST(Xml, Depth_and_count_are_bounded) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i)
    deep += "<a>";
  EXPECT_FALSE(parse_xml(deep).ok());
  std::string wide = "<a>";
  for (int i = 0; i < 60'000; ++i)
    wide += "<b/>";
  EXPECT_FALSE(parse_xml(wide + "</a>").ok());
}

}  // namespace
}  // namespace strata::wire
