#include "wire/aws/sigv4.hpp"

#include <gtest/gtest.h>

namespace strata::wire::aws {
namespace {

// Key, requests and signatures are the examples that the S3 API reference publishes.
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const CredentialScope kScope{"AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1", "s3"};

std::string signature(const SignedRequest& request, const std::vector<std::string>& names,
                      std::string_view payload) {
  const auto canonical = canonical_request(request, names, payload);
  return sign(signing_key(kSecret, kScope), string_to_sign("20130524T000000Z", kScope, canonical));
}

TEST(SigV4, Signs_the_published_ranged_get) {
  const Pairs headers = {{"Host", "examplebucket.s3.amazonaws.com"},
                         {"Range", "bytes=0-9"},
                         {"x-amz-content-sha256", std::string(kEmptyHash)},
                         {"x-amz-date", "20130524T000000Z"}};
  EXPECT_EQ(signature({"GET", "/test.txt", "", headers},
                      {"host", "range", "x-amz-content-sha256", "x-amz-date"}, kEmptyHash),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, Signs_the_published_put_whose_key_has_a_dollar_sign) {
  constexpr std::string_view kHash =
      "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
  const Pairs headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                         {"Host", "examplebucket.s3.amazonaws.com"},
                         {"x-amz-content-sha256", std::string(kHash)},
                         {"x-amz-date", "20130524T000000Z"},
                         {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  const std::vector<std::string> names = {"date", "host", "x-amz-content-sha256", "x-amz-date",
                                          "x-amz-storage-class"};
  const std::string wanted = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
  EXPECT_EQ(signature({"PUT", "/test%24file.text", "", headers}, names, kHash), wanted);
  EXPECT_EQ(signature({"PUT", "/test$file.text", "", headers}, names, kHash), wanted);
}

TEST(SigV4, Signs_the_published_subresource_and_list_queries) {
  const Pairs headers = {{"Host", "examplebucket.s3.amazonaws.com"},
                         {"x-amz-content-sha256", std::string(kEmptyHash)},
                         {"x-amz-date", "20130524T000000Z"}};
  const std::vector<std::string> names = {"host", "x-amz-content-sha256", "x-amz-date"};
  EXPECT_EQ(signature({"GET", "/", "lifecycle", headers}, names, kEmptyHash),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(signature({"GET", "/", "max-keys=2&prefix=J", headers}, names, kEmptyHash),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  EXPECT_EQ(signature({"GET", "/", "prefix=J&max-keys=2", headers}, names, kEmptyHash),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, Signs_the_published_presigned_url) {
  const Pairs headers = {{"Host", "examplebucket.s3.amazonaws.com"}};
  constexpr std::string_view kQuery =
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-"
      "1%2Fs3%2F"
      "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
      "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
  EXPECT_EQ(signature({"GET", "/test.txt", kQuery, headers}, {"host"}, "UNSIGNED-PAYLOAD"),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(SigV4, Keeps_the_path_as_it_was_sent) {
  const auto canonical_path = [](std::string_view path) {
    const auto text = canonical_request({"GET", path, "", {}}, {}, "");
    return text.substr(4, text.find('\n', 4) - 4);
  };
  EXPECT_EQ(canonical_path("/b/a//c/../d/"), "/b/a//c/../d/");
  EXPECT_EQ(canonical_path("/b/a%2Fc"), "/b/a%2Fc");
  EXPECT_EQ(canonical_path("/b/a%2fc"), "/b/a%2Fc");
  EXPECT_EQ(canonical_path("/b/a+c%20d"), "/b/a%2Bc%20d");
  EXPECT_EQ(canonical_path("/b/%7Euser"), "/b/~user");
}

TEST(SigV4, Reads_the_authorization_header) {
  const auto parsed = parse_authorization(
      "AWS4-HMAC-SHA256 "
      "Credential=AK/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-date, "
      "Signature=abc");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->credential.access_key_id, "AK");
  EXPECT_EQ(parsed->credential.region, "us-east-1");
  EXPECT_EQ(parsed->signed_headers, (std::vector<std::string>{"host", "x-amz-date"}));
  EXPECT_EQ(parsed->signature, "abc");
}

TEST(SigV4, Refuses_authorizations_that_lack_a_part) {
  for (const std::string_view bad :
       {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=AK/20130524/r/s3/aws4_request",
        "AWS4-HMAC-SHA256 Credential=AK/r/s3/aws4_request, SignedHeaders=host, Signature=a",
        "AWS4-HMAC-SHA256 Credential=/20130524/r/s3/aws4_request, SignedHeaders=host, Signature=a",
        "AWS4-HMAC-SHA256 Credential=AK/20130524/r/s3/aws4_request, SignedHeaders=x-amz-date, "
        "Signature=a"}) {
    const auto parsed = parse_authorization(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().code, Code::kMalformed) << bad;
  }
  EXPECT_EQ(parse_authorization("AWS4-ECDSA-P256-SHA256 x").error().code, Code::kUnsupported);
}

TEST(SigV4, A_presigned_query_names_the_parameter_that_is_wrong) {
  const Pairs good = {{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
                      {"X-Amz-Credential", "AK/20130524/us-east-1/s3/aws4_request"},
                      {"X-Amz-Date", "20130524T000000Z"},
                      {"X-Amz-Expires", "86400"},
                      {"X-Amz-SignedHeaders", "host"},
                      {"X-Amz-Signature", "00"}};
  ASSERT_TRUE(parse_presigned(good).ok());
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i].second = i == 5 ? "" : "nonsense";
    const auto parsed = parse_presigned(bad);
    ASSERT_FALSE(parsed.ok()) << bad[i].first;
    EXPECT_EQ(parsed.error().field, bad[i].first);
  }
  auto too_long = good;
  too_long[3].second = "604801";
  EXPECT_EQ(parse_presigned(too_long).error().field, "X-Amz-Expires");
}

TEST(SigV2, Signs_the_published_query_example) {
  // S3 developer guide, "Signing and authenticating REST requests", query string authentication.
  const Pairs query = {{"AWSAccessKeyId", "AKIAIOSFODNN7EXAMPLE"}, {"Expires", "1175139620"}};
  const SignedRequest request{"GET", "/photos/puppy.jpg", "", {}};
  const auto text = v2_query_string_to_sign(request, "/awsexamplebucket1/photos/puppy.jpg", query);
  EXPECT_EQ(text, "GET\n\n\n1175139620\n/awsexamplebucket1/photos/puppy.jpg");
  EXPECT_EQ(v2_sign(kSecret, "GET\n\n\n1175139620\n/johnsmith/photos/puppy.jpg"),
            "NpgCjnDzrM+WFzoENXmpNDUsSn8=");
}

TEST(SigV2, Counts_subresources_and_amazon_headers_wherever_they_stand) {
  const Pairs query = {{"Expires", "5"},
                       {"uploadId", "u"},
                       {"partNumber", "2"},
                       {"x-amz-meta-a", "1"},
                       {"prefix", "p"}};
  const Pairs headers = {{"X-Amz-Meta-B", " 2 "}, {"Content-Type", "text/plain"}};
  EXPECT_EQ(v2_query_string_to_sign({"PUT", "/b/k", "", headers}, "/b/k", query),
            "PUT\n\ntext/plain\n5\nx-amz-meta-a:1\nx-amz-meta-b:2\n/b/k?partNumber=2&uploadId=u");
}

}  // namespace
}  // namespace strata::wire::aws
