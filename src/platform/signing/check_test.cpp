#include <gtest/gtest.h>

#include "platform/signing/signing.hpp"
#include "wire/signing/model_signature.hpp"

namespace strata::platform::signing {
namespace {

std::string bundle_of(const std::vector<wire::SignedFile>& files) {
  wire::SignatureBundle bundle;
  bundle.payload = wire::write_statement({"m", files});
  bundle.signature = "no real one";
  return wire::write_bundle(bundle);
}

const std::string kA(64, 'a');
const std::string kB(64, 'b');

TEST(SignatureCheck, Nothing_is_no_signature) {
  EXPECT_EQ(check("", {{"f", 1, kA}}, {}).state, SignatureState::kNone);
}

TEST(SignatureCheck, Of_other_files_it_is_invalid_whoever_signed) {
  const std::string bundle = bundle_of({{"f", kA}});
  EXPECT_EQ(check(bundle, {{"f", 1, kA}}, {}).state, SignatureState::kUntrusted);
  for (const std::vector<models::ModelFile>& files : {std::vector<models::ModelFile>{{"f", 1, kB}},
                                                      {{"f", 1, kA}, {"g", 1, kA}},
                                                      {{"g", 1, kA}},
                                                      {}})
    EXPECT_EQ(check(bundle, files, {}).state, SignatureState::kInvalid);
}

TEST(SignatureCheck, What_signers_leave_out_may_be_there) {
  const std::vector<models::ModelFile> files = {
      {"f", 1, kA}, {"model.sig", 1, kB}, {".gitignore", 1, kB}};
  EXPECT_EQ(check(bundle_of({{"f", kA}}), files, {}).state, SignatureState::kUntrusted);
}

TEST(SignatureCheck, What_is_no_bundle_is_invalid) {
  EXPECT_EQ(check("{}", {}, {}).state, SignatureState::kInvalid);
}

TEST(SignatureCheck, A_file_that_is_listed_twice_is_invalid) {
  EXPECT_EQ(check(bundle_of({{"f", kA}, {"f", kB}}), {{"f", 1, kA}}, {}).state,
            SignatureState::kInvalid);
}

}  // namespace
}  // namespace strata::platform::signing
