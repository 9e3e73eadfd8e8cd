#include "wire/mlflow/mlflow_artifact.hpp"

#include <gtest/gtest.h>

namespace strata::wire::mlflow {
namespace {

TEST(MlflowArtifactPath, Accepts_names_that_people_use) {
  for (const auto* path : {"a", "model/MLmodel", "a b/c+d=e", "100%.txt", "\xC3\xA4/\xE2\x82\xAC",
                           "..a/b..", "a:b", "a%20b"}) {
    EXPECT_TRUE(check_artifact_path(path, "path")) << path;
  }
  EXPECT_EQ(*check_artifact_path("dir/", "path"), "dir");
  EXPECT_EQ(*check_artifact_path("", "path", true), "");
}

TEST(MlflowArtifactPath, Refuses_every_way_out_of_the_root) {
  for (const auto* path : {"",
                           "/etc/passwd",
                           "..",
                           "a/../b",
                           "a/..",
                           "./a",
                           "a//b",
                           "a\\b",
                           "..\\a",
                           "%2e%2e/a",
                           "%252e%252e/a",
                           "a/%2E%2e/b",
                           "%2fetc/passwd",
                           "a%5cb",
                           "a%00b",
                           "a#b",
                           "a%23b",
                           "a?b",
                           "C:\\x",
                           "\xFF",
                           "a\nb",
                           "%25252e%25252e%25252fx"}) {
    EXPECT_FALSE(check_artifact_path(path, "path")) << path;
  }
  EXPECT_FALSE(check_artifact_path(std::string(1001, 'a'), "path"));
  EXPECT_FALSE(check_artifact_path(std::string("a\0b", 3), "path"));
}

TEST(MlflowArtifactUri, Never_names_the_servers_disk) {
  for (const auto* uri :
       {"s3://bucket/a", "gs://b", "mlflow-artifacts:/1/x", "mlflow-artifacts://host:1/x"}) {
    EXPECT_TRUE(check_artifact_uri(uri, "source")) << uri;
  }
  for (const auto* uri :
       {"", "/tmp", "relative/x", "file:///tmp", "FILE:/tmp", "c:/tmp", "s3:/b/../c", "s3://b/../c",
        "mlflow-artifacts:/../x", "mlflow-artifacts:/%2e%2e/x", "s3://b/x#/../../y", "http:x"}) {
    EXPECT_FALSE(check_artifact_uri(uri, "source")) << uri;
  }
  EXPECT_EQ(proxied_path("mlflow-artifacts:/1/2/"), "1/2");
  EXPECT_EQ(proxied_path("mlflow-artifacts://host:5000/1/2"), "1/2");
  EXPECT_EQ(proxied_path("s3://b/k"), std::nullopt);
}

TEST(CanonicalMlmodel, Drops_only_what_records_the_making) {
  const std::string first =
      "artifact_path: mlflow-artifacts:/0/models/m-1/artifacts\nflavors:\n  lightgbm:\n    data: "
      "model.lgb\n"
      "model_id: m-1\nmodel_uuid: aaa\nrun_id: r1\nsignature:\n  inputs: '[]'\nutc_time_created: "
      "'2026-01-01\n  00:00:00'\n";
  const std::string second =
      "artifact_path: mlflow-artifacts:/0/models/m-2/artifacts\nflavors:\n  lightgbm:\n    data: "
      "model.lgb\n"
      "model_id: m-2\nmodel_uuid: bbb\nrun_id: r2\nsignature:\n  inputs: '[]'\nutc_time_created: "
      "'2026-01-02\n  00:00:00'\n";
  EXPECT_EQ(canonical_mlmodel(first), canonical_mlmodel(second));
  EXPECT_EQ(canonical_mlmodel(first),
            "flavors:\n  lightgbm:\n    data: model.lgb\nsignature:\n  inputs: '[]'\n");
  EXPECT_EQ(canonical_mlmodel("metadata:\n  run_id: keep\n"), "metadata:\n  run_id: keep\n");
}

}  // namespace
}  // namespace strata::wire::mlflow
