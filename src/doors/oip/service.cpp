#include "doors/oip/service.hpp"

#include "doors/oip/describe.hpp"
#include "wire/grpc/grpc.hpp"
#include "wire/grpc/oip_message.hpp"
#include "wire/protobuf/protobuf.hpp"

namespace strata::doors::oip {

using grpc::Call;
using grpc::Messages;
using grpc::Replies;
using grpc::Reply;
using kernel::Permission;
using platform::deployment::Endpoints;
using platform::deployment::LiveModel;
using platform::deployment::Patience;
using wire::protobuf::Reader;
using wire::protobuf::Writer;

namespace {

using Bytes = std::shared_ptr<const std::string>;

constexpr std::uint64_t kLargestMessage = 64U << 20U;
constexpr http::Limits kInference{.body = kLargestMessage, .deadline = std::chrono::minutes(2)};

// Field numbers are those of grpc_service.proto and model_config.proto.

struct Named {
  std::string name;
  std::string version;
};

// ModelReadyRequest, ModelMetadataRequest, ModelConfigRequest and ModelStatisticsRequest are alike.
Result<Named> read_named(std::string_view message, std::string_view type) {
  Named named;
  Reader reader(message, type);
  while (reader.next()) {
    if (reader.number() == 1) reader.text("name", named.name);
    if (reader.number() == 2) reader.text("version", named.version);
  }
  if (reader.failed()) return reader.error();
  return named;
}

Result<std::shared_ptr<const LiveModel>> model_of(const Call& call, const Endpoints& endpoints,
                                                  std::string_view message, std::string_view type) {
  const auto named = read_named(message, type);
  if (!named) return named.error();
  if (named->name.empty()) return invalid("name", "name: is missing; name an endpoint");
  return endpoints.find(call.caller.project, named->name, named->version);
}

// ServerLiveResponse, ServerReadyResponse and ModelReadyResponse are alike.
std::string yes() {
  Writer writer(wire::grpc::room());
  writer.boolean(1, true);
  return writer.take();
}

Task<Reply> healthy(const Call&, Bytes, Endpoints&) {
  co_return yes();
}

Task<Reply> model_ready(const Call& call, Bytes message, Endpoints& endpoints) {
  const auto model = model_of(call, endpoints, *message, "ModelReadyRequest");
  if (!model) co_return model.error();
  co_return yes();
}

Task<Reply> server_metadata(const Call&, Bytes, Endpoints&) {
  Writer writer(wire::grpc::room());
  writer.text(1, "strata");
  writer.text(2, STRATA_VERSION);
  for (const auto name : kExtensions)
    writer.element(3, name);
  co_return writer.take();
}

void write_ports(Writer& writer, std::uint32_t number, const std::vector<Port>& ports) {
  for (const auto& port : ports) {
    Writer tensor;
    tensor.text(1, port.name);
    tensor.text(2, wire::element_name(port.type));
    tensor.packed(3, port.shape);
    writer.message(number, tensor);
  }
}

Task<Reply> model_metadata(const Call& call, Bytes message, Endpoints& endpoints) {
  const auto model = model_of(call, endpoints, *message, "ModelMetadataRequest");
  if (!model) co_return model.error();
  Writer writer(wire::grpc::room());
  writer.text(1, (*model)->identity->endpoint);
  writer.element(2, (*model)->identity->version);
  writer.text(3, platform_of(**model));
  write_ports(writer, 4, inputs_of(**model));
  write_ports(writer, 5, outputs_of(**model));
  co_return writer.take();
}

// inference.DataType of model_config.proto.
std::int64_t data_type(wire::ElementType type) {
  using wire::ElementType;
  constexpr std::array<std::pair<ElementType, std::int64_t>, 13> kTypes = {
      {{ElementType::kBool, 1},
       {ElementType::kUint8, 2},
       {ElementType::kUint16, 3},
       {ElementType::kUint32, 4},
       {ElementType::kUint64, 5},
       {ElementType::kInt8, 6},
       {ElementType::kInt16, 7},
       {ElementType::kInt32, 8},
       {ElementType::kInt64, 9},
       {ElementType::kFp16, 10},
       {ElementType::kFp32, 11},
       {ElementType::kFp64, 12},
       {ElementType::kText, 13}}};
  for (const auto& [known, number] : kTypes)
    if (known == type) return number;
  return 0;
}

// ModelInput has its dims in field 4, ModelOutput in 3.
void write_config_ports(Writer& writer, std::uint32_t number, std::uint32_t dims,
                        const std::vector<Port>& ports) {
  for (const auto& port : ports) {
    Writer one;
    one.text(1, port.name);
    one.integer(2, data_type(port.type));
    one.packed(dims, port.shape);
    writer.message(number, one);
  }
}

Task<Reply> model_config(const Call& call, Bytes message, Endpoints& endpoints) {
  const auto model = model_of(call, endpoints, *message, "ModelConfigRequest");
  if (!model) co_return model.error();
  Writer latest;
  latest.integer(1, 1);  // num_versions
  Writer policy;
  policy.message(1, latest);
  Writer config;
  config.text(1, (*model)->identity->endpoint);
  config.text(2, platform_of(**model));
  config.message(3, policy);
  write_config_ports(config, 5, 4, inputs_of(**model));
  write_config_ports(config, 6, 3, outputs_of(**model));
  config.text(17, (*model)->flavor);
  Writer writer(wire::grpc::room());
  writer.message(1, config);
  co_return writer.take();
}

void write_statistics(Writer& writer, const LiveModel& model) {
  const auto& meters = *model.meters;
  const auto count = [](std::uint64_t number) {
    Writer duration;
    duration.unsigned_integer(1, number);
    return duration;
  };
  Writer inference;
  inference.message(1, count(meters.answered.value()));
  inference.message(2, count(meters.failed.value() + meters.refused.value()));
  Writer statistics;
  statistics.text(1, model.identity->endpoint);
  statistics.text(2, model.identity->version);
  statistics.unsigned_integer(4, meters.answered.value());
  statistics.unsigned_integer(5, meters.answered.value() + meters.failed.value());
  statistics.message(6, inference);
  writer.message(1, statistics);
}

// Of one model, or of all without a name.
Task<Reply> model_statistics(const Call& call, Bytes message, Endpoints& endpoints) {
  const auto named = read_named(*message, "ModelStatisticsRequest");
  if (!named) co_return named.error();
  Writer writer(wire::grpc::room());
  if (!named->name.empty()) {
    const auto model = endpoints.find(call.caller.project, named->name, named->version);
    if (!model) co_return model.error();
    write_statistics(writer, **model);
    co_return writer.take();
  }
  for (const auto& endpoint : endpoints.list(call.caller))
    if (endpoint.live) write_statistics(writer, *endpoint.live);
  co_return writer.take();
}

Task<Reply> repository_index(const Call& call, Bytes message, Endpoints& endpoints) {
  bool only_ready = false;
  Reader reader(*message, "RepositoryIndexRequest");
  while (reader.next())
    if (reader.number() == 2) reader.boolean("ready", only_ready);
  if (reader.failed()) co_return reader.error();
  Writer writer(wire::grpc::room());
  for (const auto& endpoint : endpoints.list(call.caller)) {
    if (only_ready && endpoint.live == nullptr) continue;
    const auto entry = index_entry(endpoint);
    Writer model;
    model.text(1, entry.name);
    model.text(2, entry.version);
    model.text(3, entry.state);
    model.text(4, entry.reason);
    writer.message(1, model);
  }
  co_return writer.take();
}

Task<Reply> refuse_to_move(const Call&, Bytes message, Endpoints&) {
  std::string name;
  Reader reader(*message, "RepositoryModelLoadRequest");
  while (reader.next())
    if (reader.number() == 2) reader.text("model_name", name);
  if (reader.failed()) co_return reader.error();
  co_return not_moved(name);
}

// Appends the ModelInferResponse to `begun`.
Task<Reply> infer_message(const Call& call, wire::OipInferMessage& message, Endpoints& endpoints,
                          std::string begun) {
  if (message.model.empty() && message.request)
    co_return invalid("model_name", "model_name: is missing; name an endpoint");
  const auto model =
      endpoints.choose(call.caller.project, message.model, message.version, call.entity);
  if (!message.request) {
    if (model) platform::deployment::count_refused(**model);
    co_return message.request.error();
  }
  if (!model) co_return model.error();
  wire::OipRequest& request = *message.request;
  auto inputs = bind(**model, request);
  if (!inputs) {
    platform::deployment::count_refused(**model);
    co_return std::move(inputs).error();
  }
  Patience patience(call.deadline, call.gone);
  auto predicted = endpoints.predict(*model, *std::move(inputs), request.body, std::move(patience));
  const auto answer = co_await std::move(predicted);
  if (!answer) co_return answer.error();
  const auto& identity = *(*model)->identity;
  wire::OipParameters parameters = {{"strata_model_digest", identity.digest},
                                    {"strata_model_version", identity.version}};
  // No rows, no prediction: nothing is in the log that an id could lead to.
  if (answer->exchange->inputs.rows > 0)
    parameters.emplace_back("strata_prediction_id", answer->exchange->id);
  STRATA_CO_TRY(wire::append_oip_answer(begun, identity.endpoint, identity.version, request,
                                        answer->outputs(), parameters));
  co_return begun;
}

Task<Reply> model_infer(const Call& call, Bytes bytes, Endpoints& endpoints) {
  auto message = wire::decode_oip_message(std::move(bytes));
  co_return co_await infer_message(call, message, endpoints, wire::grpc::room());
}

class InferReplies final : public Replies {
 public:
  InferReplies(const Call& call, Messages& messages, Endpoints& endpoints)
      : call_(call),
        messages_(messages),
        endpoints_(endpoints) {}

  Task<Result<std::optional<std::string>>> next() override {
    const auto came = co_await messages_.next();
    if (!came) co_return came.error();
    if (!*came) co_return std::optional<std::string>();
    auto message = wire::decode_oip_message((*came)->bytes);
    const auto answer = co_await infer_message(call_, message, endpoints_, std::string());
    std::string reply = wire::grpc::room();
    if (answer) {
      wire::append_oip_stream_answer(reply, *answer);
    } else {
      wire::append_oip_stream_error(reply, message, answer.error());
    }
    co_return std::optional(std::move(reply));
  }

 private:
  const Call& call_;
  Messages& messages_;
  Endpoints& endpoints_;
};

}  // namespace

grpc::Service inference_service(Endpoints& endpoints) {
  grpc::Service service{"inference.GRPCInferenceService", {}};
  using Operation = Task<Reply> (*)(const Call&, Bytes, Endpoints&);
  const auto add = [&](std::string_view name, Permission permission, const http::Limits& limits,
                       Operation operation) {
    const auto call = [operation, &endpoints](const Call& inner, Bytes message) {
      return operation(inner, std::move(message), endpoints);
    };
    service.methods.push_back({name, permission, limits, call, {}});
  };
  constexpr auto kRead = Permission::kEndpointRead;
  add("ServerLive", Permission::kPublic, grpc::kSmallCall, &healthy);
  add("ServerReady", Permission::kPublic, grpc::kSmallCall, &healthy);
  add("ServerMetadata", Permission::kPublic, grpc::kSmallCall, &server_metadata);
  add("ModelReady", kRead, grpc::kSmallCall, &model_ready);
  add("ModelMetadata", kRead, grpc::kSmallCall, &model_metadata);
  add("ModelConfig", kRead, grpc::kSmallCall, &model_config);
  add("ModelStatistics", kRead, grpc::kSmallCall, &model_statistics);
  add("RepositoryIndex", kRead, grpc::kSmallCall, &repository_index);
  add("RepositoryModelLoad", kRead, grpc::kSmallCall, &refuse_to_move);
  add("RepositoryModelUnload", kRead, grpc::kSmallCall, &refuse_to_move);
  add("ModelInfer", Permission::kPredict, kInference, &model_infer);
  const auto stream = [&endpoints](const Call& call,
                                   Messages& messages) -> std::unique_ptr<Replies> {
    return std::make_unique<InferReplies>(call, messages, endpoints);
  };
  service.methods.push_back(
      {"ModelStreamInfer", Permission::kPredict, grpc::open_call(kLargestMessage), {}, stream});
  return service;
}

}  // namespace strata::doors::oip
