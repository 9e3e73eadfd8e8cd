#include "wire/signing/model_signature.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "wire/signing/ec_keys.hpp"

namespace strata::wire {
namespace {

// A new private key on that curve, as PEM.
std::string new_key(const char* curve) {
  EVP_PKEY* const key = EVP_EC_gen(curve);
  BIO* const out = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(out);
  EVP_PKEY_free(key);
  return pem;
}

ModelStatement two_files() {
  return {"m", {{"a", std::string(64, 'a')}, {"b", std::string(64, 'b')}}};
}

TEST(ModelSignature, A_statement_comes_back_as_it_was_written) {
  const auto read = read_statement(write_statement(two_files()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->name, "m");
  ASSERT_EQ(read->files.size(), 2U);
  EXPECT_EQ(read->files[1].path, "b");
}

TEST(ModelSignature, A_statement_whose_whole_is_not_its_parts_is_refused) {
  std::string text = write_statement(two_files());
  text.replace(text.rfind("bbbb"), 4, "cccc");
  EXPECT_EQ(read_statement(text).error().code, Code::kMalformed);
}

TEST(ModelSignature, A_bundle_comes_back_as_it_was_written) {
  const SignatureBundle bundle{"payload", "sig", std::string(64, 'c'), {}};
  const auto read = read_bundle(write_bundle(bundle));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->payload, "payload");
  EXPECT_EQ(read->key_hint, bundle.key_hint);
  const auto other = read_bundle(write_bundle({"p", "s", "", {"der", "der2"}}));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->certificates, (std::vector<std::string>{"der", "der2"}));
}

TEST(ModelSignature, What_is_no_bundle_is_refused) {
  for (const auto* const text : {"", "[]", "{}", R"({"mediaType":"x"})"})
    EXPECT_FALSE(read_bundle(text).ok()) << text;
}

TEST(ModelSignature, Encodes_what_is_signed_as_dsse_says) {
  // The example of the DSSE specification, with the type of an in-toto statement.
  EXPECT_EQ(pre_authentication("hello world"),
            "DSSEv1 28 application/vnd.in-toto+json 11 hello world");
}

TEST(ModelSignature, Only_git_and_the_signature_go_unsigned) {
  for (const auto* const path : {"model.sig", ".gitignore", ".git/config", ".github/x"})
    EXPECT_TRUE(is_never_signed(path)) << path;
  for (const auto* const path : {"a/model.sig", ".gitx", "MLmodel", "x/.gitignore"})
    EXPECT_FALSE(is_never_signed(path)) << path;
}

TEST(EcKeys, What_a_key_signed_only_that_key_verifies) {
  for (const auto* const curve : {"P-256", "P-384", "P-521"}) {
    const std::string own = new_key(curve);
    const auto signature = sign_ec(own, "text");
    ASSERT_TRUE(signature.ok()) << signature.error().message;
    const auto key = public_key_of(own);
    ASSERT_TRUE(key.ok());
    EXPECT_TRUE(*verify_ec(*key, "text", *signature));
    EXPECT_FALSE(*verify_ec(*key, "texT", *signature));
    EXPECT_FALSE(*verify_ec(*key, "text", "no DER"));
    EXPECT_FALSE(*verify_ec(*public_key_of(new_key(curve)), "text", *signature));
  }
}

TEST(EcKeys, Other_keys_and_no_keys_are_refused) {
  for (const auto* const pem :
       {"", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    EXPECT_FALSE(public_key_of(pem).ok()) << pem;
    EXPECT_FALSE(verify_ec(pem, "a", "b").ok()) << pem;
  }
  EXPECT_FALSE(sign_ec(*public_key_of(new_key("P-256")), "text").ok());
  EXPECT_FALSE(public_key_of(new_key("secp256k1")).ok());
  EXPECT_FALSE(check_chain({}, {}).ok());
  EXPECT_FALSE(check_chain({"no DER"}, {}).ok());
}

}  // namespace
}  // namespace strata::wire
