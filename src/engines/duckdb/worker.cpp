#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engines/duckdb/confine.hpp"
#include "engines/duckdb/duckdb.hpp"
#include "engines/duckdb/session.hpp"
#include "runtime/pool.hpp"

namespace strata::engines::duckdb {

namespace {

using wire::sql_engine::Failure;
using wire::sql_engine::Say;

constexpr unsigned kGoodbyeSeconds = 10;
// Two threads for each query: one runs it, one listens. The server lets in far fewer at a time.
constexpr std::size_t kThreads = 64;

// When memory is short, this process goes before the server does.
void volunteer_for_the_oom_killer() {
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  [[maybe_unused]] const auto written =
      ::write(file, "500", 3);  // best effort: not every sandbox allows it
  ::close(file);
}

Result<std::unique_ptr<Engine>> start(const EngineOptions& options) {
  if (::chdir(options.data.c_str()) != 0) return from_errno(errno, "chdir", options.data);
  ::umask(0077);
  volunteer_for_the_oom_killer();
  std::vector<std::string> readable = options.view_folders;
  for (const auto* path :
       {"/proc", "/sys", "/dev/null", "/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo"}) {
    readable.emplace_back(path);
  }
  readable.push_back(options.library);
  // Beside the library itself, the loader reads what it needs.
  for (const auto* path : {"/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache"})
    readable.emplace_back(path);
  // Without Landlock the engine's own settings still keep SQL to its folders.
  if (auto confined = confine({options.folder}, readable);
      !confined && confined.error().code != Code::kUnsupported) {
    return std::move(confined).error();
  }
  return Engine::open(options);
}

// Tells of the tables that there are, and before it of commits that may not have been recorded.
Status introduce(const Engine& engine, MessageSocket& control) {
  auto connection = engine.connect();
  if (!connection) return std::move(connection).error();
  auto unsettled = engine.commits().unsettled(engine.ask(*connection));
  if (!unsettled) return std::move(unsettled).error();
  auto catalog = engine.catalog(*connection);
  if (!catalog) return std::move(catalog).error();
  for (const auto& record : *unsettled)
    STRATA_TRY(control.send(static_cast<char>(Say::kCommitted), record));
  return control.send(static_cast<char>(Say::kReady), encode(*catalog));
}

// Takes over the versions that the server knows, who has recorded all commits by now. A session
// comes only after it.
Status learn(Engine& engine, std::string_view payload) {
  auto known = wire::sql_engine::decode_versions(payload);
  if (!known) return std::move(known).error();
  auto connection = engine.connect();
  if (!connection) return std::move(connection).error();
  STRATA_TRY(engine.commits().raise(engine.ask(*connection), *known));
  return engine.commits().settle_all(engine.ask(*connection));
}

}  // namespace

int run_worker(int descriptor, const EngineOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGINT, SIG_IGN);  // Ctrl-C in a terminal reaches all of the group; the server decides
                              // when this process ends
  MessageSocket control(descriptor);
  auto engine = start(options);
  if (!engine) {
    // When this does not arrive either, the exit code tells.
    (void)control.send(static_cast<char>(Say::kFailed),
                       encode(Failure{engine.error().message, "fatal", 0, -1, true}));
    return 1;
  }
  if (auto introduced = introduce(**engine, control); !introduced) {
    (void)control.send(static_cast<char>(Say::kFailed),
                       encode(Failure{introduced.error().message, "fatal", 0, -1, true}));
    return 1;
  }
  BlockingPool threads(kThreads);
  while (true) {
    auto message = control.receive();
    if (!message || message->kind == static_cast<char>(Say::kQuit)) break;
    if (message->kind == static_cast<char>(Say::kKnown)) {
      if (!learn(**engine, message->payload)) return 1;
      if (!control.send(static_cast<char>(Say::kReady), "")) return 1;
      continue;
    }
    if (message->kind != static_cast<char>(Say::kSession) || message->descriptor < 0) continue;
    threads.submit([&engine, &threads, socket = MessageSocket(message->descriptor)]() mutable {
      serve_session(**engine, std::move(socket), threads);
    });
  }
  // The server has closed all sockets, which interrupts their statements. One that does not end is
  // not worth waiting for: the log is safe, and the next start replays it.
  ::alarm(kGoodbyeSeconds);
  threads.stop();
  const auto written = (*engine)->checkpoint();
  return written.ok() ? 0 : 1;
}

}  // namespace strata::engines::duckdb
