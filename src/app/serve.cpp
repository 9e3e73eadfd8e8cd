#include "app/serve.hpp"

#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "app/compose/parts.hpp"
#include "app/core.hpp"
#include "app/data_dir.hpp"
#include "base/log.hpp"
#include "doors/http/openapi.hpp"
#include "doors/http/server.hpp"
#include "doors/rest/answers.hpp"
#include "doors/rest/rest.hpp"
#include "engines/sqlite/sqlite_records.hpp"

namespace strata::app {

namespace {

constexpr std::chrono::milliseconds kGrace{3500};

void raise_signals_in_nobody() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

// Blocks until the process is asked to end.
void wait_for_signal() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, number);
  int number = 0;
  do {
    sigwait(&set, &number);
  } while (number == SIGHUP);  // a closed terminal must not end a server
}

Result<log::Level> parse_level(const std::string& text) {
  if (text == "debug") return log::Level::kDebug;
  if (text == "info") return log::Level::kInfo;
  if (text == "warn") return log::Level::kWarn;
  if (text == "error") return log::Level::kError;
  return invalid("log-level",
                 fmt::format("'{}' is no level; use debug, info, warn or error", text));
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
  explicit Application(const ServeOptions& options) : options_(options) {}
  ~Application() { stop(); }

  Status start() {
    STRATA_TRY(prepare_data());
    STRATA_TRY(open_kernel());
    STRATA_TRY(build_parts());
    STRATA_TRY(open_ports());
    for (auto& part : parts_)
      STRATA_TRY(part->start());
    ready_.store(true);
    return announce();
  }

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
    if (options_.data.empty() || options_.data.front() != '/') {
      return invalid("data", fmt::format("'{}' must be an absolute path", options_.data));
    }
    STRATA_TRY(files_.make_dirs(options_.data + "/run"));
    auto lock = FileLock::acquire(options_.data + "/run/lock");
    if (!lock && lock.error().code == Code::kConflict) {
      return Error(Code::kConflict,
                   fmt::format("another server runs on {}; stop it first: strata stop --data {}",
                               options_.data, options_.data));
    }
    if (!lock) return std::move(lock).error();
    lock_.emplace(*std::move(lock));
    STRATA_TRY(files_.replace(options_.data + "/run/server.pid", std::to_string(::getpid()), 0600));
    return open_log();
  }

  Status open_log() {
    const auto level = parse_level(options_.log_level);
    if (!level) return level.error();
    STRATA_TRY(files_.make_dirs(options_.data + "/logs"));
    auto file = files_.append_to(options_.data + "/logs/server.log");
    if (!file) return std::move(file).error();
    struct LogFile {
      std::mutex mutex;
      std::unique_ptr<File> file;
      std::string line;  // kept, so that a line costs no allocation
    };
    auto sink = std::make_shared<LogFile>();
    sink->file = *std::move(file);
    log::install(
        [sink](std::string_view line) {
          const std::lock_guard lock(sink->mutex);
          sink->line.assign(line).push_back('\n');
          const auto written = sink->file->append(sink->line);
          if (!written) std::fprintf(stderr, "strata: log: %s\n", written.error().message.c_str());
        },
        *level);
    return {};
  }

  Status open_kernel() {
    auto records = engines::sqlite::SqliteRecords::open(options_.data + "/records.db", 3);
    if (!records) return std::move(records).error();
    records_ = *std::move(records);
    auto key = master_key(files_, random_, options_.data + "/master.key");
    if (!key) return std::move(key).error();
    audit_ = std::make_unique<kernel::Audit>(*records_, clock_);
    events_ = std::make_unique<kernel::EventBus>(*records_, clock_);
    lineage_ = std::make_unique<kernel::Lineage>(*records_, clock_);
    const auto hook = [this](kernel::Writer& w, const kernel::Caller& by, std::string_view action,
                             std::string_view target) {
      return audit_->record(w, by, action, target);
    };
    identity_ =
        std::make_unique<kernel::Identity>(*records_, clock_, random_, *std::move(key), hook);
    for (const auto migrations : {kernel::Identity::migrations(), kernel::Audit::migrations(),
                                  kernel::EventBus::migrations(), kernel::Lineage::migrations()}) {
      STRATA_TRY(records_->migrate(migrations));
    }
    STRATA_TRY(identity_->load());
    return ensure_admin();
  }

  // The local admin's token is made once and kept in a file that only the server's user can read.
  Status ensure_admin() {
    const auto known = read_admin(files_, options_.data);
    if (known && identity_->authenticate(known->token).ok()) return {};
    if (!known && known.error().code != Code::kNotFound) return known.error();
    kernel::Caller by = identity_->system_caller();
    kernel::TokenRequest request;
    request.user_name = "admin";
    const auto issued = sync_wait(identity_->create_token(by, request));
    if (!issued) return issued.error();
    return write_admin(files_, options_.data,
                       {issued->token, issued->info.access_key_id, issued->secret_access_key});
  }

  Status build_parts() {
    loops_ = std::make_unique<LoopGroup>(
        std::max(1U, std::min(8U, std::thread::hardware_concurrency())));
    core_.emplace(Core{{options_.data, executable_path(), engine_libraries()},
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
    rest_.add(doors::rest::identity_routes(*identity_, *audit_));
    auto parts = make_parts(*core_, rest_);
    if (!parts) return std::move(parts).error();
    parts_ = *std::move(parts);
    return {};
  }

  Status open_ports() {
    STRATA_TRY(http_router_.add(rest_));
    bool any_s3 = false;
    for (auto& part : parts_) {
      for (auto [port, door] : part->doors()) {
        any_s3 = any_s3 || port == Port::kS3;
        STRATA_TRY((port == Port::kS3 ? s3_router_ : http_router_).add(*door));
      }
    }
    http_pipeline_.emplace(http_router_, *identity_, clock_, random_, metrics_, "http");
    http_server_ = make_server(*http_pipeline_, options_.http);
    STRATA_TRY(http_server_->start());
    if (!any_s3) return {};
    s3_pipeline_.emplace(s3_router_, *identity_, clock_, random_, metrics_, "s3");
    s3_server_ = make_server(*s3_pipeline_, options_.s3);
    return s3_server_->start();
  }

  std::unique_ptr<http::Server> make_server(http::Pipeline& pipeline, const std::string& address) {
    http::ServerOptions options;
    options.address = address;
    options.certificate = options_.tls_certificate;
    options.private_key = options_.tls_private_key;
    return std::make_unique<http::Server>(*loops_, pool_, pipeline, clock_, metrics_, options);
  }

  static std::string url_of(const http::Server& server) {
    return (server.secure() ? "https://" : "http://") + server.address();
  }

  void withdraw() {
    if (const auto gone = files_.remove(options_.data + "/run/endpoints.json"); !gone) {
      log::warn("serve.endpoints", Json::object({{"error", gone.error().message}}));
    }
  }

  Status announce() {
    Endpoints endpoints;
    endpoints.http = url_of(*http_server_);
    if (s3_server_) endpoints.s3 = url_of(*s3_server_);
    STRATA_TRY(write_endpoints(files_, options_.data, endpoints));
    std::printf(
        "Strata %s is ready.\n  UI and APIs  %s\n  S3           %s\n  data         %s\n"
        "Set up this shell for all stock clients:  eval \"$(strata env --data %s)\"\n",
        STRATA_VERSION, endpoints.http.c_str(), endpoints.s3.c_str(), options_.data.c_str(),
        options_.data.c_str());
    if (const auto admin = read_admin(files_, options_.data); admin && ::isatty(1) != 0) {
      std::printf("Open the UI as admin:  %s/#token=%s\n", endpoints.http.c_str(),
                  admin->token.c_str());
    }
    std::fflush(stdout);
    log::info("serve.ready", Json::object({{"http", endpoints.http}, {"s3", endpoints.s3}}));
    return {};
  }

  ServeOptions options_;
  SystemClock clock_;
  SystemRandom random_;
  SystemFiles files_;
  metrics::Registry metrics_;
  std::optional<FileLock> lock_;
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
  std::optional<http::Pipeline> http_pipeline_;
  std::optional<http::Pipeline> s3_pipeline_;
  std::unique_ptr<http::Server> http_server_;
  std::unique_ptr<http::Server> s3_server_;
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

Status serve(const ServeOptions& options) {
  raise_signals_in_nobody();
  Application application(options);
  STRATA_TRY(application.start());
  wait_for_signal();
  application.stop();
  return {};
}

}  // namespace strata::app
