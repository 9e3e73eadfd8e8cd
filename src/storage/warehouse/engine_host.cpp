#include "storage/warehouse/engine_host.hpp"

#include <csignal>
#include <filesystem>

#include "base/log.hpp"

namespace strata::storage::warehouse {

using wire::sql_engine::Say;
namespace fs = std::filesystem;

struct EngineHost::Engine {
  Engine(ChildProcess child, MessageSocket line, std::string folder)
      : process(std::move(child)),
        control(std::move(line)),
        spool(std::move(folder)) {}

  std::mutex process_mutex;  // guards `process`
  ChildProcess process;
  MessageSocket control;
  std::string spool;
  // Guarded by the host's mutex.
  int sessions = 0;
  bool retired = false;
  std::chrono::steady_clock::time_point used;
};

namespace {

constexpr auto kReplaceGrace = std::chrono::seconds(30);
constexpr auto kStopGrace = std::chrono::milliseconds(2500);
constexpr int kControlDescriptor = 3;

}  // namespace

EngineHost::EngineHost(EngineHostOptions options, BlockingPool& pool, Random& random,
                       const Clock& clock, OnCatalog on_catalog)
    : options_(std::move(options)),
      pool_(pool),
      random_(random),
      clock_(clock),
      on_catalog_(std::move(on_catalog)) {}

EngineHost::~EngineHost() {
  stop();
}

Task<Result<EngineHost::Session>> EngineHost::session() {
  auto open = [this] {
    return open_session();
  };
  co_return co_await pool_.run(open);
}

Result<EngineHost::Session> EngineHost::open_session() {
  auto ends = MessageSocket::pair();
  if (!ends) return std::move(ends).error();
  // Twice: an engine that died unnoticed shows when the session is sent to it.
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto engine = start();
    if (!engine) return std::move(engine).error();
    const auto sent =
        (*engine)->control.send(static_cast<char>(Say::kSession), "", ends->second.descriptor());
    if (sent.ok()) {
      std::string spool = (*engine)->spool;
      return Session{std::move(ends->first), std::move(*engine), std::move(spool)};
    }
    Session lost{std::move(ends->first), std::move(*engine), ""};
    release(lost, true);
    ends = MessageSocket::pair();
    if (!ends) return std::move(ends).error();
  }
  return Error(Code::kUnavailable, "the SQL engine ends as soon as it has started");
}

bool EngineHost::is_alive(Engine& engine) {
  const std::lock_guard lock(engine.process_mutex);
  auto ended = engine.process.wait_for(std::chrono::milliseconds(0));
  return ended.ok() && !ended->has_value();
}

// The running engine with one more session counted, or a new one.
Result<std::shared_ptr<EngineHost::Engine>> EngineHost::start() {
  const std::lock_guard starting(starting_);
  std::shared_ptr<Engine> old;
  {
    std::unique_lock lock(mutex_);
    if (stopped_) return Error(Code::kUnavailable, "the server is stopping");
    if (engine_ && !engine_->retired && is_alive(*engine_)) {
      ++engine_->sessions;
      return engine_;
    }
    old = std::exchange(engine_, nullptr);
    // The database is held by one process: what still runs in the old one ends first.
    if (old)
      released_.wait_for(lock, kReplaceGrace,
                         [&] { return old->sessions == 0 || !is_alive(*old); });
  }
  if (old) end(old, kReplaceGrace);

  const std::string spools = options_.folder + "/spool";
  const std::string spool = spools + "/" + random_.hex(16);
  std::error_code fault;
  fs::remove_all(options_.data + "/" + spools, fault);  // what a killed engine left
  fs::create_directories(options_.data + "/" + spool, fault);
  if (fault)
    return Error(Code::kUnavailable, "the SQL engine's folder cannot be made: " + fault.message());
  auto ends = MessageSocket::pair();
  if (!ends) return std::move(ends).error();
  ProcessSpec spec;
  spec.argv = options_.command;
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"--socket-fd", std::to_string(kControlDescriptor)},
           {"--data", options_.data},
           {"--folder", options_.folder},
           {"--spool", spool},
           {"--memory-mb", std::to_string(options_.memory_mb)},
           {"--threads", std::to_string(options_.threads)}}) {
    spec.argv.push_back(name);
    spec.argv.push_back(value);
  }
  {
    const std::lock_guard lock(mutex_);
    for (const auto& folder : folders_) {
      fs::create_directories(options_.data + "/" + folder, fault);
      spec.argv.insert(spec.argv.end(), {"--view-folder", folder});
    }
  }
  spec.descriptors = {{ends->second.descriptor(), kControlDescriptor}};
  auto process = ChildProcess::spawn(spec);
  if (!process) return process.error().wrap("the SQL engine cannot be started");
  auto engine = std::make_shared<Engine>(std::move(*process), std::move(ends->first), spool);
  {
    const MessageSocket theirs = std::move(ends->second);
  }  // so that our end sees theirs close
  if (auto ready = wait_until_ready(*engine); !ready) {
    end(engine, std::chrono::milliseconds(0));
    return std::move(ready).error();
  }
  const std::lock_guard lock(mutex_);
  if (stopped_) return Error(Code::kUnavailable, "the server is stopping");
  engine->sessions = 1;
  engine->used = clock_.steady();
  engine_ = engine;
  log::info("warehouse.engine_started",
            Json::object({{"pid", static_cast<std::int64_t>(engine->process.pid())}}));
  return engine;
}

Status EngineHost::wait_until_ready(Engine& engine) {
  if (!engine.control.readable(static_cast<int>(options_.start_limit.count()))) {
    return Error(Code::kUnavailable, "the SQL engine did not start in time");
  }
  std::vector<wire::sql_engine::CommitRecord> unsettled;
  auto message = engine.control.receive();
  for (; message && message->kind == static_cast<char>(Say::kCommitted);
       message = engine.control.receive()) {
    auto record = wire::sql_engine::decode_commit_record(message->payload);
    if (record) unsettled.push_back(std::move(*record));
    // The catalog still tells what has changed, and SQL goes on.
    if (!record) log::error("warehouse.commit", Json::object({{"error", record.error().message}}));
  }
  if (!message) return Error(Code::kUnavailable, "the SQL engine ended while it started");
  if (message->kind != static_cast<char>(Say::kReady)) {
    const auto failure = wire::sql_engine::decode_failure(message->payload);
    return Error(Code::kUnavailable, failure ? failure->message : "the SQL engine did not start");
  }
  auto tables = wire::sql_engine::decode_tables(message->payload);
  if (!tables) return std::move(tables).error();
  auto known = on_catalog_(*tables, unsettled);
  if (!known) return std::move(known).error();
  STRATA_TRY(engine.control.send(static_cast<char>(Say::kKnown), encode(*known)));
  // Answered before a session is sent: a descriptor must not come together with other messages.
  auto learned = engine.control.receive();
  if (!learned || learned->kind != static_cast<char>(Say::kReady)) {
    return Error(Code::kUnavailable, "the SQL engine ended while it started");
  }
  return {};
}

void EngineHost::release(Session& session, bool recycle) {
  session.socket.shutdown();
  const std::lock_guard lock(mutex_);
  if (!session.engine) return;
  --session.engine->sessions;
  session.engine->used = clock_.steady();
  session.engine->retired = session.engine->retired || recycle;
  session.engine = nullptr;
  released_.notify_all();
}

std::string EngineHost::epitaph(const std::shared_ptr<Engine>& engine) {
  const std::lock_guard lock(engine->process_mutex);
  auto ended = engine->process.wait_for(std::chrono::milliseconds(1000));
  if (!ended.ok() || !ended->has_value()) return "closed the query's connection";
  return (*ended)->to_string();
}

void EngineHost::kill(const std::shared_ptr<Engine>& engine) {
  const std::lock_guard lock(engine->process_mutex);
  if (auto killed = engine->process.signal(SIGKILL); !killed) {
    log::warn("warehouse.engine_kill", Json::object({{"error", killed.error().message}}));
  }
}

void EngineHost::end(const std::shared_ptr<Engine>& engine, std::chrono::milliseconds grace) {
  // When it cannot be told any more, it has ended already.
  (void)engine->control.send(static_cast<char>(Say::kQuit), "");
  engine->control.shutdown();
  const std::lock_guard lock(engine->process_mutex);
  auto ended = engine->process.wait_for(grace);
  if (ended.ok() && ended->has_value()) return;
  const auto killed = engine->process.signal(SIGKILL);
  const auto waited = engine->process.wait();
  if (!killed.ok() || !waited.ok()) log::error("warehouse.engine_stuck");
}

void EngineHost::end_if_idle() {
  const std::unique_lock starting(starting_, std::try_to_lock);
  if (!starting) return;
  std::shared_ptr<Engine> idle;
  {
    const std::lock_guard lock(mutex_);
    if (!engine_ || engine_->sessions > 0) return;
    if (clock_.steady() - engine_->used < options_.idle_limit) return;
    idle = std::exchange(engine_, nullptr);
  }
  end(idle, kReplaceGrace);
  log::info("warehouse.engine_idle");
}

void EngineHost::retire() {
  const std::lock_guard starting(starting_);
  std::shared_ptr<Engine> idle;
  {
    const std::lock_guard lock(mutex_);
    if (!engine_) return;
    engine_->retired = true;
    if (engine_->sessions > 0) return;
    idle = std::exchange(engine_, nullptr);
  }
  end(idle, kReplaceGrace);
}

void EngineHost::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  const std::lock_guard starting(starting_);
  std::shared_ptr<Engine> last;
  {
    const std::lock_guard lock(mutex_);
    last = std::exchange(engine_, nullptr);
  }
  if (last) end(last, kStopGrace);
}

void EngineHost::allow_folder(std::string relative) {
  const std::lock_guard lock(mutex_);
  folders_.push_back(std::move(relative));
}

std::optional<pid_t> EngineHost::pid() {
  const std::lock_guard lock(mutex_);
  if (!engine_) return std::nullopt;
  return engine_->process.pid();
}

}  // namespace strata::storage::warehouse
