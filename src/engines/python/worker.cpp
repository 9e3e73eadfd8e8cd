#include "engines/python/worker.hpp"

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.hpp"
#include "base/log.hpp"

namespace strata::engines::python {

namespace {

// Nothing of the server's own environment: tokens and keys may stand there. Threads are pinned
// before the libraries are loaded, which read it then.
std::vector<std::string> environment(const std::string& scratch) {
  return {"PATH=/usr/local/bin:/usr/bin:/bin",
          "LANG=C.UTF-8",
          "HOME=" + scratch,
          "TMPDIR=" + scratch,
          "PYTHONUNBUFFERED=1",
          "OMP_NUM_THREADS=1",
          "OPENBLAS_NUM_THREADS=1",
          "MKL_NUM_THREADS=1",
          "NUMEXPR_NUM_THREADS=1",
          "LOKY_MAX_CPU_COUNT=1",
          "MLFLOW_DISABLE_TELEMETRY=true",
          "DO_NOT_TRACK=true",
          "GIT_PYTHON_REFRESH=quiet"};
}

}  // namespace

Result<std::shared_ptr<Worker>> Worker::start(const WorkerPlan& plan, std::uint64_t number) {
  const std::string scratch = fmt::format("{}/{}-{}", plan.scratch, ::getpid(), number);
  std::error_code failed;
  std::filesystem::create_directories(scratch, failed);
  if (failed) return from_errno(failed.value(), "mkdir", scratch);
  auto ends = MessageSocket::pair();
  if (!ends) return std::move(ends).error();
  std::array<int, 2> output{};
  if (::pipe2(output.data(), O_CLOEXEC) != 0) return from_errno(errno, "pipe2", "model process");
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  ProcessSpec spec;
  spec.argv = {plan.executable, std::string(kRunModel), std::to_string(plan.memory_mb),
               scratch,         plan.interpreter,       plan.script,
               plan.directory};
  spec.environment = environment(scratch);
  spec.directory = scratch;
  spec.descriptors = {{output[1], 1}, {output[1], 2}, {ends->second.descriptor(), kWorkerSocket}};
  spec.dies_with_parent = true;
  auto child = ChildProcess::spawn(spec);
  ::close(output[1]);
  if (!child) {
    ::close(output[0]);
    return child.error().wrap("a process for the model cannot be started");
  }
  return std::shared_ptr<Worker>(
      new Worker(*std::move(child), std::move(ends->first), output[0], scratch));
}

Worker::~Worker() {
  if (output_ >= 0) ::close(output_);
  std::error_code failed;
  std::filesystem::remove_all(scratch_, failed);
  if (failed) {
    log::warn("model.scratch", Json::object({{"folder", scratch_}, {"error", failed.message()}}));
  }
}

void Worker::end(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  if (ending_) return;
  ending_ = true;
  reason_ = reason;
  // Whoever waits for its answer wakes, even where some other process holds the other end.
  socket_.shutdown();
  if (reaped_) return;
  const auto group = child_.signal_group(SIGKILL);
  const auto leader = child_.signal(SIGKILL);
  if (!group || !leader)
    log::error("model.kill", Json::object({{"error", (group ? leader : group).error().message}}));
}

std::string Worker::reason() const {
  const std::lock_guard lock(mutex_);
  return reason_;
}

bool Worker::ending() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

std::optional<ExitStatus> Worker::reap() {
  const std::lock_guard lock(mutex_);
  if (!reaped_) {
    // What it may have left of its group goes with it, while its number is still taken.
    siginfo_t seen{};
    if (::waitid(P_PIDFD, static_cast<id_t>(child_.pidfd()), &seen, WEXITED | WNOHANG | WNOWAIT) !=
            0 ||
        seen.si_pid == 0) {
      return std::nullopt;
    }
    if (const auto done = child_.signal_group(SIGKILL); !done)
      log::error("model.kill", Json::object({{"error", done.error().message}}));
  }
  const auto ended = child_.wait_for(std::chrono::milliseconds(0));
  if (!ended || !*ended) return std::nullopt;
  reaped_ = true;
  return *ended;
}

void Worker::read_output(std::string& out, std::size_t most) {
  std::array<char, 16384> buffer{};
  for (std::size_t have = 0; output_ >= 0 && have < most;) {
    const ssize_t got = ::read(output_, buffer.data(), buffer.size());
    if (got > 0) {
      out.append(buffer.data(), static_cast<std::size_t>(got));
      have += static_cast<std::size_t>(got);
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    ::close(output_);
    output_ = -1;
  }
}

std::uint64_t Worker::resident_now() const {
  const std::string path = fmt::format("/proc/{}/statm", child_.pid());
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return 0;
  unsigned long long whole = 0, held = 0;
  const int read = std::fscanf(file, "%llu %llu", &whole, &held);
  std::fclose(file);
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return read == 2 ? held * page : 0;
}

}  // namespace strata::engines::python
