// Requests of protected aliases and the time that passes, with the records that the server uses.

#include <gtest/gtest.h>

#include "engines/sqlite/sqlite_records.hpp"
#include "platform/models/models.hpp"
#include "runtime/random.hpp"

namespace strata::platform::models {
namespace {

using kernel::Caller;

// No test here stores an artifact.
class NoArtifacts final : public tracking::ArtifactStore {
 public:
  Task<Result<tracking::ArtifactInfo>> put(const Caller&, std::string, ByteSource&) override {
    co_return Error(Code::kUnsupported, "no artifacts");
  }
  Task<Result<tracking::Artifact>> open(const Caller&, std::string) override {
    co_return not_found("no artifacts");
  }
  Task<Result<std::vector<tracking::ArtifactInfo>>> list(const Caller&, std::string) override {
    co_return std::vector<tracking::ArtifactInfo>();
  }
  Task<Result<std::vector<tracking::ArtifactInfo>>> walk(const Caller&, std::string,
                                                         std::size_t) override {
    co_return std::vector<tracking::ArtifactInfo>();
  }
  Task<Status> remove(const Caller&, std::string) override { co_return Status(); }
};

class ProtectionTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = engines::sqlite::SqliteRecords::open(
        testing::TempDir() + "protection_" + SystemRandom().hex(6) + ".db", 2);
    ASSERT_TRUE(opened.ok());
    records_ = *std::move(opened);
    for (const auto steps : {kernel::Identity::migrations(), kernel::Audit::migrations(),
                             kernel::EventBus::migrations(), kernel::Lineage::migrations(),
                             tracking::Tracking::migrations(), Models::migrations()}) {
      ASSERT_TRUE(records_->migrate(steps).ok());
    }
    audit_.emplace(*records_, clock_);
    events_.emplace(*records_, clock_);
    lineage_.emplace(*records_, clock_);
    const auto hook = [this](kernel::Writer& w, const Caller& by, std::string_view action,
                             std::string_view target, const Json& detail) {
      return audit_->record(w, by, action, target, detail);
    };
    identity_.emplace(*records_, clock_, random_, "master key", hook);
    ASSERT_TRUE(identity_->load().ok());
    tracking_.emplace(*records_, *audit_, *events_, *lineage_, artifacts_, clock_, random_);
    models_.emplace(*records_, *identity_, *audit_, *events_, *lineage_, *tracking_, clock_);
    ada_ = person("ada");
    ben_ = person("ben");
    ASSERT_TRUE(sync_wait(models_->create_model(ada_, "m", "", {})).ok());
    for (int i = 0; i < 2; ++i) {
      const VersionDraft draft{"m", "s3://elsewhere/m", "", "", "", "", {}};
      ASSERT_TRUE(sync_wait(models_->create_version(ada_, draft)).ok());
    }
    ASSERT_TRUE(sync_wait(models_->protect_alias(ada_, "m", "live", {})).ok());
  }

  Caller person(const std::string& name) {
    const Caller root = identity_->system_caller();
    EXPECT_TRUE(sync_wait(identity_->create_user(root, name, "t", kernel::Role::kMember)).ok());
    kernel::TokenRequest request;
    request.user_name = name;
    return *identity_->authenticate(sync_wait(identity_->create_token(root, request))->token);
  }

  // Asks for the move; the request's id.
  std::int64_t ask(std::int64_t version) {
    EXPECT_EQ(sync_wait(models_->set_alias(ada_, "m", "live", version)).error().code,
              Code::kConflict);
    return all().front().id;
  }
  std::vector<AliasRequest> all(bool waiting = false) {
    return sync_wait(models_->alias_requests(ada_, {"m", waiting, 0, 100})).value();
  }

  ManualClock clock_{Instant::from_seconds(1'000'000)};
  SystemRandom random_;
  NoArtifacts artifacts_;
  std::unique_ptr<engines::sqlite::SqliteRecords> records_;
  std::optional<kernel::Audit> audit_;
  std::optional<kernel::EventBus> events_;
  std::optional<kernel::Lineage> lineage_;
  std::optional<kernel::Identity> identity_;
  std::optional<tracking::Tracking> tracking_;
  std::optional<Models> models_;
  Caller ada_, ben_;
};

TEST_F(ProtectionTest, A_request_can_be_approved_until_its_time_is_over_and_no_longer) {
  const auto first = ask(1);
  clock_.advance(kRequestLifetime - std::chrono::microseconds(1));
  EXPECT_EQ(all(true).size(), 1U);
  clock_.advance(std::chrono::microseconds(1));
  EXPECT_TRUE(all(true).empty());
  EXPECT_EQ(all().front().state, "expired");
  EXPECT_EQ(sync_wait(models_->approve(ben_, first, "")).error().code, Code::kConflict);
  EXPECT_FALSE(sync_wait(models_->version_by_alias(ada_, "m", "live")).ok());
  const auto second = ask(1);
  EXPECT_NE(second, first);
  EXPECT_TRUE(sync_wait(models_->approve(ben_, second, "")).ok());
  EXPECT_EQ(sync_wait(models_->version_by_alias(ada_, "m", "live"))->version, 1);
}

TEST_F(ProtectionTest, An_approver_whose_token_ended_after_the_request_came_in_is_refused) {
  const auto id = ask(1);
  const Caller root = identity_->system_caller();
  ASSERT_TRUE(sync_wait(identity_->revoke_token(root, ben_.token)).ok());
  EXPECT_EQ(sync_wait(models_->approve(ben_, id, "")).error().code, Code::kUnauthenticated);
  EXPECT_EQ(all(true).size(), 1U);
}

TEST_F(ProtectionTest, No_more_wait_than_the_bound) {
  for (std::int64_t i = 0; i < kMaxWaiting; ++i) {
    const auto alias = "a" + std::to_string(i);
    ASSERT_TRUE(sync_wait(models_->protect_alias(ada_, "m", alias, {})).ok());
    EXPECT_EQ(sync_wait(models_->set_alias(ada_, "m", alias, 1)).error().code, Code::kConflict);
  }
  EXPECT_EQ(all(true).size(), static_cast<std::size_t>(kMaxWaiting));
  const auto more = sync_wait(models_->set_alias(ada_, "m", "live", 1));
  EXPECT_EQ(more.error().code, Code::kConflict);
  EXPECT_EQ(all(true).size(), static_cast<std::size_t>(kMaxWaiting));
  clock_.advance(kRequestLifetime);
  EXPECT_GT(ask(1), kMaxWaiting);
}

TEST_F(ProtectionTest, A_gate_that_cannot_say_lets_nothing_pass) {
  ASSERT_TRUE(sync_wait(models_->protect_alias(ada_, "m", "gold", {{}, true})).ok());
  models_->on_gate([](const Caller&, std::string, std::int64_t) -> Task<Result<Json>> {
    co_return Error(Code::kUnavailable, "the judge is away");
  });
  EXPECT_EQ(sync_wait(models_->set_alias(ada_, "m", "gold", 1)).error().code, Code::kUnavailable);
  EXPECT_TRUE(all(true).empty());
}

}  // namespace
}  // namespace strata::platform::models
