#include "app/workers/worker_python.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/result.hpp"
#include "base/text.hpp"
#include "runtime/process.hpp"

namespace strata::app {

namespace {

constexpr rlim_t kLargestFile = rlim_t{1} << 30U;
constexpr rlim_t kMostFiles = 1024;

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kForeign = 0x4000'0000U;  // x32's numbers
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t kForeign = 0xFFFF'FFFFU;
#endif

// Refused wholly: to start processes, and to reach into others, which belong to the same user.
constexpr auto kRefused = std::to_array<long>({
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_tkill,
    SYS_setpriority,
    SYS_sched_setscheduler,
    SYS_kcmp,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_io_uring_setup,
    SYS_userfaultfd});
// Allowed for the process itself.
constexpr auto kOnlyItself = std::to_array<long>({SYS_kill, SYS_tgkill, SYS_prlimit64});

Status limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  if (::setrlimit(resource, &both) == 0) return {};
  return from_errno(errno, "setrlimit", "model process");
}

Status set_limits() {
  STRATA_TRY(limit(RLIMIT_CORE, 0));
  STRATA_TRY(limit(RLIMIT_FSIZE, kLargestFile));
  STRATA_TRY(limit(RLIMIT_NOFILE, kMostFiles));
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return from_errno(errno, "open", "/proc/self/oom_score_adj");
  // When the machine itself runs out of memory, this process goes before the server.
  const bool written = ::write(file, "1000", 4) == 4;
  const int number = errno;
  ::close(file);
  if (!written) return from_errno(number, "write", "/proc/self/oom_score_adj");
  return {};
}

// A classic BPF program over seccomp_data, built from behind forwards in jumps of a few steps each.
class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
    answer(EPERM);
    load(offsetof(seccomp_data, nr));
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kForeign, 0, 1));
    answer(EPERM);
    for (const long number : kRefused)
      refuse(number, EPERM);
    // With it, flags lie in memory that a filter cannot see; without it, libc takes clone.
    refuse(SYS_clone3, ENOSYS);
    threads_only();
    for (const long number : kOnlyItself)
      only_itself(number);
    code_.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }

  Status install() {
    sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
      return from_errno(errno, "prctl", "no_new_privs");
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
      return from_errno(errno, "prctl", "seccomp");
    return {};
  }

 private:
  void load(std::size_t offset) {
    code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  }
  void answer(int number) {
    code_.push_back(
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number)));
  }
  void when(long number, std::uint8_t steps) {
    code_.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, steps));
  }
  void refuse(long number, int error) {
    when(number, 1);
    answer(error);
  }
  void threads_only() {
    when(SYS_clone, 4);
    load(offsetof(seccomp_data, args));
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    answer(EPERM);
    code_.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  void only_itself(long number) {
    when(number, 5);
    load(offsetof(seccomp_data, args));
    code_.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(::getpid()), 2, 0));
    const auto also_zero = static_cast<std::uint8_t>(number == SYS_prlimit64 ? 1 : 0);
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, also_zero, 0));
    answer(EPERM);
    code_.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }

  std::vector<sock_filter> code_;
};

Status become(std::span<char* const> arguments) {
  const auto memory_mb = arguments.size() == 5 ? to_int(arguments[0]) : std::nullopt;
  if (!memory_mb) return invalid("arguments", "the server starts this command itself");
  Filter filter;
  STRATA_TRY(filter.install());
  STRATA_TRY(set_limits());
  return become_program({arguments[2], "-I", arguments[3], arguments[4]},
                        static_cast<std::uint64_t>(*memory_mb) << 20U);
}

}  // namespace

int run_model_process(std::span<char* const> arguments) {
  const auto failed = become(arguments);
  std::fprintf(stderr, "%s\n", failed.error().to_string().c_str());
  return 1;
}

}  // namespace strata::app
