// Rooms that keep records, on a disk that loses what was not synced: users, runs, model versions
// and aliases, pipelines and their runs. Each acknowledged change is there; none is there in part.
// Seen to fail with each of these STRATA_CUT_LIE: records.db-wal, strata/ (names in the data
// directory), flows/content.

#include <chrono>
#include <map>
#include <thread>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "engines/power_loss/lives_testing.hpp"
#include "engines/power_loss/power_loss_vfs.hpp"
#include "engines/sqlite/sqlite_records.hpp"
#include "platform/models/models.hpp"
#include "platform/tracking/tracking.hpp"
#include "resources/workflow/workflow.hpp"

namespace strata::engines::power_loss {
namespace {

using platform::models::Models;
using platform::tracking::ArtifactInfo;
using platform::tracking::Tracking;
using resources::workflow::Workflows;

constexpr std::size_t kClients = 3;
constexpr std::size_t kBatch = 20;

// No test here stores an artifact.
class NoArtifacts final : public platform::tracking::ArtifactStore {
 public:
  Task<Result<ArtifactInfo>> put(const kernel::Caller&, std::string, ByteSource&) override {
    co_return Error(Code::kUnsupported, "no artifacts");
  }
  Task<Result<platform::tracking::Artifact>> open(const kernel::Caller&, std::string) override {
    co_return not_found("no artifacts");
  }
  Task<Result<std::vector<ArtifactInfo>>> list(const kernel::Caller&, std::string) override {
    co_return std::vector<ArtifactInfo>();
  }
  Task<Result<std::vector<ArtifactInfo>>> walk(const kernel::Caller&, std::string,
                                               std::size_t) override {
    co_return std::vector<ArtifactInfo>();
  }
  Task<Status> remove(const kernel::Caller&, std::string) override { co_return Status(); }
};

std::unique_ptr<sqlite::SqliteRecords> open_records(const PowerLossVfs& vfs) {
  auto opened = sqlite::SqliteRecords::open(kData + "/records.db", 2, vfs.name());
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  return *std::move(opened);
}

// One life of the server's rooms, without doors and without a node agent: tasks never start.
struct House {
  House(PowerLossFiles& the_disk, std::uint64_t seed) : disk(the_disk), random(seed) {
    prepare(disk);
    records = open_records(vfs);
    for (const auto steps :
         {kernel::Identity::migrations(), kernel::Audit::migrations(),
          kernel::EventBus::migrations(), kernel::Lineage::migrations(), Tracking::migrations(),
          Models::migrations(), Workflows::migrations()}) {
      const auto migrated = records->migrate(steps);
      EXPECT_TRUE(migrated.ok()) << migrated.error().message;
    }
    audit.emplace(*records, clock);
    events.emplace(*records, clock);
    lineage.emplace(*records, clock);
    const auto hook = [this](kernel::Writer& w, const kernel::Caller& by, std::string_view action,
                             std::string_view target, const Json& detail) {
      return audit->record(w, by, action, target, detail);
    };
    identity.emplace(*records, clock, random, "master key", hook);
    EXPECT_TRUE(identity->load().ok());
    caller = *identity->act_as("admin", ProjectId("default"));
    tracking.emplace(*records, *audit, *events, *lineage, artifacts, clock, random);
    models.emplace(*records, *identity, *audit, *events, *lineage, *tracking, clock);
    const auto no_environment = [](const kernel::IssuedToken&) {
      return Result<resources::workflow::Environment>(Error(Code::kUnavailable, "no doors"));
    };
    workflows.emplace(resources::workflow::Ports{kData,
                                                 kData + "/strata",
                                                 *records,
                                                 *identity,
                                                 *audit,
                                                 *events,
                                                 *lineage,
                                                 clock,
                                                 random,
                                                 disk,
                                                 pool,
                                                 loops,
                                                 scope,
                                                 no_environment,
                                                 {}});
    EXPECT_TRUE(workflows->start().ok());
  }
  ~House() {
    workflows->stop();
    scope.request_stop();
    events->changed().notify_all();  // or the triggers would look a last time in a second
    scope.join();
    workflows.reset();
    pool.stop();
    loops.stop();
  }

  PowerLossFiles& disk;
  PowerLossVfs vfs{disk};
  SystemClock clock;
  SeededRandom random;
  NoArtifacts artifacts;
  std::unique_ptr<sqlite::SqliteRecords> records;
  std::optional<kernel::Audit> audit;
  std::optional<kernel::EventBus> events;
  std::optional<kernel::Lineage> lineage;
  std::optional<kernel::Identity> identity;
  std::optional<Tracking> tracking;
  std::optional<Models> models;
  LoopGroup loops{1};
  BlockingPool pool{2};
  TaskScope scope;
  std::optional<Workflows> workflows;
  kernel::Caller caller;
};

// What one client remembers over all lives.
struct Memory {
  std::map<std::string, std::vector<double>> metrics;         // by run
  std::map<std::string, std::vector<std::int64_t>> versions;  // by model
  std::map<std::string, Place> aliases;                       // by model
  std::set<std::string> users;
  std::set<std::string> packages;
  Place flow;                                    // the pipeline's description
  std::map<std::string, std::string> flow_runs;  // id by idempotency key
  std::set<std::string> cancelled;
  kernel::ChainHead audit;
};

class Client {
 public:
  Client(House& house, Memory& memory, std::size_t number, Dice& dice)
      : house_(house),
        memory_(memory),
        dice_(dice),
        caller_(house.caller),
        flow_("flow" + std::to_string(number)) {}

  void step() {
    switch (dice_.below(6)) {
      case 0:
        return create_user();
      case 1:
        return register_version();
      case 2:
        return apply_flow();
      case 3:
        return run_flow();
      default:
        return log_run();
    }
  }

  void check() {
    for (const auto& user : memory_.users)
      EXPECT_TRUE(house_.identity->user(user).ok()) << user;
    check_runs();
    check_models();
    check_flows();
    check_audit();
  }

  // The chain of the audit log has every entry, and has only grown since it was looked at last.
  void check_audit() {
    const auto report = sync_wait(house_.audit->verify(memory_.audit));
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_FALSE(report->finding) << report->finding->message;
    memory_.audit = report->head;
  }

 private:
  bool off() const { return house_.disk.is_off(); }
  std::string fresh(const std::string& kind) { return kind + to_hex(dice_.bytes(6)); }

  void create_user() {
    const auto name = fresh("u");
    const auto made =
        sync_wait(house_.identity->create_user(caller_, name, "", kernel::Role::kViewer));
    if (made && !off()) memory_.users.insert(name);
  }

  void log_run() {
    platform::tracking::RunDraft draft;
    draft.experiment_id = "0";
    const auto run = sync_wait(house_.tracking->create_run(caller_, draft));
    if (!run || off()) return;
    auto& known = memory_.metrics[run->info.id];
    for (int batches = 0; batches < 3; ++batches) {
      platform::tracking::Batch batch;
      std::vector<double> values;
      for (std::size_t i = 0; i < kBatch; ++i) {
        values.push_back(static_cast<double>(dice_.below(1U << 30)));
        platform::tracking::Metric point;
        point.key = "m";
        point.value = values.back();
        point.step = static_cast<std::int64_t>(known.size() + i);
        batch.metrics.push_back(std::move(point));
      }
      const auto logged = sync_wait(house_.tracking->log_batch(caller_, run->info.id, batch));
      if (!logged || off()) return;
      known.insert(known.end(), values.begin(), values.end());
    }
  }

  void check_runs() {
    for (const auto& [run, wanted] : memory_.metrics) {
      const auto page =
          sync_wait(house_.tracking->metric_history(caller_, run, "m", std::nullopt, ""));
      ASSERT_TRUE(page.ok()) << page.error().message;
      std::vector<double> seen;
      for (const auto& metric : page->items)
        seen.push_back(metric.value);
      ASSERT_TRUE(seen.size() == wanted.size() || seen.size() == wanted.size() + kBatch)
          << seen.size() << " points, " << wanted.size() << " acknowledged";
      seen.resize(wanted.size());
      EXPECT_EQ(seen, wanted);
    }
  }

  void register_version() {
    const auto name = fresh("model");
    const auto model = sync_wait(house_.models->create_model(caller_, name, "", {}));
    if (!model || off()) return;
    auto& known = memory_.versions[name];
    for (int i = 0; i < 2; ++i) {
      platform::models::VersionDraft draft;
      draft.name = name;
      draft.source = "s3://elsewhere/m";
      const auto made = sync_wait(house_.models->create_version(caller_, draft));
      if (!made || off()) return;
      known.push_back(made->version);
      auto& alias = memory_.aliases[name];
      alias.intend(std::to_string(made->version));
      const auto moved = sync_wait(house_.models->set_alias(caller_, name, "live", made->version));
      if (!moved || off()) return;
      alias.acknowledge(std::to_string(made->version));
    }
  }

  void check_models() {
    for (const auto& [name, wanted] : memory_.versions) {
      for (const auto number : wanted)
        EXPECT_TRUE(sync_wait(house_.models->version(caller_, name, number)).ok()) << name;
      const auto live = sync_wait(house_.models->version_by_alias(caller_, name, "live"));
      const auto found = live ? std::to_string(live->version) : kAbsent;
      EXPECT_TRUE(memory_.aliases[name].may_be(found)) << name << " is at " << found;
    }
  }

  void apply_flow() {
    const auto package = sync_wait(house_.workflows->add_package(caller_, tar(dice_.bytes(100))));
    if (package && !off()) memory_.packages.insert(*package);
    if (!package) return;
    const auto description = fresh("d");
    const auto text = fmt::format(
        "name: {}\ndescription: {}\nsteps:\n  a: {{command: 'true', resources: {{memory: "
        "8MiB}}}}\n",
        flow_, description);
    auto spec = wire::read_flow_yaml(text, {});
    ASSERT_TRUE(spec.ok()) << spec.error().message;
    spec->package = *package;
    memory_.flow.intend(description);
    const auto applied = sync_wait(house_.workflows->apply(caller_, *std::move(spec), false));
    if (off()) return;
    EXPECT_TRUE(applied.ok()) << applied.error().message;
    memory_.flow.acknowledge(description);
  }

  void run_flow() {
    if (memory_.flow.may_be(kAbsent)) return;
    const auto key = fresh("key");
    resources::workflow::RunRequest request;
    request.idempotency_key = key;
    const auto run = sync_wait(house_.workflows->run(caller_, flow_, request));
    if (!run || off()) return;
    memory_.flow_runs[key] = run->run.id;
    if (!dice_.one_in(3)) return;
    const auto cancelled = sync_wait(house_.workflows->cancel(caller_, run->run.id));
    // A run that had ended by itself stays as it was; nothing starts its steps here.
    using resources::scheduler::RunState;
    const bool cancels = cancelled && cancelled->run.state == RunState::kCancelling;
    if (cancels && !off()) memory_.cancelled.insert(run->run.id);
  }

  void check_flows() {
    const auto flow = sync_wait(house_.workflows->get(caller_, flow_));
    const auto found = flow ? flow->description : kAbsent;
    EXPECT_TRUE(memory_.flow.may_be(found)) << flow_ << " is " << found;
    for (const auto& package : memory_.packages) {
      const auto path =
          fmt::format("{}/flows/content/{}/{}", kData, package.substr(7, 2), package.substr(7));
      const auto bytes = house_.disk.read_all(path);
      EXPECT_TRUE(bytes.ok() && content_digest(*bytes) == package) << package;
    }
    for (const auto& [key, id] : memory_.flow_runs) {
      const auto run = sync_wait(house_.workflows->run_info(caller_, id));
      ASSERT_TRUE(run.ok()) << run.error().message;
      if (memory_.cancelled.contains(id)) expect_cancelled(id);
      resources::workflow::RunRequest again;
      again.idempotency_key = key;
      const auto same = sync_wait(house_.workflows->run(caller_, flow_, again));
      EXPECT_TRUE(same.ok() && same->run.id == id) << key;
    }
  }

  // A request that was recorded is carried out soon after the start.
  void expect_cancelled(const std::string& id) {
    using resources::scheduler::RunState;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (true) {
      const auto run = sync_wait(house_.workflows->run_info(caller_, id));
      if (!run || off()) return;
      const auto state = run->run.state;
      if (state == RunState::kCancelling || state == RunState::kCancelled) return;
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << id << " is " << resources::scheduler::name_of(state);
        return;
      }
      std::this_thread::yield();
    }
  }

  // The smallest tar that a package may be: one file.
  static std::string tar(const std::string& content) {
    std::string head(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) {
      head.replace(at, text.size(), text);
    };
    put(0, "file");
    put(100, "0000600");
    put(124, fmt::format("{:011o}", content.size()));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    unsigned sum = 0;
    for (const char c : head)
      sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    std::string body = content;
    body.resize((content.size() + 511) / 512 * 512);
    return head + body + std::string(1024, '\0');
  }

  House& house_;
  Memory& memory_;
  Dice& dice_;
  const kernel::Caller& caller_;
  const std::string flow_;
};

TEST(ThePowerLostRooms, Keep_what_they_acknowledged_and_show_nothing_in_part) {
  const auto first = number_of("STRATA_CUT_FIRST", 1);
  const auto seeds = number_of("STRATA_CUT_SEEDS", 30);
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE("STRATA_CUT_FIRST=" + std::to_string(seed));
    std::array<Memory, kClients> memory;
    live_and_die(seed, 6, [&](PowerLossFiles& disk, Dice& dice) {
      House house(disk, dice.seed());
      for (std::size_t client = 0; client < kClients && !disk.is_off(); ++client)
        Client(house, memory[client], client, dice).check();
      work(disk, dice, kClients, 12, [&](std::size_t client, Dice& own) {
        Client(house, memory[client], client, own).step();
      });
    });
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace strata::engines::power_loss
