#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/oip/describe.hpp"
#include "doors/oip/oip.hpp"
#include "wire/inference/oip.hpp"

namespace strata::doors::oip {

using http::Authorized;
using http::Response;
using platform::deployment::Endpoints;

namespace {

constexpr std::string_view kHeaderLength = "Inference-Header-Content-Length";

Result<std::optional<std::size_t>> header_length(const http::Request& request) {
  const auto field = request.headers.find(kHeaderLength);
  if (!field) return std::optional<std::size_t>();
  const auto length = to_int(*field);
  if (!length || *length < 0) {
    return invalid(std::string(kHeaderLength),
                   fmt::format("{}: must be a whole number from 0 up", kHeaderLength));
  }
  return std::optional<std::size_t>(static_cast<std::size_t>(*length));
}

// The model took too long: that is the server's fault, where a slow body (408) is the client's.
Response unanswered(const Error& error) {
  Response response = error_response(error);
  if (error.code == Code::kDeadlineExceeded) response.status = 504;
  return response;
}

}  // namespace

Result<platform::inference::Inputs> bind(const platform::deployment::LiveModel& model,
                                         wire::OipRequest& request) {
  const auto& outputs = model.binding->contract().outputs;
  for (const auto& ask : request.outputs) {
    const bool known = std::any_of(outputs.begin(), outputs.end(),
                                   [&](const auto& spec) { return spec.name == ask.name; });
    if (!known) return wire::unknown_output(ask.name);
  }
  return model.binding->bind(std::move(request.inputs));
}

Task<Response> infer(const Authorized& call, Endpoints& endpoints) {
  const auto model =
      endpoints.choose(call.caller().project, call.param("name"), call.param("version"),
                       call.request().headers.get(http::kEntity));
  if (!model) co_return error_response(model.error());
  const auto refuse = [&](const Error& error) {
    platform::deployment::count_refused(**model);
    return error_response(error);
  };
  const auto length = header_length(call.request());
  if (!length) co_return refuse(length.error());
  auto body = co_await call.read_unpacked_body();
  if (!body) co_return refuse(body.error());
  auto request =
      wire::decode_oip_request(std::make_shared<const std::string>(*std::move(body)), *length);
  if (!request) co_return refuse(request.error());
  auto inputs = bind(**model, *request);
  if (!inputs) co_return refuse(inputs.error());
  const auto answer = co_await endpoints.predict(*model, *std::move(inputs), request->body);
  if (!answer) co_return unanswered(answer.error());
  const auto& identity = *(*model)->identity;
  auto encoded =
      wire::encode_oip_answer(identity.endpoint, identity.version, *request, answer->outputs());
  if (!encoded) co_return refuse(encoded.error());
  Response response = Response::text(200, std::move(encoded->body), "application/json");
  if (encoded->header_length) {
    response.headers.set("Content-Type", "application/octet-stream");
    response.headers.set(kHeaderLength, std::to_string(*encoded->header_length));
  }
  // No rows, no prediction: nothing is in the log that an id could lead to.
  if (answer->exchange->inputs.rows > 0)
    response.headers.set("Strata-Prediction-Id", answer->exchange->id);
  response.headers.set("Strata-Model-Digest", identity.digest);
  response.headers.set("Strata-Model-Version", identity.version);
  http::pack_answer(call.request(), response);
  co_return response;
}

}  // namespace strata::doors::oip
