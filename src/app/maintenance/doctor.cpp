#include "app/maintenance/doctor.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "app/data_dir.hpp"
#include "app/serve.hpp"
#include "base/text.hpp"
#include "runtime/dynamic_library.hpp"
#include "storage/compute/compute.hpp"

namespace strata::app {

namespace {

namespace fs = std::filesystem;
using State = Diagnosis::State;

constexpr std::uint64_t kLittleSpace = 10ULL << 30;
constexpr std::uint64_t kTooLittleSpace = 512ULL << 20;
constexpr rlim_t kFewFiles = 4096;

Diagnosis look_at_data(const std::string& data) {
  std::error_code fault;
  fs::path existing = data;
  while (!fs::exists(existing, fault) && existing.has_parent_path() &&
         existing != existing.parent_path())
    existing = existing.parent_path();
  const bool there = existing == fs::path(data);
  if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    return {"data directory", State::kBad,
            fmt::format("{} cannot be written by this user", existing.string())};
  }
  if (!there) return {"data directory", State::kGood, data + " will be made at the first start"};
  return {"data directory", State::kGood, data};
}

Diagnosis look_at_space(const std::string& data) {
  std::error_code fault;
  fs::path existing = data;
  while (!fs::exists(existing, fault) && existing != existing.parent_path())
    existing = existing.parent_path();
  struct statvfs space{};
  if (::statvfs(existing.c_str(), &space) != 0)
    return {"disk space", State::kWarning, std::strerror(errno)};
  const auto free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  const std::string text = show_bytes(free) + " free for the data directory";
  if (free < kTooLittleSpace) return {"disk space", State::kBad, text};
  return {"disk space", free < kLittleSpace ? State::kWarning : State::kGood, text};
}

// Engines are opened when they are first needed, so a missing one shows late.
Diagnosis look_at_engine(const std::string& what, const std::string& file) {
  const std::string path = engine_libraries() + "/" + file;
  if (::access(path.c_str(), R_OK) != 0)
    return {what, State::kBad, path + " is missing; make build brings it"};
  const auto library = DynamicLibrary::open(path);
  if (!library) return {what, State::kBad, library.error().message};
  return {what, State::kGood, fs::path(path).lexically_normal().string()};
}

Diagnosis look_at_port(const std::string& key, const std::string& address) {
  const auto colon = address.rfind(':');
  const auto port = to_int(address.substr(colon + 1)).value_or(0);
  std::string host = address.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  const std::string what = "address " + key;
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, host.c_str(), &place.sin_addr) != 1)
    return {what, State::kGood, address + " (not tried: no IPv4 address)"};
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  const bool bound = ::bind(probe, reinterpret_cast<const sockaddr*>(&place), sizeof(place)) == 0;
  const int number = errno;
  ::close(probe);
  if (bound) return {what, State::kGood, address + " is free"};
  return {what, State::kBad,
          fmt::format("{}: {}; choose another with --{}", address, std::strerror(number), key)};
}

void look_at_settings(const SettingSources& sources, std::vector<Diagnosis>& out) {
  SystemFiles files;
  const auto loaded = load_settings(files, sources);
  if (!loaded) {
    out.push_back({"settings", State::kBad, loaded.error().message});
    return;
  }
  out.push_back({"settings", State::kGood, loaded->file.empty() ? "no file" : loaded->file});
  if (const auto running = read_endpoints(loaded->data)) {
    out.push_back({"server", State::kGood, "ready at " + running->http});
    return;
  }
  if (server_holds(loaded->data)) {
    out.push_back({"server", State::kWarning,
                   "starting or stopping; " + loaded->data + "/logs/server.log says what it does"});
    return;
  }
  out.push_back({"server", State::kGood, "none runs on this data directory"});
  for (const auto* key : {"http", "s3"})
    out.push_back(look_at_port(key, loaded->values.text(key)));
  for (const auto* key : {"tls.certificate", "tls.private_key"}) {
    const auto& path = loaded->values.text(key);
    if (!path.empty() && ::access(path.c_str(), R_OK) != 0)
      out.push_back({key, State::kBad, path + ": " + std::strerror(errno)});
  }
}

Diagnosis look_at_clock() {
  timex clock{};
  const int state = ::adjtimex(&clock);
  if (state < 0 || (clock.status & STA_UNSYNC) != 0 || state == TIME_ERROR) {
    return {"clock", State::kWarning,
            "nothing keeps it in time (NTP); S3 clients are refused when they differ by 15 "
            "minutes"};
  }
  return {"clock", State::kGood, "kept in time"};
}

Diagnosis look_at_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::string text = fmt::format("{} may be open at a time", limit.rlim_cur);
  if (limit.rlim_cur >= kFewFiles) return {"open files", State::kGood, text};
  return {"open files", State::kWarning, text + "; raise it with ulimit -n 65536"};
}

Diagnosis look_for_program(const std::string& name, const std::string& for_what) {
  const char* const path = std::getenv("PATH");
  for (const auto& folder : split(path != nullptr ? path : "", ':')) {
    const std::string file = folder + "/" + name;
    if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return {name, State::kGood, file};
  }
  return {name, State::kWarning, "not found; " + for_what};
}

}  // namespace

std::string_view state_name(State state) {
  switch (state) {
    case State::kGood:
      return "ok";
    case State::kWarning:
      return "warning";
    case State::kBad:
      return "bad";
  }
  return "bad";
}

std::vector<Diagnosis> diagnose(const SettingSources& sources) {
  const std::string data = absolute_data_dir(sources.data);
  std::vector<Diagnosis> out;
  look_at_settings(sources, out);
  out.push_back(look_at_data(data));
  out.push_back(look_at_space(data));
  out.push_back(look_at_engine("SQL engine", "libduckdb.so"));
  out.push_back(look_at_engine("LightGBM models", "lib_lightgbm.so"));
  // XGBoost's library asks for this one by name, so it is opened first.
  [[maybe_unused]] const auto openmp =
      DynamicLibrary::open(engine_libraries() + "/libgomp-e985bcbb.so.1.0.0");
  out.push_back(look_at_engine("XGBoost models", "libxgboost.so"));
  out.push_back(look_at_engine("ONNX models", "libonnxruntime.so.1"));
  const int landlock = storage::compute::landlock_version();
  if (landlock > 0) {
    out.push_back({"Landlock", State::kGood, fmt::format("version {}", landlock)});
  } else {
    out.push_back({"Landlock", State::kWarning,
                   "this kernel has none, or it is switched off: only the SQL engine's own "
                   "settings keep statements to their files"});
  }
  out.push_back(look_at_clock());
  out.push_back(look_at_files());
  out.push_back(look_for_program("python3", "steps of pipelines that run Python need it"));
  out.push_back(look_for_program("git", "MLflow records commits with it"));
  return out;
}

}  // namespace strata::app
