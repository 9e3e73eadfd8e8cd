// The kernel's rooms on the records that the server really uses.

#include <gtest/gtest.h>

#include "engines/sqlite/sqlite_records.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "runtime/random.hpp"

namespace strata::kernel {
namespace {

class KernelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = engines::sqlite::SqliteRecords::open(
        testing::TempDir() + "kernel_" + SystemRandom().hex(6) + ".db", 2);
    ASSERT_TRUE(opened.ok());
    records_ = *std::move(opened);
    audit_.emplace(*records_, clock_);
    events_.emplace(*records_, clock_);
    lineage_.emplace(*records_, clock_);
    const auto hook = [this](Writer& w, const Caller& by, std::string_view action,
                             std::string_view target, const Json& detail) {
      return audit_->record(w, by, action, target, detail);
    };
    identity_.emplace(*records_, clock_, random_, "master key", hook);
    for (const auto steps : {Identity::migrations(), Audit::migrations(), EventBus::migrations(),
                             Lineage::migrations()}) {
      ASSERT_TRUE(records_->migrate(steps).ok());
    }
    ASSERT_TRUE(identity_->load().ok());
    root_ = identity_->system_caller();
  }

  IssuedToken token(const std::string& user, const std::string& scope = "all",
                    std::optional<std::chrono::milliseconds> lifetime = {}) {
    TokenRequest request;
    request.user_name = user;
    request.scope = scope;
    request.lifetime = lifetime;
    return sync_wait(identity_->create_token(root_, request)).value();
  }

  void connect(const NodeRef& from, const NodeRef& to, const std::string& relation) {
    const auto report = [&](Writer& w) {
      return lineage_->report(w, root_.project, LineageEdge{from, to, relation, clock_.now()});
    };
    ASSERT_TRUE(records_->write_blocking(report).ok());
  }

  ManualClock clock_{Instant::from_seconds(1'000'000)};
  SystemRandom random_;
  std::unique_ptr<engines::sqlite::SqliteRecords> records_;
  std::optional<Audit> audit_;
  std::optional<EventBus> events_;
  std::optional<Lineage> lineage_;
  std::optional<Identity> identity_;
  Caller root_;
};

TEST_F(KernelTest, A_token_proves_its_user_until_it_expires_or_is_revoked) {
  const auto lasting = token("admin");
  const auto brief = token("admin", "all", std::chrono::minutes(5));
  EXPECT_EQ(identity_->authenticate(lasting.token)->user_name, "admin");
  EXPECT_TRUE(identity_->authenticate(brief.token).ok());
  clock_.advance(std::chrono::minutes(5));
  EXPECT_EQ(identity_->authenticate(brief.token).error().code, Code::kExpired);
  ASSERT_TRUE(sync_wait(identity_->revoke_token(root_, lasting.info.id)).ok());
  EXPECT_EQ(identity_->authenticate(lasting.token).error().code, Code::kUnauthenticated);
}

TEST_F(KernelTest, A_revoked_token_takes_along_all_that_it_made_and_no_other) {
  const auto made_by = [&](const IssuedToken& maker) {
    TokenRequest request;
    request.user_name = "admin";
    const auto caller = identity_->authenticate(maker.token).value();
    return sync_wait(identity_->create_token(caller, request)).value();
  };
  const auto parent = token("admin");
  const auto child = made_by(parent);
  const auto grandchild = made_by(child);
  const auto sibling = made_by(parent);
  const auto other = made_by(token("admin"));
  const auto late = identity_->authenticate(sibling.token).value();

  ASSERT_TRUE(sync_wait(identity_->revoke_token(root_, child.info.id)).ok());
  for (const auto* gone : {&child, &grandchild})
    EXPECT_EQ(identity_->authenticate(gone->token).error().code, Code::kUnauthenticated);
  for (const auto* kept : {&parent, &sibling, &other})
    EXPECT_TRUE(identity_->authenticate(kept->token).ok());

  ASSERT_TRUE(identity_->load().ok());  // as the next start has it
  ASSERT_TRUE(sync_wait(identity_->revoke_token(root_, parent.info.id)).ok());
  EXPECT_FALSE(identity_->access_key(sibling.info.access_key_id).ok());
  EXPECT_TRUE(identity_->authenticate(other.token).ok());
  // A call that was let in before its token was revoked makes none that lives on.
  TokenRequest request;
  request.user_name = "admin";
  EXPECT_EQ(sync_wait(identity_->create_token(late, request)).error().code, Code::kUnauthenticated);

  Audit::Filter filter;
  filter.action = "token.revoke";
  filter.limit = 10;
  std::set<std::string> told;
  const auto entries = sync_wait(audit_->list(filter));
  ASSERT_TRUE(entries.ok());
  for (const auto& entry : *entries)
    told.insert(entry.target);
  EXPECT_EQ(told, (std::set<std::string>{
                      "token:" + parent.info.id.str(), "token:" + child.info.id.str(),
                      "token:" + grandchild.info.id.str(), "token:" + sibling.info.id.str()}));
}

TEST_F(KernelTest, An_access_key_leads_to_the_secret_that_its_owner_was_shown) {
  const auto issued = token("admin");
  const auto key = identity_->access_key(issued.info.access_key_id);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->secret, issued.secret_access_key);
  EXPECT_FALSE(identity_->access_key("STRAUNKNOWN").ok());
}

TEST_F(KernelTest, No_secret_is_stored) {
  const auto issued = token("admin");
  const auto dump = [&](Reader& r) {
    return r.query("SELECT * FROM tokens");
  };
  const auto rows = records_->read_blocking(dump);
  for (const auto& row : *rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      EXPECT_EQ(row.text(i).find(issued.token), std::string::npos);
      EXPECT_EQ(row.text(i).find(issued.secret_access_key), std::string::npos);
    }
  }
}

TEST_F(KernelTest, A_role_and_a_scope_both_limit_what_a_token_may_do) {
  ASSERT_TRUE(sync_wait(identity_->create_user(root_, "vera", "sales", Role::kViewer)).ok());
  const auto viewer = identity_->authenticate(token("vera").token);
  EXPECT_TRUE(viewer->may(Permission::kLakeRead));
  EXPECT_FALSE(viewer->may(Permission::kLakeWrite));
  const auto narrow = identity_->authenticate(token("admin", "lake:read,endpoint:predict").token);
  EXPECT_TRUE(narrow->may(Permission::kPredict));
  EXPECT_FALSE(narrow->may(Permission::kAdmin));
  TokenRequest wider;
  wider.user_name = "admin";
  EXPECT_EQ(sync_wait(identity_->create_token(*narrow, wider)).error().code,
            Code::kPermissionDenied);
}

TEST_F(KernelTest, A_project_is_closed_to_all_but_those_who_were_given_a_role_in_it) {
  ASSERT_TRUE(sync_wait(identity_->create_project(root_, "pricing")).ok());
  for (const char* name : {"pia", "tom", "zoe"})
    ASSERT_TRUE(sync_wait(identity_->create_user(root_, name, "people", Role::kMember)).ok());
  const std::string pia = token("pia").token;
  EXPECT_EQ(identity_->authenticate(pia, "pricing").error().code, Code::kPermissionDenied);
  // Whether a project exists cannot be told from outside.
  EXPECT_EQ(identity_->authenticate(pia, "nowhere").error().code, Code::kPermissionDenied);

  const Member viewer{Member::Kind::kUser, "pia", Role::kViewer};
  ASSERT_TRUE(sync_wait(identity_->set_member(root_, "pricing", viewer)).ok());
  const auto there = identity_->authenticate(pia, "pricing");
  ASSERT_TRUE(there.ok());
  EXPECT_EQ(there->project.str(), "pricing");
  EXPECT_TRUE(there->may(Permission::kLakeRead));
  EXPECT_FALSE(there->may(Permission::kLakeWrite));
  EXPECT_TRUE(identity_->authenticate(pia)->may(Permission::kLakeWrite));

  // The stronger of a user's own role and those of its teams counts.
  ASSERT_TRUE(sync_wait(identity_->create_team(root_, "analysts")).ok());
  const Member team{Member::Kind::kTeam, "analysts", Role::kMember};
  ASSERT_TRUE(sync_wait(identity_->set_member(root_, "pricing", team)).ok());
  EXPECT_FALSE(identity_->authenticate(pia, "pricing")->may(Permission::kLakeWrite));
  ASSERT_TRUE(sync_wait(identity_->set_in_team(root_, "analysts", "pia", true)).ok());
  EXPECT_TRUE(identity_->authenticate(pia, "pricing")->may(Permission::kLakeWrite));
  ASSERT_TRUE(sync_wait(identity_->set_in_team(root_, "analysts", "pia", false)).ok());
  EXPECT_FALSE(identity_->authenticate(pia, "pricing")->may(Permission::kLakeWrite));

  const auto kind = Member::Kind::kUser;
  ASSERT_TRUE(sync_wait(identity_->remove_member(root_, "pricing", kind, "pia")).ok());
  EXPECT_FALSE(identity_->authenticate(pia, "pricing").ok());
  EXPECT_FALSE(identity_->act_as("pia", ProjectId("pricing")).ok());
}

TEST_F(KernelTest, Who_administers_a_project_decides_over_its_members_and_nothing_else) {
  for (const char* name : {"pricing", "other"})
    ASSERT_TRUE(sync_wait(identity_->create_project(root_, name)).ok());
  for (const char* name : {"ada", "ben"})
    ASSERT_TRUE(sync_wait(identity_->create_user(root_, name, "people", Role::kViewer)).ok());
  const Member admin{Member::Kind::kUser, "ada", Role::kAdmin};
  ASSERT_TRUE(sync_wait(identity_->set_member(root_, "pricing", admin)).ok());
  const auto ada = identity_->authenticate(token("ada").token, "pricing");
  ASSERT_TRUE(ada.ok());
  EXPECT_TRUE(ada->may(Permission::kLakeWrite));
  EXPECT_FALSE(ada->may(Permission::kAdmin));
  EXPECT_FALSE(ada->may(Permission::kAuditRead));
  const Member ben{Member::Kind::kUser, "ben", Role::kMember};
  EXPECT_TRUE(sync_wait(identity_->set_member(*ada, "pricing", ben)).ok());
  EXPECT_FALSE(sync_wait(identity_->set_member(*ada, "other", ben)).ok());
  EXPECT_FALSE(sync_wait(identity_->create_project(*ada, "mine")).ok());
  EXPECT_FALSE(sync_wait(identity_->create_team(*ada, "mine")).ok());
  const auto at_home = identity_->authenticate(token("ada").token);
  EXPECT_FALSE(sync_wait(identity_->set_member(*at_home, "pricing", ben)).ok());
}

TEST_F(KernelTest, A_token_of_one_project_does_not_open_another_beyond_its_scope) {
  ASSERT_TRUE(sync_wait(identity_->create_project(root_, "pricing")).ok());
  ASSERT_TRUE(sync_wait(identity_->create_user(root_, "vic", "people", Role::kViewer)).ok());
  const Member member{Member::Kind::kUser, "vic", Role::kMember};
  ASSERT_TRUE(sync_wait(identity_->set_member(root_, "pricing", member)).ok());
  TokenRequest request;
  request.user_name = "vic";
  request.project = "pricing";
  request.scope = "lake:read";
  const auto bound = sync_wait(identity_->create_token(root_, request));
  ASSERT_TRUE(bound.ok());
  const auto caller = identity_->access_key(bound->info.access_key_id)->caller;
  EXPECT_EQ(caller.project.str(), "pricing");
  EXPECT_FALSE(caller.may(Permission::kLakeWrite));
  // Neither a token of narrow scope nor a stranger can make one there.
  request.scope = "all";
  EXPECT_FALSE(sync_wait(identity_->create_token(caller, request)).ok());
  request.user_name = "admin";
  request.project = "nowhere";
  EXPECT_EQ(sync_wait(identity_->create_token(root_, request)).error().field, "project");
}

TEST_F(KernelTest, A_scope_with_a_slip_names_the_one_that_was_meant) {
  const auto scopes = parse_scopes("lake:reed");
  ASSERT_FALSE(scopes.ok());
  EXPECT_NE(scopes.error().message.find("lake:read"), std::string::npos);
}

TEST_F(KernelTest, A_scope_is_kept_as_a_text_that_reads_as_the_same) {
  for (const std::string text : {"all", "lake:read", "flow,sql:query,endpoint"}) {
    const auto scopes = parse_scopes(text);
    ASSERT_TRUE(scopes.ok());
    EXPECT_EQ(parse_scopes(scopes_text(*scopes)).value(), *scopes) << scopes_text(*scopes);
  }
}

TEST_F(KernelTest, A_task_may_what_its_user_may_now_within_the_scope_of_its_run) {
  ASSERT_TRUE(sync_wait(identity_->create_project(root_, "pricing")).ok());
  ASSERT_TRUE(sync_wait(identity_->create_user(root_, "ned", "sales", Role::kViewer)).ok());
  const auto give = [&](Role role) {
    const Member member{Member::Kind::kUser, "ned", role};
    ASSERT_TRUE(sync_wait(identity_->set_member(root_, "pricing", member)).ok());
  };
  give(Role::kMember);
  const Identity::TaskAttempt attempt{"r/a/1", "r/a", "ned", ProjectId("pricing"),
                                      parse_scopes("flow,lake,admin").value()};
  const auto issued = identity_->admit_task(attempt);
  ASSERT_TRUE(issued.ok());
  const auto by_token = identity_->authenticate(issued->token).value();
  const auto by_key = identity_->access_key(issued->info.access_key_id).value().caller;
  for (const Caller& task : {by_token, by_key, identity_->renewed(by_token).value()}) {
    EXPECT_TRUE(task.may(Permission::kLakeWrite) && task.may(Permission::kFlowWrite));
    EXPECT_FALSE(task.may(Permission::kModelRead));
    EXPECT_FALSE(task.scope.test(static_cast<std::size_t>(Permission::kAdmin)));
  }
  give(Role::kViewer);
  EXPECT_FALSE(identity_->authenticate(issued->token)->may(Permission::kLakeWrite));
  EXPECT_TRUE(identity_->authenticate(issued->token)->may(Permission::kLakeRead));
  give(Role::kAdmin);
  EXPECT_FALSE(identity_->authenticate(issued->token)->may(Permission::kProjectAdmin));
  EXPECT_FALSE(identity_->authenticate(issued->token)->may(Permission::kModelRead));
}

TEST_F(KernelTest, A_disabled_user_is_refused_with_all_tokens) {
  ASSERT_TRUE(sync_wait(identity_->create_user(root_, "ned", "sales", Role::kMember)).ok());
  const auto issued = token("ned");
  ASSERT_TRUE(sync_wait(identity_->set_user_disabled(root_, "ned", true)).ok());
  EXPECT_EQ(identity_->authenticate(issued.token).error().code, Code::kPermissionDenied);
  EXPECT_EQ(identity_->act_as("ned", ProjectId("default")).error().code, Code::kPermissionDenied);
}

TEST_F(KernelTest, An_event_exists_exactly_if_its_transaction_committed) {
  const auto publish = [&](bool keep) {
    return records_->write_blocking([&](Writer& w) -> Status {
      STRATA_TRY(events_->publish(w, root_.project, "object.created", "lake:b/k"));
      if (!keep) return Error(Code::kConflict, "no");
      return {};
    });
  };
  EXPECT_FALSE(publish(false).ok());
  EXPECT_TRUE(publish(true).ok());
  const auto seen = sync_wait(events_->since(0));
  ASSERT_EQ(seen->size(), 1U);
  EXPECT_EQ(seen->front().subject, "lake:b/k");
  EXPECT_TRUE(sync_wait(events_->since(seen->front().sequence))->empty());
}

TEST_F(KernelTest, Lineage_walks_both_ways_and_only_as_far_as_the_asked_time) {
  const NodeRef raw{"object", "raw/flights.csv", "aa"}, table{"table", "raw.flights", "1"};
  const NodeRef run{"run", "r1", ""}, model{"model", "flights", "1"};
  connect(raw, table, "wrote");
  clock_.advance(std::chrono::seconds(10));
  connect(table, run, "read");
  connect(run, model, "registered");
  const auto up = sync_wait(lineage_->walk(root_.project, model, Direction::kUpstream));
  ASSERT_EQ(up->nodes.size(), 4U);
  EXPECT_EQ(up->nodes.front().ref, model);
  EXPECT_EQ(up->nodes.back().ref, raw);
  const NodeRef newest{"object", "raw/flights.csv", ""};
  const auto down = sync_wait(lineage_->walk(root_.project, newest, Direction::kDownstream));
  EXPECT_EQ(down->nodes.size(), 4U);
  const auto early = sync_wait(lineage_->walk(root_.project, raw, Direction::kDownstream,
                                              clock_.now() - std::chrono::seconds(5)));
  EXPECT_EQ(early->nodes.size(), 2U);
}

// Two runs of one pipeline over the same data: task `a` writes, task `b` reads and writes.
TEST_F(KernelTest, Lineage_tells_apart_writers_of_the_same_content) {
  const NodeRef made{"object", "lake/made.csv", "aa"}, data{"dataset", "made", "aa"};
  const auto task = [](const std::string& name) {
    return NodeRef{"task", name, ""};
  };
  const auto later = [&] {
    clock_.advance(std::chrono::seconds(1));
  };
  for (const std::string run : {"1", "2", "3"}) {
    connect({"flow_run", run, ""}, task(run + "/a"), "started");
    connect(task(run + "/a"), made, "wrote");
    later();
    connect(made, task(run + "/b"), "read");
    connect(made, data, "read");
    connect(data, {"run", "r" + run, ""}, "trained");
    later();
    connect({"run", "r" + run, ""}, {"model", "m", run}, "registered");
    later();
  }
  const auto names = [&](const NodeRef& start, Direction direction) {
    std::set<std::string> out;
    for (const auto& node : sync_wait(lineage_->walk(root_.project, start, direction))->nodes)
      out.insert(node.ref.to_string());
    return out;
  };
  using Names = std::set<std::string>;
  for (const std::string run : {"1", "2", "3"}) {
    EXPECT_EQ(names({"model", "m", run}, Direction::kUpstream),
              (Names{"model:m@" + run, "run:r" + run, "dataset:made@aa", "object:lake/made.csv@aa",
                     "task:" + run + "/a", "flow_run:" + run}));
    EXPECT_EQ(names(task(run + "/b"), Direction::kUpstream),
              (Names{"task:" + run + "/b", "object:lake/made.csv@aa", "task:" + run + "/a",
                     "flow_run:" + run}));
    EXPECT_EQ(names(task(run + "/a"), Direction::kDownstream),
              (Names{"task:" + run + "/a", "object:lake/made.csv@aa", "task:" + run + "/b",
                     "dataset:made@aa", "run:r" + run, "model:m@" + run}));
  }
  // From the content itself, all of its uses follow; it comes from its last writer.
  EXPECT_EQ(names(made, Direction::kDownstream).size(), 11U);
  EXPECT_EQ(names(made, Direction::kUpstream),
            (Names{"object:lake/made.csv@aa", "task:3/a", "flow_run:3"}));
}

// One step makes table t_a from a.csv, then t_b from b.csv, looks at t_b, writes an object and
// inserts values of its own into t_c.
TEST_F(KernelTest, Lineage_of_a_step_that_makes_several_things_keeps_them_apart) {
  const NodeRef run{"flow_run", "1", ""}, step{"task", "1/only", ""}, next{"task", "1/next", ""};
  const NodeRef a{"object", "lake/a.csv", "aa"}, b{"object", "lake/b.csv", "bb"};
  const NodeRef t_a{"table", "main.t_a", "1"}, t_b{"table", "main.t_b", "1"},
      t_c{"table", "main.t_c", "1"};
  const NodeRef early{"object", "lake/early", "cc"}, late{"object", "lake/late", "dd"};
  const auto at_once = [&](const NodeRef& from, const NodeRef& to, std::string_view relation) {
    connect(from, to, std::string(relation));
  };
  const auto later = [&] {
    clock_.advance(std::chrono::seconds(1));
  };
  at_once(run, step, "ran");
  const auto create = [&](const NodeRef& query, const NodeRef* source, const NodeRef& made) {
    at_once(step, query, "ran");
    if (source != nullptr) at_once(*source, query, "read");
    at_once(query, made, "wrote");
    later();
  };
  create({"query", "q1", ""}, &a, t_a);
  at_once(step, early, "wrote");
  later();
  create({"query", "q2", ""}, &b, t_b);
  at_once(t_b, step, "read");
  later();
  at_once(step, late, "wrote");
  create({"query", "q3", ""}, nullptr, t_c);
  at_once(step, next, "fed");

  const auto reaches = [&](const NodeRef& start, Direction direction, const NodeRef& other) {
    const auto graph = sync_wait(lineage_->walk(root_.project, start, direction));
    return std::any_of(graph->nodes.begin(), graph->nodes.end(),
                       [&](const LineageNode& node) { return node.ref == other; });
  };
  for (const auto* made : {&t_a, &t_b, &t_c, &early, &late}) {  // who ran it is told of all
    EXPECT_TRUE(reaches(*made, Direction::kUpstream, run)) << made->to_string();
    EXPECT_TRUE(reaches(run, Direction::kDownstream, *made)) << made->to_string();
  }
  EXPECT_TRUE(reaches(t_a, Direction::kUpstream, a));
  EXPECT_FALSE(reaches(t_a, Direction::kUpstream, b));
  EXPECT_FALSE(reaches(early, Direction::kUpstream, b));
  EXPECT_TRUE(reaches(late, Direction::kUpstream, b));
  EXPECT_TRUE(reaches(t_c, Direction::kUpstream, b));
  EXPECT_FALSE(reaches(b, Direction::kDownstream, t_a));
  EXPECT_FALSE(reaches(b, Direction::kDownstream, early));
  EXPECT_TRUE(reaches(b, Direction::kDownstream, late));
  EXPECT_TRUE(reaches(b, Direction::kDownstream, t_c));
  EXPECT_TRUE(reaches(b, Direction::kDownstream, next));
  EXPECT_FALSE(reaches(a, Direction::kDownstream, late));
}

TEST_F(KernelTest, A_thing_is_named_as_people_type_it) {
  EXPECT_EQ(NodeRef::parse("s3://raw/a/b.csv")->to_string(), "object:raw/a/b.csv");
  EXPECT_EQ(NodeRef::parse("model:flights@3")->version, "3");
  for (const char* bad : {"flights", "planet:earth", "model:", ""}) {
    EXPECT_FALSE(NodeRef::parse(bad).ok()) << bad;
  }
}

TEST_F(KernelTest, Lineage_survives_cycles_and_repeated_reports) {
  const NodeRef a{"table", "a", "1"}, b{"table", "b", "1"};
  connect(a, b, "read");
  connect(a, b, "read");
  connect(b, a, "read");
  const auto graph = sync_wait(lineage_->walk(root_.project, a, Direction::kUpstream));
  EXPECT_EQ(graph->nodes.size(), 2U);
  EXPECT_EQ(graph->edges.size(), 2U);
  const auto other = sync_wait(lineage_->walk(ProjectId("other"), a, Direction::kUpstream));
  EXPECT_EQ(other.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace strata::kernel
