#include "app/workers/worker_model.hpp"

#include <chrono>
#include <new>
#include <stop_token>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "engines/lightgbm/lightgbm.hpp"
#include "engines/onnxruntime/onnxruntime.hpp"
#include "engines/processes/processes.hpp"
#include "engines/xgboost/xgboost.hpp"
#include "platform/inference/model_trial.hpp"
#include "runtime/loop.hpp"

namespace strata::app {

namespace {

using engines::processes::kMostReport;
using engines::processes::kTrialReport;
using platform::inference::ModelEngine;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

Status limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  if (::setrlimit(resource, &both) == 0) return {};
  return from_errno(errno, "setrlimit", "process");
}

// Memory that the process allocates; a file that it maps to read costs none of its own.
Status set_limits(std::int64_t cpu_seconds, std::int64_t memory_mb) {
  STRATA_TRY(limit(RLIMIT_CORE, 0));
  STRATA_TRY(limit(RLIMIT_CPU, static_cast<rlim_t>(cpu_seconds)));
  // A sanitizer's shadow memory counts as allocated, and there is much of it.
  if (!kSanitized) STRATA_TRY(limit(RLIMIT_DATA, static_cast<rlim_t>(memory_mb) << 20U));
  // When the machine itself runs out of memory, this process goes before any other.
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return from_errno(errno, "open", "/proc/self/oom_score_adj");
  const bool written = ::write(file, "1000", 4) == 4;
  const int number = errno;
  ::close(file);
  if (!written) return from_errno(number, "write", "/proc/self/oom_score_adj");
  return {};
}

// The most that this process held; Linux counts it in KiB.
std::uint64_t peak_memory() {
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) != 0) return 0;
  return static_cast<std::uint64_t>(used.ru_maxrss) << 10U;
}

// What is to be told of it; nothing unless it is probed.
Result<std::string> try_model(const std::string& libraries, const std::string& directory,
                              std::chrono::seconds run_limit, std::size_t probes) {
  engines::lightgbm::LightGbmEngine lightgbm(libraries + "/lib_lightgbm.so");
  engines::onnxruntime::OnnxEngine onnx(libraries + "/libonnxruntime.so.1");
  engines::xgboost::XgBoostEngine xgboost(libraries + "/libxgboost.so");
  ModelEngine* const engines[] = {&lightgbm, &onnx, &xgboost};
  SystemFiles files;
  const SystemClock clock;
  auto model = platform::inference::open_model(files, engines, directory);
  if (!model) return std::move(model).error();
  std::stop_source end;
  LoopGroup timer(1);
  timer.at(0).call_after(run_limit, [end]() mutable { end.request_stop(); });
  const auto micros =
      platform::inference::try_out(*model, files, clock, directory, end.get_token());
  Status done = micros ? Status() : Status(micros.error());
  std::string told;
  if (done && probes > 0) {
    auto report =
        platform::inference::probe(*model->binding, *model->runner, probes, end.get_token());
    if (report) {
      report->memory_bytes = peak_memory();
      told = report->to_text();
    } else {
      done = report.error();
    }
  }
  if (done) return told;
  if (done.error().code != Code::kCancelled) return done.error();
  return Error(Code::kDeadlineExceeded,
               fmt::format("the model gave no answer to what it was tried with within {} s "
                           "(endpoints.timeout)",
                           run_limit.count()));
}

Result<std::string> run(std::span<char* const> arguments) {
  if (arguments.size() != 6) return invalid("arguments", "the server starts this command itself");
  const auto run_seconds = to_int(arguments[2]);
  const auto cpu_seconds = to_int(arguments[3]);
  const auto memory_mb = to_int(arguments[4]);
  const auto probes = to_int(arguments[5]);
  if (!run_seconds || !cpu_seconds || !memory_mb || !probes)
    return invalid("arguments", "the server starts this command itself");
  STRATA_TRY(set_limits(*cpu_seconds, *memory_mb));
  try {
    return try_model(arguments[0], arguments[1], std::chrono::seconds(*run_seconds),
                     static_cast<std::size_t>(*probes));
  } catch (const std::bad_alloc&) {
    return Error(
        Code::kResourceExhausted,
        fmt::format("the model needs more than the {} MiB that it is tried with", *memory_mb));
  }
}

}  // namespace

int run_model_trial(std::span<char* const> arguments) {
  const auto done = run(arguments);
  const std::string report =
      done ? *done
           : fmt::format("{} {}", static_cast<int>(done.error().code),
                         printable(done.error().to_string(), kMostReport - 8));
  const bool told = report.empty() || ::write(kTrialReport, report.data(), report.size()) ==
                                          static_cast<ssize_t>(report.size());
  // At once: what the libraries would do at an orderly end says nothing of the model.
  ::_exit(!told ? 2 : done ? 0 : 1);
}

}  // namespace strata::app
