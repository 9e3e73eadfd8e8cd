#include "wire/package/oci.hpp"

#include <gtest/gtest.h>

namespace strata::wire {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(Oci, Documents_come_back_as_they_were_written) {
  EXPECT_TRUE(check_oci_layout(write_oci_layout()).ok());
  const OciDescriptor one{std::string(kOciManifestType), kDigest, 7, {{"k", "v"}}};
  EXPECT_EQ(read_oci_index(write_oci_index(one))->annotations.at("k"), "v");
  const OciManifest manifest{one, {one, one}, {{"a", "b"}}};
  const auto read = read_oci_manifest(write_oci_manifest(manifest));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->layers.size(), 2U);
  EXPECT_EQ(read->config.size, 7U);
  EXPECT_EQ(read->annotations.at("a"), "b");
}

TEST(Oci, A_digest_cannot_lead_elsewhere) {
  for (const auto* const digest :
       {"sha256:../../etc/passwd", "sha256:", "sha256:AB", "md5:ab", ""}) {
    const OciDescriptor one{std::string(kOciManifestType), digest, 7, {}};
    EXPECT_FALSE(read_oci_index(write_oci_index(one)).ok()) << digest;
  }
}

TEST(Oci, Only_a_layout_of_one_model_is_taken) {
  for (const auto* const text :
       {"", "[]", "{}", R"({"manifests":[]})", R"({"manifests":[{}]})", R"({"manifests":[{},{}]})"})
    EXPECT_FALSE(read_oci_index(text).ok()) << text;
  EXPECT_FALSE(check_oci_layout(R"({"imageLayoutVersion":"2.0.0"})").ok());
  EXPECT_FALSE(read_oci_manifest(R"({"schemaVersion":1})").ok());
}

}  // namespace
}  // namespace strata::wire
