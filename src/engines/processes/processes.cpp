#include "engines/processes/processes.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "runtime/process.hpp"

namespace strata::engines::processes {

namespace {

constexpr std::chrono::seconds kLoadLimit{120};  // to read, check and prepare a model
constexpr std::chrono::milliseconds kLook{20};   // how soon a stop is noticed

// Half of the machine's memory, at least 1 GiB.
std::int64_t trial_memory_mb() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 4096;
  return std::max<std::int64_t>(1024, pages * (page / 1024) / 1024 / 2);
}

// What the process wrote before it ended; it never writes more than a pipe holds.
std::string read_report(int descriptor) {
  std::string text(kMostReport, '\0');
  const ssize_t got = ::read(descriptor, text.data(), text.size());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

Status judge(const ExitStatus& ended, const std::string& report, std::chrono::seconds limit) {
  if (ended.success()) return {};
  if (ended.signal == SIGXCPU || ended.signal == SIGKILL) {
    return Error(Code::kDeadlineExceeded,
                 fmt::format("the process that tried the model was ended: it took more than {} s, "
                             "or more memory than there is",
                             limit.count()));
  }
  if (ended.signal != 0) {
    const char* name = ::sigdescr_np(ended.signal);
    return Error(Code::kDataLoss, fmt::format("the model ended the process that tried it: signal "
                                              "{} ({})",
                                              ended.signal, name != nullptr ? name : "unknown"));
  }
  const auto blank = report.find(' ');
  const auto code = to_int(std::string_view(report).substr(0, blank));
  if (blank == std::string::npos || !code || *code < 0 ||
      *code > static_cast<std::int64_t>(Code::kInternal)) {
    return Error(Code::kDataLoss, fmt::format("the model ended the process that tried it: exit "
                                              "code {}",
                                              ended.code));
  }
  return Error(static_cast<Code>(*code), printable(report.substr(blank + 1), report.size()));
}

// Waits for its end, and brings that about when it is asked to or time is over.
Result<ExitStatus> wait(ChildProcess& child, const Clock& clock, std::chrono::seconds limit,
                        const std::stop_token& stop) {
  const auto until = clock.steady() + limit;
  while (!stop.stop_requested() && clock.steady() < until) {
    auto ended = child.wait_for(kLook);
    if (!ended) return std::move(ended).error();
    if (*ended) return **ended;
  }
  STRATA_TRY(child.signal(SIGKILL));
  return child.wait();
}

}  // namespace

Status ProcessModelTrial::run(const std::string& directory, const std::stop_token& stop) {
  const auto told = start(directory, 0, stop);
  return told ? Status() : Status(told.error());
}

Result<platform::inference::ProbeReport> ProcessModelTrial::probe(const std::string& directory,
                                                                  std::size_t count,
                                                                  const std::stop_token& stop) {
  const auto told = start(directory, count, stop);
  if (!told) return told.error();
  return platform::inference::ProbeReport::parse(*told);
}

Result<std::string> ProcessModelTrial::start(const std::string& directory, std::size_t probes,
                                             const std::stop_token& stop) {
  const auto limit = kLoadLimit + run_limit_;
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return from_errno(errno, "pipe2", "model trial");
  ProcessSpec spec;
  spec.argv = {executable_,
               std::string(kTryModel),
               libraries_,
               directory,
               std::to_string(run_limit_.count()),
               std::to_string(limit.count()),
               std::to_string(trial_memory_mb()),
               std::to_string(probes)};
  spec.descriptors = {{report[1], kTrialReport}};
  spec.inherit_output = false;
  spec.dies_with_parent = true;
  auto child = ChildProcess::spawn(spec);
  ::close(report[1]);
  if (!child) {
    ::close(report[0]);
    return child.error().wrap("the process that tries models cannot be started");
  }
  const auto ended = wait(*child, clock_, limit, stop);
  const std::string text = ended ? read_report(report[0]) : "";
  ::close(report[0]);
  if (!ended) return ended.error();
  if (stop.stop_requested()) return Error(Code::kCancelled, "the trial was stopped");
  STRATA_TRY(judge(*ended, text, limit));
  return text;
}

}  // namespace strata::engines::processes
