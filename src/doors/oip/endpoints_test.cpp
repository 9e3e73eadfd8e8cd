// Endpoints over real records and loops, with a model store and an engine made for the test: what
// users notice when aliases move, models are broken, and the server is restarted.
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "engines/sqlite/sqlite_records.hpp"
#include "platform/deployment/deployment.hpp"

namespace strata::platform::deployment {
namespace {

using wire::ElementType;
using wire::Tensor;

// Registered versions held in memory; each is a package of two files.
class MemoryModelSource final : public ModelSource {
 public:
  void add(const std::string& version, const std::string& content) {
    const std::lock_guard lock(mutex_);
    ResolvedModel model;
    model.name = "m";
    model.version = version;
    const std::map<std::string, std::string> files = {
        {"MLmodel",
         "flavors: {constant: {}}\nsignature:\n  inputs: "
         "'[{\"type\":\"double\",\"name\":\"x\"}]'\n"},
        {"value", content}};
    for (const auto& [path, text] : files) {
      model.files.push_back({path, text.size(), to_hex(sha256(text))});
      contents_[version + "/" + path] = text;
    }
    model.package_digest = models::package_digest(model.files);
    model.digest = model.package_digest;
    versions_[version] = std::move(model);
  }
  void point(const std::string& version) {
    const std::lock_guard lock(mutex_);
    live_ = version;
  }
  void damage(const std::string& version) {
    const std::lock_guard lock(mutex_);
    contents_[version + "/value"].back() = '9';
  }
  void lose() {
    const std::lock_guard lock(mutex_);
    lost_ = true;
  }

  Task<Result<ResolvedModel>> resolve(const kernel::Caller&, const ModelRef& ref) override {
    const std::lock_guard lock(mutex_);
    const auto found = versions_.find(ref.alias.empty() ? ref.version : live_);
    if (lost_ || ref.name != "m" || found == versions_.end()) co_return not_found("no such model");
    co_return found->second;
  }
  Task<Result<std::unique_ptr<ByteSource>>> open(const kernel::Caller&, const ResolvedModel& model,
                                                 const models::ModelFile& file) override {
    const std::lock_guard lock(mutex_);
    co_return std::unique_ptr<ByteSource>(
        std::make_unique<TextSource>(contents_.at(model.version + "/" + file.path)));
  }

 private:
  std::mutex mutex_;
  std::map<std::string, ResolvedModel> versions_;
  std::map<std::string, std::string> contents_;
  std::string live_;
  bool lost_ = false;
};

void wait_for(const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait(lock, stop, [] { return false; });
}

// Answers x + the number in the package; counts how many of its models are in memory.
class ConstantEngine final : public ModelEngine {
 public:
  class Runner final : public ModelRunner {
   public:
    Runner(double value, std::atomic<int>& loaded) : value_(value), loaded_(loaded) {
      interface_.inputs = {{"input", ElementType::kFp64, {-1, 1}}};
      interface_.outputs = {{"predict", ElementType::kFp64, {-1}}};
      interface_.bare_output = true;
      ++loaded_;
    }
    ~Runner() override { --loaded_; }
    const ModelInterface& interface() const override { return interface_; }
    inline static std::atomic<int> busy{0};
    inline static std::atomic<bool> released{false};
    inline static std::atomic<double> held_values{-7};  // what holds up version 2 until then
    // An input of -1 keeps it busy until it is stopped; one of -2, as a long node of a graph does,
    // until it is released, whatever it is told.
    Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                    const std::stop_token& stop) const override {
      const auto x = inputs[0].as<double>();
      if (!x.empty() && x[0] == -1) {
        ++busy;
        wait_for(stop);
        return Error(Code::kCancelled, "stopped");
      }
      if (!x.empty() && x[0] == -2) {
        ++busy;
        released.wait(false);
        return Error(Code::kCancelled, "stopped");
      }
      if (!x.empty() && value_ == 20 && x[0] == held_values) released.wait(false);
      Tensor out("predict", ElementType::kFp64, {static_cast<std::int64_t>(x.size())});
      const auto values = out.allocate<double>(x.size());
      for (std::size_t i = 0; i < x.size(); ++i)
        values[i] = x[i] + value_;
      std::vector<Tensor> outputs;
      outputs.push_back(std::move(out));
      return outputs;
    }

   private:
    double value_;
    std::atomic<int>& loaded_;
    ModelInterface interface_;
  };

  std::string_view flavor() const override { return "constant"; }
  Result<std::unique_ptr<ModelRunner>> load(const std::string& directory,
                                            const wire::MlModel&) override {
    SystemFiles files;
    const auto text = files.read_all(directory + "/value");
    if (!text) return text.error();
    if (*text == "broken") return Error(Code::kInvalidArgument, "the package is broken");
    return std::unique_ptr<ModelRunner>(
        std::make_unique<Runner>(to_double(*text).value_or(0), loaded));
  }
  std::atomic<int> loaded{0};
};

// Tries nothing; ends as the content of the package says.
class ScriptedTrial final : public ModelTrial {
 public:
  Status run(const std::string& directory, const std::stop_token& stop) override {
    SystemFiles files;
    const auto text = files.read_all(directory + "/value").value_or("");
    ++tried;
    if (text == "kills") return Error(Code::kDataLoss, "it ended the process that tried it");
    if (text != "stays") return {};
    ++busy;
    wait_for(stop);
    --busy;
    return Error(Code::kCancelled, "stopped");
  }
  Result<platform::inference::ProbeReport> probe(const std::string&, std::size_t,
                                                 const std::stop_token&) override {
    return Error(Code::kUnsupported, "this trial asks nothing");
  }
  std::atomic<int> tried{0};
  std::atomic<int> busy{0};
};

// One start of a server over a folder.
struct Server {
  Server(const std::string& folder, MemoryModelSource& source,
         std::chrono::milliseconds run_limit = std::chrono::hours(1))
      : records(*engines::sqlite::SqliteRecords::open(folder + "/records.db", 1)),
        events(*records, clock),
        audit(*records, clock),
        lineage(*records, clock),
        identity(*records, clock, random, "key", [](auto&&...) { return Status(); }),
        log(folder + "/predictions", files, clock, metrics),
        endpoints({*records, identity, audit, events, lineage, clock, random, files, pool, loops,
                   scope, metrics, source, log, trial},
                  {&engine}, folder + "/models", run_limit) {
    for (const auto migrations :
         {kernel::Identity::migrations(), kernel::Audit::migrations(),
          kernel::EventBus::migrations(), kernel::Lineage::migrations(), Endpoints::migrations()}) {
      EXPECT_TRUE(records->migrate(migrations));
    }
    EXPECT_TRUE(identity.load());
    EXPECT_TRUE(log.open());
    admin = *identity.act_as("admin", ProjectId("default"));
    EXPECT_TRUE(endpoints.start());
  }
  ~Server() {
    endpoints.stop();
    scope.request_stop();
    events.changed().notify_all();
    scope.join();
    EXPECT_TRUE(log.flush());
  }

  void announce() {
    const auto said = records->write_blocking([&](kernel::Writer& w) {
      return events.publish(w, admin.project, "alias.moved", "model:m");
    });
    EXPECT_TRUE(said);
  }
  // Waits until `condition` holds of the endpoint's state.
  template <class F>
  EndpointInfo wait(F condition) {
    while (true) {
      auto info = endpoints.get(admin, "e");
      EXPECT_TRUE(info);
      if (!info || condition(*info)) return info ? *info : EndpointInfo{};
      std::this_thread::yield();
    }
  }
  EndpointInfo wait_for(const std::string& version) {
    return wait([&](const EndpointInfo& info) {
      return info.live && info.live->identity->version == version;
    });
  }
  // Makes the endpoints "e" and "f", ready to answer.
  void create_two() {
    for (const auto* name : {"e", "f"}) {
      EXPECT_TRUE(sync_wait(endpoints.create(admin, name, "models:/m@live")));
      while (!endpoints.find(admin.project, name))
        std::this_thread::yield();
    }
  }
  // Asks an endpoint once; what it is refused with, if it is.
  std::optional<Code> refusal(std::string_view name, double x, std::int64_t rows = 1) {
    const auto model = endpoints.find(admin.project, name);
    if (!model) return model.error().code;
    Tensor tensor("x", ElementType::kFp64, {rows});
    std::ranges::fill(tensor.allocate<double>(static_cast<std::size_t>(rows)), x);
    std::vector<Tensor> tensors;
    tensors.push_back(std::move(tensor));
    auto inputs = (*model)->binding->bind(std::move(tensors));
    if (!inputs) return inputs.error().code;
    const auto answer = sync_wait(endpoints.predict(*model, *std::move(inputs)));
    return answer ? std::nullopt : std::optional(answer.error().code);
  }
  // Asks once; the answer's number and the version that gave it.
  std::pair<double, std::string> ask(double x) {
    auto model = endpoints.find(admin.project, "e");
    EXPECT_TRUE(model) << model.error().message;
    std::vector<Tensor> tensors;
    Tensor tensor("x", ElementType::kFp64, {1});
    tensor.allocate<double>(1)[0] = x;
    tensors.push_back(std::move(tensor));
    auto inputs = (*model)->binding->bind(std::move(tensors));
    EXPECT_TRUE(inputs);
    auto answer = sync_wait(endpoints.predict(*model, *std::move(inputs)));
    if (!answer) {
      ADD_FAILURE() << answer.error().message;
      return {0, ""};
    }
    return {answer->outputs()[0].as<double>()[0], (*model)->identity->version};
  }

  SystemClock clock;
  SystemRandom random;
  SystemFiles files;
  metrics::Registry metrics;
  BlockingPool pool{2};
  LoopGroup loops{2};
  TaskScope scope;
  std::unique_ptr<engines::sqlite::SqliteRecords> records;
  kernel::EventBus events;
  kernel::Audit audit;
  kernel::Lineage lineage;
  kernel::Identity identity;
  PredictionLog log;
  ConstantEngine engine;
  ScriptedTrial trial;
  Endpoints endpoints;
  kernel::Caller admin;
  Code last = Code::kInternal;
};

class EndpointsTest : public testing::Test {
 protected:
  EndpointsTest() : folder_(testing::TempDir() + "endpoints-" + SystemRandom().hex(8)) {
    std::filesystem::create_directories(folder_);
    source_.add("1", "10");
    source_.add("2", "20");
    source_.point("1");
  }
  ~EndpointsTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  MemoryModelSource source_;
};

TEST_F(EndpointsTest, No_request_fails_or_is_answered_by_another_version_while_the_alias_moves) {
  Server server(folder_, source_);
  ASSERT_TRUE(sync_wait(server.endpoints.create(server.admin, "e", "models:/m@live")));
  server.wait_for("1");
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  // What one asker may have asked so far: nothing empties the prediction log here, and an asker
  // that a slow disk lets run on would fill it, whose rightful refusal is not what is tested.
  constexpr int kAsksPerMove = 500;
  std::atomic<int> allowed{kAsksPerMove};
  std::vector<std::thread> askers;
  for (int t = 0; t < 3; ++t) {
    askers.emplace_back([&] {
      for (int asked = 0; !stop;) {
        if (asked == allowed) {
          std::this_thread::yield();
          continue;
        }
        ++asked;
        const auto [value, version] = server.ask(1);
        EXPECT_EQ(value, version == "1" ? 11 : 21);
        ++answered;
      }
    });
  }
  for (int move = 0; move < 20; ++move) {
    const std::string version = move % 2 == 0 ? "2" : "1";
    source_.point(version);
    allowed += kAsksPerMove;
    server.announce();
    server.wait_for(version);
    EXPECT_EQ(server.ask(0).second, version);
  }
  stop = true;
  for (auto& asker : askers)
    asker.join();
  EXPECT_GT(answered, 0);
  EXPECT_EQ(server.engine.loaded, 1);  // the versions before it ended with their last request
  ASSERT_TRUE(server.log.flush());
  const auto graph = sync_wait(server.lineage.walk(server.admin.project, {"endpoint", "e", ""},
                                                   kernel::Direction::kUpstream));
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->nodes.front().ref.version, "21");  // the first deployment and 20 moves
  ASSERT_EQ(graph->edges.size(), 1U);
  EXPECT_EQ(graph->edges[0].from.to_string(), "model:m@1");
  EXPECT_EQ(graph->edges[0].relation, "deployed");
}

TEST_F(EndpointsTest, A_broken_or_damaged_version_leaves_the_old_one_answering_and_says_why) {
  source_.add("3", "broken");
  source_.add("4", "40");
  source_.damage("4");
  Server server(folder_, source_);
  ASSERT_TRUE(sync_wait(server.endpoints.create(server.admin, "e", "models:/m@live")));
  server.wait_for("1");
  for (const auto& [version, reason] : {std::pair("3", "broken"), std::pair("4", "SHA-256")}) {
    source_.point(version);
    server.announce();
    const auto info = server.wait([&](const EndpointInfo& i) {
      return i.state == EndpointState::kDegraded && i.error.find(reason) != std::string::npos;
    });
    EXPECT_EQ(info.wanted_version, version);
    EXPECT_EQ(server.ask(1), std::pair(11.0, std::string("1")));
  }
}

TEST_F(EndpointsTest, After_a_restart_the_last_version_answers_even_without_the_model_store) {
  {
    Server server(folder_, source_);
    ASSERT_TRUE(sync_wait(server.endpoints.create(server.admin, "e", "models:/m@live")));
    server.wait_for("1");
  }
  source_.lose();
  Server server(folder_, source_);
  const auto info = server.wait(
      [](const EndpointInfo& i) { return i.live && i.state == EndpointState::kDegraded; });
  EXPECT_EQ(info.live->identity->deployment, 1);
  EXPECT_EQ(server.ask(2).first, 12);
}

TEST_F(EndpointsTest, Names_references_and_versions_are_checked) {
  Server server(folder_, source_);
  const auto create = [&](const char* name, const char* ref) {
    auto made = sync_wait(server.endpoints.create(server.admin, name, ref));
    return made ? Code::kInternal : made.error().code;
  };
  EXPECT_EQ(create("../e", "models:/m@live"), Code::kInvalidArgument);
  EXPECT_EQ(create("", "models:/m@live"), Code::kInvalidArgument);
  EXPECT_EQ(create("e", "m@live"), Code::kInvalidArgument);
  EXPECT_EQ(create("e", "models:/m/newest"), Code::kInvalidArgument);
  EXPECT_EQ(create("e", "models:/other@live"), Code::kNotFound);
  ASSERT_TRUE(sync_wait(server.endpoints.create(server.admin, "e", "models:/m/2")));
  EXPECT_EQ(create("e", "models:/m@live"), Code::kAlreadyExists);
  server.wait_for("2");
  EXPECT_TRUE(server.endpoints.find(server.admin.project, "e", "2"));
  EXPECT_FALSE(server.endpoints.find(server.admin.project, "e", "1"));
  EXPECT_FALSE(server.endpoints.find(ProjectId("other"), "e"));
  ASSERT_TRUE(sync_wait(server.endpoints.remove(server.admin, "e")));
  EXPECT_FALSE(server.endpoints.find(server.admin.project, "e"));
  EXPECT_FALSE(sync_wait(server.endpoints.remove(server.admin, "e")));
}

TEST_F(EndpointsTest, A_version_that_kills_who_tries_it_is_never_opened_here) {
  source_.add("3", "kills");
  {
    Server server(folder_, source_);
    ASSERT_TRUE(sync_wait(server.endpoints.create(server.admin, "e", "models:/m@live")));
    server.wait_for("1");
    source_.point("3");
    server.announce();
    const auto info =
        server.wait([](const EndpointInfo& i) { return i.state == EndpointState::kDegraded; });
    EXPECT_NE(info.error.find("ended the process"), std::string::npos);
    EXPECT_EQ(server.ask(1), std::pair(11.0, std::string("1")));
    EXPECT_EQ(server.engine.loaded, 1);
  }
  Server server(folder_, source_);
  server.wait([](const EndpointInfo& i) { return i.state == EndpointState::kFailed; });
  EXPECT_EQ(server.engine.loaded, 0);
  EXPECT_EQ(server.trial.tried, 1);
}

TEST_F(EndpointsTest, Deleting_an_endpoint_ends_its_load) {
  source_.add("3", "stays");
  source_.point("3");
  Server server(folder_, source_);
  ASSERT_TRUE(sync_wait(server.endpoints.create(server.admin, "e", "models:/m@live")));
  while (server.trial.busy == 0)
    std::this_thread::yield();
  ASSERT_TRUE(sync_wait(server.endpoints.remove(server.admin, "e")));
  while (server.trial.busy != 0)
    std::this_thread::yield();
}

TEST_F(EndpointsTest, Runs_that_nothing_ends_hold_up_no_other_endpoint) {
  constexpr int kHeld = Endpoints::kRunsOfOne;
  constexpr int kWaiting = 5;
  using Runner = ConstantEngine::Runner;
  Runner::released = false;
  Server server(folder_, source_, std::chrono::milliseconds(1000));
  server.create_two();
  const int before = Runner::busy;
  std::mutex mutex;
  std::vector<Code> refused;
  {
    std::vector<std::jthread> askers;
    for (int i = 0; i < kHeld + kWaiting; ++i) {
      askers.emplace_back([&] {
        const auto code = server.refusal("e", -2);
        const std::lock_guard lock(mutex);
        refused.push_back(code.value_or(Code::kInternal));
      });
    }
    while (Runner::busy < before + kHeld)
      std::this_thread::yield();
    EXPECT_EQ(server.refusal("f", 1), std::nullopt);
    const auto told = [&] {
      const std::lock_guard lock(mutex);
      return refused.size();
    };
    while (told() < kWaiting)
      std::this_thread::yield();
    EXPECT_EQ(refused, std::vector(kWaiting, Code::kDeadlineExceeded));
    const auto info =
        server.wait([](const EndpointInfo& i) { return i.overdue_runs == Endpoints::kRunsOfOne; });
    EXPECT_EQ(info.state, EndpointState::kDegraded);
    EXPECT_NE(info.error.find("endpoints.timeout"), std::string::npos);
    EXPECT_EQ(server.refusal("e", 1), Code::kUnavailable);
    EXPECT_EQ(server.refusal("f", 1), std::nullopt);
    // Made anew it is not rid of them.
    ASSERT_TRUE(sync_wait(server.endpoints.remove(server.admin, "e")));
    ASSERT_TRUE(sync_wait(server.endpoints.create(server.admin, "e", "models:/m@live")));
    server.wait_for("1");
    EXPECT_EQ(server.refusal("e", 1), Code::kUnavailable);
    EXPECT_EQ(Runner::busy, before + kHeld);
    Runner::released = true;
    Runner::released.notify_all();
  }
  refused.erase(refused.begin(), refused.begin() + kWaiting);
  EXPECT_EQ(refused, std::vector(kHeld, Code::kNotFound));
  const auto info = server.wait([](const EndpointInfo& i) { return i.overdue_runs == 0; });
  EXPECT_EQ(info.state, EndpointState::kReady);
  EXPECT_EQ(info.error, "");
  EXPECT_EQ(server.refusal("e", 1), std::nullopt);
}

TEST_F(EndpointsTest, What_a_slow_model_holds_leaves_room_for_other_endpoints) {
  constexpr std::int64_t kRows = 1 << 20;  // 8 MiB of inputs, and as much of outputs
  constexpr int kFit = 2;
  constexpr int kTooMany = 4;
  Server server(folder_, source_);
  server.create_two();
  const int before = ConstantEngine::Runner::busy;
  std::mutex mutex;
  std::vector<Code> refused;
  const auto told = [&] {
    const std::lock_guard lock(mutex);
    return refused;
  };
  {
    std::vector<std::jthread> askers;
    for (int i = 0; i < kFit + kTooMany; ++i) {
      askers.emplace_back([&] {
        const auto code = server.refusal("e", -1, kRows);
        const std::lock_guard lock(mutex);
        refused.push_back(code.value_or(Code::kInternal));
      });
    }
    while (ConstantEngine::Runner::busy < before + kFit ||
           told().size() + static_cast<std::size_t>(ConstantEngine::Runner::busy - before) <
               kFit + kTooMany)
      std::this_thread::yield();
    EXPECT_EQ(told(), std::vector(kTooMany, Code::kResourceExhausted));
    EXPECT_EQ(server.refusal("f", 1, kRows), std::nullopt);
    EXPECT_TRUE(sync_wait(server.endpoints.remove(server.admin, "e")));
  }
  EXPECT_EQ(told().back(), Code::kNotFound);
  EXPECT_EQ(server.refusal("f", 1, kRows), std::nullopt);
}

TEST_F(EndpointsTest, A_run_ends_at_its_time_with_its_endpoint_and_with_the_server) {
  const auto outcome = [](Server& server, const std::function<void()>& then) {
    ASSERT_TRUE(sync_wait(server.endpoints.create(server.admin, "e", "models:/m@live")));
    server.wait_for("1");
    const auto model = server.endpoints.find(server.admin.project, "e");
    ASSERT_TRUE(model);
    const int before = ConstantEngine::Runner::busy;
    std::thread meanwhile([&] {
      while (ConstantEngine::Runner::busy == before)
        std::this_thread::yield();
      then();
    });
    wire::Tensor x("x", ElementType::kFp64, {1});
    x.allocate<double>(1)[0] = -1;
    std::vector<Tensor> tensors;
    tensors.push_back(std::move(x));
    auto inputs = (*model)->binding->bind(std::move(tensors));
    EXPECT_TRUE(inputs);
    auto answer = sync_wait(server.endpoints.predict(*model, *std::move(inputs)));
    meanwhile.join();
    ASSERT_FALSE(answer);
    server.last = answer.error().code;
  };
  {
    Server server(folder_, source_, std::chrono::milliseconds(50));
    outcome(server, [] {});
    EXPECT_EQ(server.last, Code::kDeadlineExceeded);
    ASSERT_TRUE(sync_wait(server.endpoints.remove(server.admin, "e")));
  }
  {
    Server server(folder_, source_);
    outcome(server, [&] { EXPECT_TRUE(sync_wait(server.endpoints.remove(server.admin, "e"))); });
    EXPECT_EQ(server.last, Code::kNotFound);
  }
  Server server(folder_, source_);
  outcome(server, [&] { server.endpoints.drain(std::chrono::milliseconds(1)); });
  EXPECT_EQ(server.last, Code::kUnavailable);
}

// Counts what it is told.
class CountingObserver final : public ArmObserver {
 public:
  void answered(const Exchange& exchange) override {
    ++counts.at(static_cast<std::size_t>(exchange.route));
  }
  void crowded_out(Route) override { ++crowded; }
  void rejected(Route) override { ++refused; }
  void shadowed(const Exchange& live, const Exchange& shadow) override {
    if (shadow.failure.empty())
      difference = shadow.outputs[0].as<double>()[0] - live.outputs[0].as<double>()[0];
    ++counts.at(static_cast<std::size_t>(shadow.route));
  }
  void shadow_dropped() override { ++dropped; }
  std::array<std::atomic<int>, 4> counts{};
  std::atomic<int> crowded{0}, refused{0}, dropped{0};
  std::atomic<double> difference{0};
};

TEST_F(EndpointsTest, Another_share_moves_no_entity_but_those_that_it_adds) {
  std::map<Route, int> before;
  for (int i = 0; i < 20'000; ++i) {
    const auto bucket = bucket_of("r1", "entity-" + std::to_string(i));
    ASSERT_LT(bucket, kBuckets);
    for (const std::uint32_t share : {100U, 1'000U, 5'000U, 8'000U, 10'000U}) {
      const Route smaller = route_of(bucket, share / 2);
      const Route larger = route_of(bucket, share);
      if (smaller == Route::kCanary) EXPECT_EQ(larger, Route::kCanary);
    }
    ++before[route_of(bucket, 1'000)];
  }
  EXPECT_NEAR(before[Route::kCanary], 2'000, 200);
  EXPECT_NEAR(before[Route::kControl], 2'000, 200);
  EXPECT_EQ(route_of(0, 0), Route::kLive);
  EXPECT_EQ(route_of(kBuckets - 1, kBuckets), Route::kCanary);
  EXPECT_EQ(route_of(kBuckets - 1, 9'000), Route::kControl);
  // The first eight bytes of SHA-256("r1\nflight 7"), as any other program computes them.
  EXPECT_EQ(bucket_of("r1", "flight 7"), 5722U);
}

TEST_F(EndpointsTest, A_candidate_answers_its_share_until_it_is_taken_away) {
  Server server(folder_, source_);
  server.create_two();
  const auto& project = server.admin.project;
  auto loaded = sync_wait(server.endpoints.load_candidate(project, "e", {"m", "", "2"}));
  ASSERT_TRUE(loaded) << loaded.error().message;
  auto observer = std::make_shared<CountingObserver>();
  const auto version_of = [&](const std::string& entity) {
    const auto model = server.endpoints.choose(project, "e", "", entity);
    EXPECT_TRUE(model);
    Tensor x("x", ElementType::kFp64, {1});
    x.allocate<double>(1)[0] = 1;
    std::vector<Tensor> tensors;
    tensors.push_back(std::move(x));
    auto inputs = (*model)->binding->bind(std::move(tensors));
    EXPECT_TRUE(inputs);
    const auto answer = sync_wait(server.endpoints.predict(*model, *std::move(inputs)));
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer->outputs()[0].as<double>()[0], (*model)->identity->version == "1" ? 11 : 21);
    return (*model)->identity->version;
  };
  EXPECT_EQ(version_of("anyone"), "1");  // what is loaded answers nothing by that
  ASSERT_TRUE(server.endpoints.set_arms(project, "e", {"r1", *loaded, 2'500, false, observer}));
  int canary = 0;
  for (int i = 0; i < 400; ++i) {
    const std::string entity = std::to_string(i);
    const bool expected = bucket_of("r1", entity) < 2'500;
    EXPECT_EQ(version_of(entity), expected ? "2" : "1");
    if (expected) ++canary;
  }
  EXPECT_EQ(observer->counts[static_cast<std::size_t>(Route::kCanary)], canary);
  EXPECT_GT(observer->counts[static_cast<std::size_t>(Route::kControl)], 0);
  EXPECT_EQ((*server.endpoints.find(project, "e"))->identity->version, "1");
  EXPECT_EQ((*server.endpoints.choose(project, "e", "1", "0"))->identity->version, "1");
  const auto other = server.endpoints.set_arms(project, "e", {"r2", *loaded, 1, false, observer});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kConflict);
  server.endpoints.clear_arms(project, "e", "r2");
  EXPECT_TRUE(server.endpoints.get(server.admin, "e")->arms);
  // All of it, and back: a swap of the routing each.
  ASSERT_TRUE(server.endpoints.set_arms(project, "e", {"r1", *loaded, kBuckets, false, observer}));
  EXPECT_EQ(version_of("anyone"), "2");
  EXPECT_EQ(version_of(""), "2");
  server.endpoints.clear_arms(project, "e", "r1");
  EXPECT_EQ(version_of("anyone"), "1");
  ASSERT_TRUE(server.log.flush());
  const auto listed = server.log.newest("default", "e", 1000);
  ASSERT_TRUE(listed);
  int logged = 0;
  for (const auto& prediction : listed->predictions) {
    if (prediction.route != "canary") continue;
    EXPECT_EQ(prediction.version, "2");
    ++logged;
  }
  EXPECT_EQ(logged, canary + 2);
}

TEST_F(EndpointsTest, A_shadow_is_asked_apart_and_dropped_before_it_holds_anyone_up) {
  Server server(folder_, source_);
  server.create_two();
  const auto& project = server.admin.project;
  const auto loaded = sync_wait(server.endpoints.load_candidate(project, "e", {"m", "", "2"}));
  ASSERT_TRUE(loaded);
  auto observer = std::make_shared<CountingObserver>();
  ASSERT_TRUE(server.endpoints.set_arms(project, "e", {"r1", *loaded, 0, true, observer}));
  const auto ask = [&](double value) {
    const auto model = server.endpoints.choose(project, "e", "", "");
    Tensor x("x", ElementType::kFp64, {1});
    x.allocate<double>(1)[0] = value;
    std::vector<Tensor> tensors;
    tensors.push_back(std::move(x));
    auto inputs = (*model)->binding->bind(std::move(tensors));
    const auto answer = sync_wait(server.endpoints.predict(*model, *std::move(inputs)));
    EXPECT_TRUE(answer);
    return answer ? answer->outputs()[0].as<double>()[0] : 0;
  };
  auto& shadowed = observer->counts[static_cast<std::size_t>(Route::kShadow)];
  EXPECT_EQ(ask(1), 11);
  while (shadowed < 1)
    std::this_thread::yield();
  EXPECT_EQ(observer->difference, 10);
  const auto answered = server.endpoints.get(server.admin, "e")->answered;
  EXPECT_EQ(answered, 1U);  // a shadow is no request of the endpoint
  // While the shadow's thread is held up, the live version answers on, and what does not fit into
  // the queue is dropped.
  using Runner = ConstantEngine::Runner;
  Runner::released = false;
  Runner::held_values = 7;
  for (int i = 0; i < 400; ++i)
    EXPECT_EQ(ask(i == 0 ? 7 : 1), i == 0 ? 17 : 11);
  EXPECT_GT(observer->dropped, 100);
  Runner::released = true;
  Runner::released.notify_all();
  while (shadowed + observer->dropped < 401)
    std::this_thread::yield();
  Runner::held_values = -7;
  server.endpoints.clear_arms(project, "e", "r1");
  ASSERT_TRUE(server.log.flush());
  const auto listed = server.log.newest("default", "e", 1000);
  ASSERT_TRUE(listed);
  const auto shadows =
      std::ranges::count(listed->predictions, "shadow", &predictions::Prediction::route);
  EXPECT_EQ(shadows, shadowed);
}

}  // namespace
}  // namespace strata::platform::deployment
