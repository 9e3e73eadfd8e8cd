#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "doors/scoring/scoring.hpp"
#include "wire/accept.hpp"
#include "wire/inference/scoring.hpp"

namespace strata::doors::scoring {

using http::Authorized;
using http::Response;
using platform::deployment::Endpoints;
using platform::inference::Contract;
using wire::Tensor;

namespace {

bool is_by_row(std::size_t rows, std::span<const Tensor> outputs) {
  return std::all_of(outputs.begin(), outputs.end(), [&](const Tensor& tensor) {
    return !tensor.shape.empty() && static_cast<std::size_t>(tensor.shape[0]) == rows;
  });
}

// A field of RFC 4180; numbers are written as in JSON answers.
void append_field(std::string& out, const Tensor& tensor, std::size_t at) {
  if (tensor.type != wire::ElementType::kText) {
    append_element_json(out, tensor, at);
    return;
  }
  const auto& text = tensor.texts[at];
  if (text.find_first_of("\",\r\n") == std::string::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text)
    out += c == '"' ? std::string("\"\"") : std::string(1, c);
  out += '"';
}

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
  const bool by_row = is_by_row(rows, outputs);
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

std::string predictions_csv(std::size_t rows, std::span<const Tensor> outputs) {
  std::string out;
  for (std::size_t row = 0; row < rows; ++row) {
    bool first = true;
    for (const auto& tensor : outputs) {
      const std::size_t width = tensor.count() / rows;
      for (std::size_t i = 0; i < width; ++i) {
        if (!first) out += ',';
        first = false;
        append_field(out, tensor, row * width + i);
      }
    }
    out += '\n';
  }
  return out;
}

namespace {

constexpr std::array<std::string_view, 2> kTypes = {"application/json", "text/csv"};
constexpr std::size_t kCsv = 1;
constexpr std::string_view kVariant = "X-Amzn-SageMaker-Target-Variant";

Response not_acceptable(std::string message) {
  Response response =
      error_response(Error(Code::kUnsupportedMediaType, std::move(message), "Accept"));
  response.status = 406;
  return response;
}

// Headers of SageMaker's runtime that choose among things of which an endpoint here has one.
Status check_target(const Authorized& call, const std::string& version) {
  const auto& headers = call.request().headers;
  const auto variant = headers.get(kVariant);
  if (!variant.empty() && variant != version) {
    return invalid("TargetVariant",
                   fmt::format("the endpoint '{}' has no variant '{}'; it has '{}'",
                               call.param("name"), printable(variant), version));
  }
  struct Selector {
    std::string_view header, name, reason;
  };
  constexpr std::array<Selector, 4> kSelectors = {{
      {"X-Amzn-SageMaker-Target-Model", "TargetModel", "serves one model and is not a multi-model"},
      {"X-Amzn-SageMaker-Target-Container-Hostname", "TargetContainerHostname",
       "has no containers and is not a multi-container"},
      {"X-Amzn-SageMaker-Inference-Component", "InferenceComponentName",
       "has no inference components and is a plain"},
      {"X-Amzn-SageMaker-Enable-Explanations", "EnableExplanations",
       "has no explainer and is a plain"},
  }};
  for (const auto& selector : kSelectors) {
    if (headers.get(selector.header).empty()) continue;
    return invalid(std::string(selector.name),
                   fmt::format("{}: the endpoint '{}' {} endpoint", selector.name,
                               call.param("name"), selector.reason));
  }
  return {};
}

}  // namespace

Task<Response> invoke(const Authorized& call, Endpoints& endpoints) {
  const auto& headers = call.request().headers;
  // Who names a variant means what is live, or errs.
  const bool pinned = !headers.get(kVariant).empty();
  const auto model = pinned ? endpoints.find(call.caller().project, call.param("name"))
                            : endpoints.choose(call.caller().project, call.param("name"), "",
                                               headers.get(http::kEntity));
  if (!model) co_return error_response(model.error());
  const auto refuse = [&](const Error& error) {
    platform::deployment::count_refused(**model);
    return error_response(error);
  };
  if (const auto right = check_target(call, (*model)->identity->version); !right)
    co_return refuse(right.error());
  const auto accept = call.request().headers.get("Accept");
  const auto media = wire::choose_media(accept, kTypes);
  if (!media) {
    platform::deployment::count_refused(**model);
    co_return not_acceptable(fmt::format(
        "Accept: '{}' allows neither application/json nor text/csv", printable(accept)));
  }
  const auto body = co_await call.read_unpacked_body();
  if (!body) co_return refuse(body.error());
  const auto payload = wire::decode_scoring(*body, call.request().headers.get("Content-Type"));
  if (!payload) co_return refuse(payload.error());
  auto inputs = (*model)->binding->bind(*payload);
  if (!inputs) co_return refuse(inputs.error());
  const auto answer = co_await endpoints.predict(*model, *std::move(inputs));
  if (!answer) co_return unanswered(answer.error());
  const auto& exchange = *answer->exchange;
  const auto rows = exchange.inputs.rows;
  if (*media == kCsv && !is_by_row(rows, exchange.outputs)) {
    co_return not_acceptable(
        "Accept: the outputs of this model are no table; ask for application/json");
  }
  const auto text = *media == kCsv
                        ? predictions_csv(rows, exchange.outputs)
                        : predictions_json((*model)->binding->contract(), rows, exchange.outputs);
  Response response = Response::text(200, text, kTypes.at(*media));
  const auto& identity = *(*model)->identity;
  // No rows, no prediction: nothing is in the log that an id could lead to.
  if (exchange.inputs.rows > 0) response.headers.set("Strata-Prediction-Id", exchange.id);
  response.headers.set("Strata-Model-Digest", identity.digest);
  response.headers.set("Strata-Model-Version", identity.version);
  response.headers.set("x-Amzn-Invoked-Production-Variant", identity.version);
  http::pack_answer(call.request(), response);
  co_return response;
}

}  // namespace strata::doors::scoring
