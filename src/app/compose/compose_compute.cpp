#include "app/compose/compose_compute.hpp"

#include <array>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include "base/log.hpp"
#include "doors/rest/node_routes.hpp"
#include "runtime/process.hpp"

namespace strata::app {

namespace {

using storage::compute::Compute;
using storage::compute::Measurements;

constexpr std::chrono::seconds kMeasureLimit{30};
constexpr int kLowPriority = 10;

// In a process of its own: it needs memory for a moment and all cores, neither of which is to be
// the server's.
Result<Measurements> measure_in_child(const Paths& paths) {
  std::array<int, 2> answer{};
  if (::pipe2(answer.data(), O_CLOEXEC) != 0) return from_errno(errno, "pipe2", "measurement");
  ProcessSpec spec;
  spec.argv = {paths.executable, "measure-node", "--data", paths.data};
  spec.descriptors = {{answer[1], 1}};
  spec.nice = kLowPriority;
  auto child = ChildProcess::spawn(spec);
  ::close(answer[1]);
  if (!child) {
    ::close(answer[0]);
    return std::move(child).error();
  }
  // Its few hundred bytes fit into the pipe, so that it ends without being read.
  auto ended = child->wait_for(kMeasureLimit);
  if (ended.ok() && !ended->has_value()) {
    const auto killed = child->signal(SIGKILL);
    const auto waited = child->wait();
    ::close(answer[0]);
    if (!killed.ok() || !waited.ok()) return internal("the measurement cannot be ended");
    return Error(Code::kDeadlineExceeded, "measuring the node took too long; it is too busy");
  }
  std::string text(64U << 10U, '\0');
  const auto got = ::read(answer[0], text.data(), text.size());
  ::close(answer[0]);
  if (!ended.ok()) return std::move(ended).error();
  if (!(*ended)->success())
    return Error(Code::kInternal, "the measurement " + (*ended)->to_string());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  auto json = parse_json(text);
  if (!json) return std::move(json).error();
  return storage::compute::measurements_from(*json);
}

Task<void> measure_in_background(Compute& compute) {
  const auto measured = co_await compute.measure_once();
  if (!measured.ok())
    log::warn("compute.measure", Json::object({{"error", measured.error().message}}));
}

}  // namespace

ComputePart::ComputePart(Core& core)
    : core_(core),
      compute_(core.records, core.audit, core.pool, core.clock, core.paths.data,
               [paths = core.paths] { return measure_in_child(paths); }) {}

Status ComputePart::start() {
  core_.scope.spawn(core_.loops.next(), measure_in_background(compute_));
  return {};
}

Result<std::unique_ptr<ComputePart>> make_compute_part(Core& core, doors::rest::RestDoor& rest) {
  STRATA_TRY(core.records.migrate(Compute::migrations()));
  auto part = std::make_unique<ComputePart>(core);
  STRATA_TRY(part->compute().start());
  rest.add(doors::rest::node_routes(part->compute()));
  return part;
}

}  // namespace strata::app
