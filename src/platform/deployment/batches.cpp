// Versions that are run over whole tables, without an endpoint.
#include "platform/deployment/deployment.hpp"
#include "platform/deployment/run_limit.hpp"

namespace strata::platform::deployment {

Task<Result<ResolvedModel>> Endpoints::resolve(const kernel::Caller& caller, ModelRef ref) {
  if (!caller.may(kernel::Permission::kModelRead))
    co_return kernel::lacks_permission(caller, kernel::Permission::kModelRead);
  co_return co_await ports_.models.resolve(caller, ref);
}

Task<Result<std::shared_ptr<const inference::OpenModel>>> Endpoints::open_version(
    const kernel::Caller& caller, const ResolvedModel& model, std::stop_token gone) {
  auto fetched = co_await cache_.fetch(ports_.models, caller, model);
  if (!fetched) co_return std::move(fetched).error();
  auto look = [&] {
    const Counted counted(at_work_);
    return open(*fetched, {}, gone);
  };
  auto opened = co_await loads_.run(look);
  if (!opened) co_return std::move(opened).error();
  co_return std::make_shared<const inference::OpenModel>(*std::move(opened));
}

Task<Result<std::vector<wire::Tensor>>> Endpoints::run_batch(
    std::shared_ptr<const inference::OpenModel> model, const Inputs& inputs, std::stop_token gone) {
  auto work = [&] {
    const Counted counted(at_work_);
    const RunLimit limit(ports_.loops.next(), run_limit_, {}, stopping_.get_token(), gone);
    return answer(*model->binding, *model->runner, inputs, &limit);
  };
  auto outputs = co_await batches_.run(work);
  if (!outputs) co_return std::move(outputs).error();
  const auto& specs = model->binding->contract().outputs;
  for (std::size_t i = 0; i < specs.size() && i < outputs->size(); ++i)
    (*outputs)[i].name = specs[i].name;
  co_return std::move(*outputs);
}

}  // namespace strata::platform::deployment
