#include "base/json.hpp"
#include "doors/scoring/scoring.hpp"
#include "wire/inference/scoring.hpp"

namespace strata::doors::scoring {

using http::Authorized;
using http::Response;
using platform::deployment::Contract;
using platform::deployment::Endpoints;
using wire::Tensor;

namespace {

// Elements from `at` on, nested as the dimensions from `depth` on say.
void append_nested(std::string& out, const Tensor& tensor, std::size_t depth, std::size_t& at) {
  if (depth == tensor.shape.size()) {
    append_element_json(out, tensor, at++);
    return;
  }
  out += '[';
  for (std::int64_t i = 0; i < tensor.shape[depth]; ++i) {
    if (i > 0) out += ',';
    append_nested(out, tensor, depth + 1, at);
  }
  out += ']';
}

// One row of an output as a record's member: a number where a row has one, else an array.
void append_cell(std::string& out, const Tensor& tensor, std::size_t row, std::size_t rows) {
  const std::size_t width = rows == 0 ? 0 : tensor.count() / rows;
  std::size_t at = row * width;
  if (width == 1) {
    append_element_json(out, tensor, at);
  } else {
    append_nested(out, tensor, 1, at);
  }
}

void append_records(std::string& out, std::size_t rows, std::span<const Tensor> outputs) {
  out += '[';
  for (std::size_t row = 0; row < rows; ++row) {
    out += row > 0 ? ",{" : "{";
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (i > 0) out += ',';
      append_json_string(out, outputs[i].name);
      out += ':';
      append_cell(out, outputs[i], row, rows);
    }
    out += '}';
  }
  out += ']';
}

}  // namespace

std::string predictions_json(const Contract& contract, std::size_t rows,
                             std::span<const Tensor> outputs) {
  std::string out = "{\"predictions\":";
  std::size_t at = 0;
  const bool by_row = std::all_of(outputs.begin(), outputs.end(), [&](const Tensor& tensor) {
    return !tensor.shape.empty() && static_cast<std::size_t>(tensor.shape[0]) == rows;
  });
  if (contract.bare_output) {
    append_nested(out, outputs[0], 0, at);
  } else if (!contract.columns.empty() && by_row) {
    append_records(out, rows, outputs);
  } else {
    out += '{';
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (i > 0) out += ',';
      append_json_string(out, outputs[i].name);
      out += ':';
      at = 0;
      append_nested(out, outputs[i], 0, at);
    }
    out += '}';
  }
  out += '}';
  return out;
}

Task<Response> invoke(const Authorized& call, Endpoints& endpoints) {
  const auto model = endpoints.find(call.caller().project, call.param("name"));
  if (!model) co_return error_response(model.error());
  const auto refuse = [&](const Error& error) {
    (*model)->meters->refused.add();
    return error_response(error);
  };
  const auto body = co_await call.read_body();
  if (!body) co_return refuse(body.error());
  const auto payload = wire::decode_scoring(*body, call.request().headers.get("Content-Type"));
  if (!payload) co_return refuse(payload.error());
  auto inputs = (*model)->binding->bind(*payload);
  if (!inputs) co_return refuse(inputs.error());
  const auto answer = co_await endpoints.predict(*model, *std::move(inputs));
  if (!answer) co_return unanswered(answer.error());
  const auto& exchange = *answer->exchange;
  Response response = Response::text(
      200, predictions_json((*model)->binding->contract(), exchange.inputs.rows, exchange.outputs),
      "application/json");
  const auto& identity = *(*model)->identity;
  // No rows, no prediction: nothing is in the log that an id could lead to.
  if (exchange.inputs.rows > 0) response.headers.set("Strata-Prediction-Id", exchange.id);
  response.headers.set("Strata-Model-Digest", identity.digest);
  response.headers.set("Strata-Model-Version", identity.version);
  response.headers.set("x-Amzn-Invoked-Production-Variant", identity.version);
  co_return response;
}

}  // namespace strata::doors::scoring
