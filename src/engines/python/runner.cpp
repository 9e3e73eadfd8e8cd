#include "engines/python/runner.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::engines::python {

namespace {

using platform::inference::element_of;
using platform::inference::ModelInterface;
using wire::ElementType;
using wire::Tensor;

template <class To, class From>
bool exactly(From value, To& out) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    const double limit = std::ldexp(1.0, std::numeric_limits<To>::digits);
    const auto wide = static_cast<double>(value);
    if (!(wide >= static_cast<double>(std::numeric_limits<To>::lowest()) && wide < limit))
      return false;
  } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    if (!std::in_range<To>(value)) return false;
  }
  out = static_cast<To>(value);
  if constexpr (std::is_floating_point_v<From> && std::is_floating_point_v<To>) {
    return static_cast<From>(out) == value || std::isnan(value);
  } else if constexpr (std::is_floating_point_v<To>) {
    const double limit = std::ldexp(1.0, std::numeric_limits<To>::digits);
    return static_cast<double>(value) >= -limit && static_cast<double>(value) <= limit;
  }
  return static_cast<From>(out) == value;
}

Error misfit(const wire::TensorSpec& spec, const Tensor& given) {
  return Error(
      Code::kInternal,
      fmt::format("the model gave '{}' as {} of shape {}; it promises {} of shape {}",
                  printable(spec.name), element_name(given.type), wire::show_shape(given.shape),
                  element_name(spec.type), wire::show_shape(spec.shape)));
}

bool convertible(ElementType type) {
  return type != ElementType::kText && type != ElementType::kFp16 && type != ElementType::kBool;
}

Result<Tensor> fit(const wire::TensorSpec& spec, Tensor given) {
  bool fits = given.shape.size() == spec.shape.size();
  for (std::size_t i = 0; fits && i < spec.shape.size(); ++i)
    fits = spec.shape[i] < 0 || spec.shape[i] == given.shape[i];
  if (!fits) return misfit(spec, given);
  if (given.type == spec.type) return given;
  if (!convertible(given.type) || !convertible(spec.type)) return misfit(spec, given);
  Tensor out(given.name, spec.type, given.shape);
  bool exact = true;
  with_element(given.type, [&](auto from) {
    const auto values = given.as<decltype(from)>();
    with_element(spec.type, [&](auto to) {
      const auto made = out.allocate<decltype(to)>(values.size());
      for (std::size_t i = 0; i < values.size(); ++i)
        exact &= exactly(values[i], made[i]);
    });
  });
  if (!exact) return misfit(spec, given);
  return out;
}

}  // namespace

Result<ModelInterface> inputs_of(const wire::MlModel& model) {
  ModelInterface interface;
  if (!model.inputs) {
    return Error(Code::kUnsupported,
                 "signature: the model was logged without one, so nothing could be checked; log it "
                 "again with signature=mlflow.models.infer_signature(X, model.predict(X)) or with "
                 "input_example=X");
  }
  for (const auto& column : model.inputs->columns)
    interface.inputs.push_back(
        {column.name.empty() ? "input" : column.name, element_of(column), {-1}});
  for (const auto& tensor : model.inputs->tensors) {
    interface.inputs.push_back(
        {tensor.name.empty() ? "input" : tensor.name, tensor.type, tensor.shape});
  }
  return interface;
}

void learn_outputs(ModelInterface& interface, const wire::WorkerAnswer& answer) {
  interface.bare_output = answer.bare;
  interface.outputs.clear();
  for (const auto& tensor : answer.outputs) {
    auto shape = tensor.shape;
    if (!shape.empty()) shape[0] = -1;
    interface.outputs.push_back({tensor.name, tensor.type, std::move(shape)});
  }
}

bool read_outputs(ModelInterface& interface, const wire::MlModel& model) {
  interface.outputs.clear();
  if (!model.outputs) return false;
  for (const auto& column : model.outputs->columns) {
    interface.outputs.push_back(
        {column.name.empty() ? "predict" : column.name, element_of(column), {-1}});
  }
  for (const auto& tensor : model.outputs->tensors) {
    interface.outputs.push_back(
        {tensor.name.empty() ? "predict" : tensor.name, tensor.type, tensor.shape});
  }
  const bool unnamed = model.outputs->columns.size() == 1   ? model.outputs->columns[0].name.empty()
                       : model.outputs->tensors.size() == 1 ? model.outputs->tensors[0].name.empty()
                                                            : false;
  interface.bare_output = interface.outputs.size() == 1 && unnamed;
  return !interface.outputs.empty();
}

Result<std::vector<Tensor>> fit_outputs(const ModelInterface& interface,
                                        wire::WorkerAnswer answer) {
  if (answer.outputs.size() != interface.outputs.size()) {
    return internal(fmt::format("the model gave {} outputs; it promises {}", answer.outputs.size(),
                                interface.outputs.size()));
  }
  std::vector<Tensor> outputs;
  for (const auto& spec : interface.outputs) {
    Tensor* found = interface.bare_output || answer.bare ? answer.outputs.data() : nullptr;
    for (auto& tensor : answer.outputs) {
      if (found == nullptr && tensor.name == spec.name) found = &tensor;
    }
    if (found == nullptr)
      return internal(fmt::format("the model gave no output '{}'", printable(spec.name)));
    auto tensor = fit(spec, std::move(*found));
    if (!tensor) return std::move(tensor).error();
    outputs.push_back(*std::move(tensor));
  }
  return outputs;
}

Result<std::vector<Tensor>> PythonRunner::run(std::span<const Tensor> inputs,
                                              const std::stop_token& stop) const {
  auto answer = fleet_->call(inputs, std::min(inputs.size(), interface_.inputs.size()), stop);
  if (!answer) return std::move(answer).error();
  return fit_outputs(interface_, *std::move(answer));
}

}  // namespace strata::engines::python
