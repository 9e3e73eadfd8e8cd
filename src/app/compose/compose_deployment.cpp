#include "app/compose/compose_deployment.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "doors/oip/service.hpp"
#include "doors/rest/endpoint_routes.hpp"

namespace strata::app {

using platform::deployment::Endpoints;
using platform::deployment::ModelRef;
using platform::deployment::ModelSource;
using platform::deployment::ResolvedModel;
using platform::models::Models;
using platform::predictions::PredictionLog;

namespace {

constexpr std::chrono::milliseconds kDrain{2000};
constexpr std::chrono::milliseconds kGiveUp{4500};

// A quarter of the machine's memory, at least 1 GiB.
std::int64_t python_memory_mb(std::int64_t set) {
  if (set > 0) return set;
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 2048;
  return std::max<std::int64_t>(1024, pages * (page / 1024) / 1024 / 4);
}

engines::python::PythonOptions python_options(const Core& core) {
  engines::python::PythonOptions options;
  options.executable = core.paths.executable;
  options.folder = core.paths.data + "/python";
  options.environment = core.limits.python_environment;
  options.building.folder = core.paths.data + "/environments";
  options.building.interpreter = core.limits.python_interpreter;
  options.building.index_url = core.limits.python_index_url;
  options.building.find_links = core.limits.python_find_links;
  options.memory_mb = python_memory_mb(core.limits.python_memory_mb);
  options.spare = core.limits.python_spare;
  return options;
}

}  // namespace

// The model store as deployment sees it.
class DeploymentPart::ModelStore final : public ModelSource {
 public:
  explicit ModelStore(Models& models) : models_(models) {}

  Task<Result<ResolvedModel>> resolve(const kernel::Caller& caller, const ModelRef& ref) override {
    auto found = co_await models_.resolve(caller, ref.to_string());
    if (!found) co_return std::move(found).error();
    // Its files are not frozen: whoever may write artifacts could change what an endpoint answers.
    if (found->version == 0) {
      co_return invalid("model", fmt::format("model: '{}' is a logged model; register it, and let "
                                             "the endpoint follow the registered one",
                                             ref.name));
    }
    ResolvedModel model;
    model.name = std::move(found->name);
    model.version = std::to_string(found->version);
    model.digest = std::move(found->digest);
    model.package_digest = std::move(found->package_digest);
    model.run_id = std::move(found->run_id);
    model.moved_by = std::move(found->moved_by);
    model.root = std::move(found->root);
    model.files = std::move(found->files);
    co_return model;
  }

  Task<Result<std::unique_ptr<ByteSource>>> open(const kernel::Caller& caller,
                                                 const ResolvedModel& model,
                                                 const platform::models::ModelFile& file) override {
    platform::models::Resolved known;
    known.name = model.name;
    known.version = to_int(model.version).value_or(0);
    known.digest = model.digest;
    known.package_digest = model.package_digest;
    known.run_id = model.run_id;
    known.root = model.root;
    auto artifact = co_await models_.open(caller, known, file);
    if (!artifact) co_return std::move(artifact).error();
    co_return std::move(artifact->body);
  }

 private:
  Models& models_;
};

DeploymentPart::DeploymentPart(Core& core, Models& models)
    : core_(core),
      source_(std::make_unique<ModelStore>(models)),
      lightgbm_(core.paths.libraries + "/lib_lightgbm.so"),
      onnx_(core.paths.libraries + "/libonnxruntime.so.1"),
      xgboost_(core.paths.libraries + "/libxgboost.so"),
      trial_(core.paths.executable, core.paths.libraries, core.limits.model_run, core.clock),
      python_(python_options(core), core.files, core.clock),
      log_(core.paths.data + "/predictions", core.files, core.clock, core.metrics),
      endpoints_(
          Endpoints::Ports{core.records, core.identity, core.audit, core.events, core.lineage,
                           core.clock, core.random, core.files, core.pool, core.loops, core.scope,
                           core.metrics, *source_, log_, trial_, &python_},
          {&lightgbm_, &onnx_, &xgboost_}, core.paths.data + "/models", core.limits.model_run),
      oip_(endpoints_),
      scoring_(endpoints_),
      grpc_(core.clock, core.identity) {
  grpc_.add(doors::oip::inference_service(endpoints_));
}

Status DeploymentPart::prepare() {
  STRATA_TRY(core_.records.migrate(Endpoints::migrations()));
  STRATA_TRY(python_.prepare());
  return log_.open();
}

std::vector<std::pair<Port, http::Door*>> DeploymentPart::doors() {
  return {{Port::kHttp, &oip_}, {Port::kHttp, &scoring_}, {Port::kHttp, &grpc_}};
}

Status DeploymentPart::start() {
  core_.scope.spawn(core_.loops.next(), log_.keep(core_.pool, core_.scope.token()));
  return endpoints_.start();
}

void DeploymentPart::drain() {
  grpc_.drain();
  endpoints_.drain(kDrain);
  core_.loops.next().call_after(kGiveUp, [this] { give_up(); });
}

// A node of a graph that takes long cannot be interrupted, and no thread can be ended: then the
// process is, as a crash would, which every room is made for.
void DeploymentPart::give_up() {
  if (endpoints_.at_work() == 0) return;
  log::error("serve.stop", Json::object({{"why", "models are still at work"},
                                         {"runs", endpoints_.at_work()},
                                         {"then", "the server ends without them"}}));
  flush_log();
  std::_Exit(EXIT_FAILURE);
}

void DeploymentPart::flush_log() {
  if (const auto written = log_.flush(); !written) {
    log::error("predictions.flush", Json::object({{"error", written.error().to_string()}}));
  }
}

void DeploymentPart::stop() {
  endpoints_.stop();
  core_.scope.request_stop();
  core_.events.changed().notify_all();  // wakes the watch, which then sees that it shall end
  flush_log();
}

Result<std::unique_ptr<DeploymentPart>> make_deployment_part(Core& core,
                                                             doors::rest::RestDoor& rest,
                                                             Models& models) {
  auto part = std::make_unique<DeploymentPart>(core, models);
  STRATA_TRY(part->prepare());
  rest.add(doors::rest::endpoint_routes(part->endpoints(), core.pool));
  return part;
}

}  // namespace strata::app
