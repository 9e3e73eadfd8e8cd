#include "engines/duckdb/confine.hpp"

#include <cerrno>
#include <cstdint>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace strata::engines::duckdb {

namespace {

// The newest form of the kernel's struct; older headers lack the second member, older kernels take
// a shorter size.
struct Ruleset {
  std::uint64_t files;
  std::uint64_t network;
};
constexpr std::uint64_t kBindTcp = 1U << 0U;
constexpr std::uint64_t kConnectTcp = 1U << 1U;

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kAll =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | kRead |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

Status allow(int ruleset, const std::string& path, std::uint64_t access) {
  const int folder = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (folder < 0) return errno == ENOENT ? Status() : Status(from_errno(errno, "open", path));
  struct stat facts{};
  const bool is_folder = ::fstat(folder, &facts) == 0 && S_ISDIR(facts.st_mode);
  landlock_path_beneath_attr rule{};
  rule.allowed_access = is_folder ? access : access & LANDLOCK_ACCESS_FS_READ_FILE;
  rule.parent_fd = folder;
  const auto added =
      ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  const int number = errno;
  ::close(folder);
  if (added != 0) return from_errno(number, "landlock_add_rule", path);
  return {};
}

}  // namespace

Status confine(const std::vector<std::string>& writable, const std::vector<std::string>& readable) {
  const auto version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return Error(Code::kUnsupported, "this kernel has no Landlock");
  Ruleset rules{kAll, version >= 4 ? kBindTcp | kConnectTcp : 0};
  const int ruleset = static_cast<int>(::syscall(
      SYS_landlock_create_ruleset, &rules, version >= 4 ? sizeof(rules) : sizeof(rules.files), 0));
  if (ruleset < 0) return from_errno(errno, "landlock_create_ruleset", "process");
  Status status;
  for (const auto& path : writable) {
    if (status.ok()) status = allow(ruleset, path, kAll);
  }
  for (const auto& path : readable) {
    if (status.ok()) status = allow(ruleset, path, kRead);
  }
  if (status.ok() && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    status = from_errno(errno, "prctl", "process");
  if (status.ok() && ::syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
    status = from_errno(errno, "landlock_restrict_self", "process");
  }
  ::close(ruleset);
  return status;
}

}  // namespace strata::engines::duckdb
