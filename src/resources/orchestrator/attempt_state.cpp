#include "resources/orchestrator/attempt_state.hpp"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.hpp"

namespace strata::resources::orchestrator {
namespace {

// Files of /proc say 0 bytes and are read to their end.
std::optional<std::string> read_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string out;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = read(fd, buffer, sizeof buffer)) > 0) {
    out.append(buffer, static_cast<std::size_t>(count));
  }
  close(fd);
  if (count < 0) return std::nullopt;
  return out;
}

const std::string& this_boot() {
  static const std::string boot =
      std::string(trim(read_file("/proc/sys/kernel/random/boot_id").value_or("unknown")));
  return boot;
}

struct Stat {
  char state = 'X';
  std::uint64_t start_ticks = 0;
};

std::optional<Stat> stat_of(pid_t pid) {
  const auto text = read_file(fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  // The name in parentheses may contain anything, also blanks and parentheses.
  const auto end = text->rfind(')');
  if (end == std::string::npos) return std::nullopt;
  const auto fields = split(trim(std::string_view(*text).substr(end + 1)), ' ');
  if (fields.size() < 20) return std::nullopt;
  const auto ticks = to_int(fields[19]);
  if (!ticks) return std::nullopt;
  return Stat{fields[0][0], static_cast<std::uint64_t>(*ticks)};
}

std::string path_of(const std::string& directory) {
  return directory + "/state";
}

}  // namespace

std::optional<ProcessIdentity> ProcessIdentity::of(pid_t pid) {
  const auto stat = stat_of(pid);
  if (!stat) return std::nullopt;
  return ProcessIdentity{pid, stat->start_ticks, this_boot()};
}

bool ProcessIdentity::alive() const {
  if (pid <= 0 || boot != this_boot()) return false;
  const auto stat = stat_of(pid);
  return stat && stat->start_ticks == start_ticks && stat->state != 'Z' && stat->state != 'X';
}

Json ProcessIdentity::to_json() const {
  return Json::object({{"pid", pid}, {"start", start_ticks}, {"boot", boot}});
}

ProcessIdentity ProcessIdentity::from_json(const Json& json) {
  return {static_cast<pid_t>(json.integer("pid")),
          static_cast<std::uint64_t>(json.integer("start")), json.text("boot")};
}

Status make_directories(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) return from_errno(failed.value(), "mkdir", path);
  return {};
}

Status sync_directory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return from_errno(errno, "open", path);
  const int failed = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (failed != 0) return from_errno(failed, "fsync", path);
  return {};
}

Result<AttemptState> AttemptState::claim(const std::string& directory) {
  const int fd =
      open(path_of(directory).c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) {
    return Error(Code::kAlreadyExists, "the attempt has an owner already: " + directory);
  }
  if (fd < 0) return from_errno(errno, "open", path_of(directory));
  AttemptState state(fd, directory);
  const auto self = ProcessIdentity::of(getpid());
  if (!self) return internal("cannot read /proc/self/stat");
  STRATA_TRY(state.append(Json::object({{"claimed", self->to_json()}}), false));
  return state;
}

Result<AttemptState> AttemptState::reopen(const std::string& directory) {
  const int fd = open(path_of(directory).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) return from_errno(errno, "open", path_of(directory));
  AttemptState state(fd, directory);
  // A torn line must not swallow the next one.
  if (write(fd, "\n", 1) != 1) return from_errno(errno, "write", path_of(directory));
  return state;
}

Result<std::optional<AttemptState::Content>> AttemptState::read(const std::string& directory) {
  const auto text = read_file(path_of(directory));
  if (!text) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<Content>();
    return from_errno(errno, "read", path_of(directory));
  }
  Content content;
  for (const std::string& line : split(*text, '\n')) {
    const auto json = parse_json(line);
    if (!json) continue;
    if ((*json)["claimed"].is_object()) {
      content.owner = ProcessIdentity::from_json((*json)["claimed"]);
    }
    if ((*json)["started"].is_object()) {
      content.task = ProcessIdentity::from_json((*json)["started"]);
      content.started = Instant{json->integer("at")};
    }
    if ((*json)["exit"].is_object()) {
      content.exit = scheduler::exit_from_json((*json)["exit"]);
      content.finished = Instant{json->integer("at")};
    }
  }
  return std::optional<Content>(std::move(content));
}

AttemptState::AttemptState(AttemptState&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      directory_(std::move(other.directory_)) {}

AttemptState::~AttemptState() {
  if (fd_ >= 0) close(fd_);
}

Status AttemptState::append(const Json& line, bool sync) {
  const std::string text = line.dump() + "\n";
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = write(fd_, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return from_errno(errno, "write", path_of(directory_));
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  if (sync && fdatasync(fd_) != 0) return from_errno(errno, "fdatasync", path_of(directory_));
  return {};
}

Status AttemptState::write_started(const ProcessIdentity& task, Instant at) {
  STRATA_TRY(append(Json::object({{"started", task.to_json()}, {"at", at.micros}}), true));
  // The file's name must last as well as its content: its own folder and the task's above it.
  STRATA_TRY(sync_directory(directory_));
  return sync_directory(directory_ + "/..");
}

Status AttemptState::write_exit(const scheduler::Exit& exit, Instant at) {
  return append(Json::object({{"exit", exit_to_json(exit)}, {"at", at.micros}}), true);
}

}  // namespace strata::resources::orchestrator
