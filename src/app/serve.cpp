#include "app/serve.hpp"

#include <csignal>
#include <cstdio>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "app/compose/parts.hpp"
#include "app/core.hpp"
#include "app/data_dir.hpp"
#include "base/log.hpp"
#include "doors/governance/audit_routes.hpp"
#include "doors/http/openapi.hpp"
#include "doors/http/server.hpp"
#include "doors/http2/http2.hpp"
#include "doors/rest/answers.hpp"
#include "doors/rest/rest.hpp"
#include "doors/s3/s3.hpp"
#include "engines/sqlite/sqlite_records.hpp"
#include "runtime/logs/log_file.hpp"
#include "storage/compute/compute.hpp"

namespace strata::app {

namespace {

constexpr std::chrono::milliseconds kGrace{3500};
// For the process before this one to go down when it was just killed.
constexpr std::chrono::milliseconds kLockWait{2000};

void raise_signals_in_nobody() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

// Blocks until the process is asked to end. A closed terminal's SIGHUP must not end a server; who
// sends one on purpose has renamed its log.
void wait_for_signal(LogFile& log) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, number);
  int number = 0;
  while (sigwait(&set, &number) == 0 && number == SIGHUP)
    log.reopen();
}

log::Level level_of(const std::string& name) {
  if (name == "debug") return log::Level::kDebug;
  if (name == "warn") return log::Level::kWarn;
  return name == "error" ? log::Level::kError : log::Level::kInfo;
}

// Bytes that bodies of requests may take; 0 for what fits the machine.
std::uint64_t body_memory(std::int64_t set) {
  constexpr std::uint64_t kLeast = 256U << 20U;
  if (set > 0) return static_cast<std::uint64_t>(set);
  return std::max(kLeast, storage::compute::usable_memory() / 8);
}

Result<std::string> master_key(Files& files, Random& random, const std::string& path) {
  auto known = files.read_all(path);
  if (known || known.error().code != Code::kNotFound) return known;
  const std::string fresh = random.bytes(32);
  STRATA_TRY(files.replace(path, fresh, 0600));
  return fresh;
}

// Everything the server is made of, in the order of its construction; destroyed in reverse.
class Application {
 public:
  explicit Application(const ServerSettings& settings)
      : settings_(settings),
        data_(settings.data) {}
  ~Application() { stop(); }

  Status start() {
    STRATA_TRY(prepare_data());
    STRATA_TRY(open_kernel());
    STRATA_TRY(build_parts());
    STRATA_TRY(open_ports());
    for (auto& part : parts_)
      STRATA_TRY(part->start());
    endpoints_.http = url_of(*http_server_);
    if (s3_server_) endpoints_.s3 = url_of(*s3_server_);
    ready_.store(true);
    return announce();
  }

  LogFile& log() { return *log_; }

  void stop() {
    if (stopped_) return;
    stopped_ = true;
    const bool announced = ready_.exchange(false);  // else the file is another server's
    if (announced) withdraw();
    for (auto& part : parts_)
      part->drain();
    if (http_server_) http_server_->stop(kGrace);
    if (s3_server_) s3_server_->stop(std::chrono::milliseconds(500));
    for (auto part = parts_.rbegin(); part != parts_.rend(); ++part)
      (*part)->stop();
    scope_.join();
    loops_.reset();
    pool_.stop();
  }

 private:
  Status prepare_data() {
    STRATA_TRY(make_data_dir());
    auto lock = FileLock::acquire(data_ + "/run/lock", kLockWait);
    if (!lock && lock.error().code == Code::kConflict) {
      return Error(Code::kConflict,
                   fmt::format("another server runs on {}; stop it first: strata stop --data {}",
                               data_, data_));
    }
    if (!lock) return std::move(lock).error();
    lock_.emplace(*std::move(lock));
    // Files that a killed server had made and not yet synced, such as the log of the records, take
    // more writes: their names must be durable before those are.
    STRATA_TRY(files_.sync_names(data_));
    // A server that was killed left it, and scripts take it for the sign that this one is ready.
    STRATA_TRY(remove_endpoints(files_, data_));
    STRATA_TRY(files_.replace(data_ + "/run/server.pid", std::to_string(::getpid()), 0600));
    return open_log();
  }

  Status make_data_dir() {
    auto made = files_.make_dirs(data_);
    if (made) made = files_.make_dirs(data_ + "/run");
    if (made) return made;
    return made.error().wrap(
        fmt::format("cannot keep a server's data in {}; name a directory that this user may write, "
                    "by --data or STRATA_DATA",
                    data_));
  }

  Status open_log() {
    STRATA_TRY(files_.make_dirs(data_ + "/logs"));
    const auto& values = settings_.values;
    auto file = LogFile::open(data_ + "/logs/server.log",
                              static_cast<std::uint64_t>(values.integer("log.size")),
                              [](const Error& error) {
                                std::fprintf(stderr, "strata: log: %s\n", error.message.c_str());
                              });
    if (!file) return std::move(file).error();
    log_ = *std::move(file);
    log::install([log = log_](std::string_view line) { log->write(line); },
                 level_of(values.text("log.level")));
    return {};
  }

  Status open_kernel() {
    auto records = engines::sqlite::SqliteRecords::open(data_ + "/records.db", 3);
    if (!records) return std::move(records).error();
    records_ = *std::move(records);
    auto key = master_key(files_, random_, data_ + "/master.key");
    if (!key) return std::move(key).error();
    audit_ = std::make_unique<kernel::Audit>(*records_, clock_);
    events_ = std::make_unique<kernel::EventBus>(*records_, clock_);
    lineage_ = std::make_unique<kernel::Lineage>(*records_, clock_);
    const auto hook = [this](kernel::Writer& w, const kernel::Caller& by, std::string_view action,
                             std::string_view target, const Json& detail) {
      return audit_->record(w, by, action, target, detail);
    };
    identity_ =
        std::make_unique<kernel::Identity>(*records_, clock_, random_, *std::move(key), hook);
    for (const auto migrations : {kernel::Identity::migrations(), kernel::Audit::migrations(),
                                  kernel::EventBus::migrations(), kernel::Lineage::migrations()}) {
      STRATA_TRY(records_->migrate(migrations));
    }
    STRATA_TRY(audit_->seal());
    STRATA_TRY(identity_->load());
    return ensure_admin();
  }

  // The local admin's token is made once and kept in a file that only the server's user can read.
  Status ensure_admin() {
    identity_->on_revoked([this](kernel::TokenInfo revoked) { return renew_admin(revoked); });
    const auto known = read_admin(files_, data_);
    if (known && identity_->authenticate(known->token).ok()) return {};
    if (!known && known.error().code != Code::kNotFound) return known.error();
    return sync_wait(make_admin());
  }

  // To read that file is the proof of being the local admin, whatever token it holds: revoking that
  // one gives the next, and locks nobody out.
  Task<Status> renew_admin(kernel::TokenInfo revoked) {
    const auto read = [&] {
      return read_admin(files_, data_);
    };
    const auto known = co_await pool_.run(read);
    if (!known && known.error().code == Code::kNotFound) co_return Status();
    if (known && known->access_key_id != revoked.access_key_id) co_return Status();
    const auto made = known ? co_await make_admin() : Status(known.error());
    if (made) co_return made;
    Error error = made.error().wrap(
        "the token is revoked, but it was the local admin's and has no successor yet; the next "
        "start of the server makes one");
    error.effect = Effect::kMaybe;
    co_return error;
  }

  Task<Status> make_admin() {
    const kernel::Caller by = identity_->system_caller();
    kernel::TokenRequest request;
    request.user_name = "admin";
    const auto issued = co_await identity_->create_token(by, request);
    if (!issued) co_return issued.error();
    const auto write = [&] {
      return write_admin(files_, data_,
                         {issued->token, issued->info.access_key_id, issued->secret_access_key});
    };
    co_return co_await pool_.run(write);
  }

  Status build_parts() {
    loops_ = std::make_unique<LoopGroup>(
        std::max(1U, std::min(8U, std::thread::hardware_concurrency())));
    const auto& values = settings_.values;
    core_.emplace(Core{
        {data_, executable_path(), engine_libraries()},
        {values.integer("sql.memory") >> 20, static_cast<int>(values.integer("sql.threads")),
         static_cast<int>(values.integer("tasks.running_per_user")),
         std::chrono::seconds(values.integer("endpoints.timeout")),
         values.text("python.interpreter"), values.text("python.index_url"),
         values.text("python.find_links"), values.text("python.environment"),
         values.integer("python.memory") >> 20, static_cast<int>(values.integer("python.spare"))},
        clock_,
        random_,
        files_,
        *loops_,
        pool_,
        scope_,
        metrics_,
        *records_,
        *identity_,
        *audit_,
        *events_,
        *lineage_});
    const auto readiness = [this]() -> Status {
      if (ready_.load()) return {};
      return Error(Code::kUnavailable, "the server is starting or stopping");
    };
    const auto document = [this] {
      return http::openapi_document(http_router_, doors::rest::answer_types());
    };
    rest_.add(doors::rest::operation_routes(metrics_, readiness, document));
    rest_.add(doors::rest::identity_routes(*identity_, *audit_, data_to_name(data_)));
    rest_.add(doors::rest::tenant_routes(*identity_));
    rest_.add(doors::governance::audit_routes(*audit_, &doors::rest::error_response));
    auto parts = make_parts(*core_, rest_);
    if (!parts) return std::move(parts).error();
    parts_ = *std::move(parts);
    return {};
  }

  // Neither of both is of use alone.
  Status check_tls() const {
    for (const auto& [has, lacks] : {std::pair{"tls.certificate", "tls.private_key"},
                                     std::pair{"tls.private_key", "tls.certificate"}}) {
      if (settings_.values.text(has).empty() || !settings_.values.text(lacks).empty()) continue;
      return invalid(
          lacks, fmt::format("{}: {} needs {} too: give --{}", settings_.values.value(has).where,
                             has, lacks,
                             std::string_view(lacks) == "tls.certificate" ? "tls-certificate"
                                                                          : "tls-private-key"));
    }
    return {};
  }

  // Says of a file that is wrong where it was named.
  Status start_server(http::Server& server) const {
    auto done = server.start();
    if (done || !done.error().field.starts_with("tls.")) return done;
    const auto& error = done.error();
    const auto& value = settings_.values.value(error.field);
    return invalid(error.field, fmt::format("{}: {}: {}", value.where, error.field, error.message));
  }

  // A client that was given the address of the other port is told the right one, in its own
  // protocol. Until the addresses are known it gets what any other would.
  void redirect_strays(const http::Door& s3) {
    http_pipeline_->on_stray([this, &s3](const http::Request& request, const http::Response&) {
      if (!ready_.load() || !doors::s3::is_signed_for_s3(request))
        return std::optional<http::Response>();
      const Error error(
          Code::kMalformed,
          fmt::format("this is the HTTP port; S3 is at {} (AWS_ENDPOINT_URL_S3)", endpoints_.s3));
      return std::optional(s3.error(error, request));
    });
    s3_pipeline_->on_stray([this](const http::Request& request, const http::Response& given) {
      const bool nothing = given.status == 404 || given.status == 405;
      if (!ready_.load() || !nothing || !doors::rest::is_for_api(request))
        return std::optional<http::Response>();
      const Error error(
          Code::kNotFound,
          fmt::format("this is the S3 port; Strata's API is at {} (STRATA_URL)", endpoints_.http));
      return std::optional(rest_.error(error, request));
    });
  }

  Status open_ports() {
    STRATA_TRY(check_tls());
    STRATA_TRY(http_router_.add(rest_));
    const http::Door* s3 = nullptr;
    for (auto& part : parts_) {
      for (auto [port, door] : part->doors()) {
        if (port == Port::kS3) s3 = door;
        STRATA_TRY((port == Port::kS3 ? s3_router_ : http_router_).add(*door));
      }
    }
    bodies_.emplace(body_memory(settings_.values.integer("limits.body_memory")), metrics_);
    http_pipeline_.emplace(http_router_, *identity_, *bodies_, clock_, random_, metrics_, "http");
    if (s3 != nullptr) {
      s3_pipeline_.emplace(s3_router_, *identity_, *bodies_, clock_, random_, metrics_, "s3");
      redirect_strays(*s3);
    }
    http_server_ = make_server(*http_pipeline_, "http");
    STRATA_TRY(start_server(*http_server_));
    if (s3 == nullptr) return {};
    s3_server_ = make_server(*s3_pipeline_, "s3");
    return start_server(*s3_server_);
  }

  std::unique_ptr<http::Server> make_server(http::Pipeline& pipeline, std::string_view key) {
    http::ServerOptions options;
    options.address = settings_.values.text(key);
    options.certificate = settings_.values.text("tls.certificate");
    options.private_key = settings_.values.text("tls.private_key");
    if (key == "http") options.http2 = &doors::http2::serve;
    return std::make_unique<http::Server>(*loops_, pool_, pipeline, clock_, metrics_, options);
  }

  // A server that listens on all addresses has none of them as its name: clients are given one that
  // they can reach and that the certificate holds.
  std::string url_of(const http::Server& server) const {
    const std::string address = server.address();
    const auto colon = address.rfind(':');
    std::string host = settings_.values.text("announce.host");
    if (host.empty()) host = address.substr(0, colon);
    if (host == "0.0.0.0" || host == "[::]") {
      host = server.certified_name();
      if (host.empty()) host = "127.0.0.1";
    }
    return (server.secure() ? "https://" : "http://") + host + address.substr(colon);
  }

  void withdraw() {
    if (const auto gone = remove_endpoints(files_, data_); !gone) {
      log::warn("serve.endpoints", Json::object({{"error", gone.error().message}}));
    }
    announced_.reset();
  }

  Status announce() {
    auto announced = write_endpoints(files_, data_, endpoints_);
    if (!announced) return std::move(announced).error();
    announced_.emplace(*std::move(announced));
    std::printf(
        "Strata %s is ready.\n  UI and APIs  %s\n  S3           %s\n  data         %s\n"
        "Set up this shell for all stock clients:  eval \"$(strata env --data %s)\"\n"
        "Sign a browser in as admin:               strata login-link --data %s\n",
        STRATA_VERSION, endpoints_.http.c_str(), endpoints_.s3.c_str(), data_.c_str(),
        data_.c_str(), data_.c_str());
    std::fflush(stdout);
    log::info("serve.ready", Json::object({{"http", endpoints_.http}, {"s3", endpoints_.s3}}));
    return {};
  }

  const ServerSettings& settings_;
  const std::string& data_;
  SystemClock clock_;
  SystemRandom random_;
  SystemFiles files_;
  metrics::Registry metrics_;
  std::optional<FileLock> lock_;
  std::shared_ptr<LogFile> log_;  // the sink holds it, too, for lines until the very end
  std::optional<FileLock> announced_;
  std::unique_ptr<engines::sqlite::SqliteRecords> records_;
  std::unique_ptr<kernel::Audit> audit_;
  std::unique_ptr<kernel::EventBus> events_;
  std::unique_ptr<kernel::Lineage> lineage_;
  std::unique_ptr<kernel::Identity> identity_;
  BlockingPool pool_{16};
  std::unique_ptr<LoopGroup> loops_;
  TaskScope scope_;
  std::optional<Core> core_;
  doors::rest::RestDoor rest_;
  std::vector<std::unique_ptr<Part>> parts_;
  http::Router http_router_;
  http::Router s3_router_;
  std::optional<http::BodyMemory> bodies_;
  std::optional<http::Pipeline> http_pipeline_;
  std::optional<http::Pipeline> s3_pipeline_;
  std::unique_ptr<http::Server> http_server_;
  std::unique_ptr<http::Server> s3_server_;
  Endpoints endpoints_;  // never written once ready_ is set
  std::atomic<bool> ready_{false};
  bool stopped_ = false;
};

}  // namespace

std::string executable_path() {
  std::string path(4096, '\0');
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return path;
}

std::string engine_libraries() {
  const std::string path = executable_path();
  const std::string dir = path.substr(0, path.rfind('/'));
  SystemFiles files;
  const std::string beside = dir + "/lib/strata";
  return files.exists(beside) ? beside : dir + "/../lib/strata";
}

Status serve(const ServerSettings& settings) {
  raise_signals_in_nobody();
  Application application(settings);
  STRATA_TRY(application.start());
  wait_for_signal(application.log());
  application.stop();
  return {};
}

}  // namespace strata::app
