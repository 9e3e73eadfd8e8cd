#include "platform/inference/inference.hpp"

#include <cstring>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/inference/convert.hpp"
#include "platform/inference/params.hpp"

namespace strata::platform::inference {

namespace {

using wire::ColumnType;
using wire::ElementType;
using wire::Tensor;

Error misfit(std::string message) {
  return Error(Code::kUnsupported, "signature: " + std::move(message));
}

std::string label(std::string_view kind, std::string_view name) {
  return fmt::format("{} '{}'", kind, printable(name));
}

// LightGBM replaces white space in the names that it stores.
std::string stored_name(std::string name) {
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

// Reads any numbers as double, one after the other, `stride` apart.
void copy_as_double(const Tensor& from, double* out, std::size_t stride) {
  with_element(from.type, [&](auto zero) {
    const auto values = from.as<decltype(zero)>();
    for (std::size_t i = 0; i < values.size(); ++i)
      out[i * stride] = static_cast<double>(values[i]);
  });
}

bool shape_fits(std::span<const std::int64_t> shape, std::span<const std::int64_t> wanted) {
  if (shape.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (wanted[i] >= 0 && wanted[i] != shape[i]) return false;
  }
  return true;
}

}  // namespace

ElementType element_of(const wire::ColumnSpec& column) {
  switch (column.type) {
    case ColumnType::kBoolean:
      // An optional whole number may be missing, which only floating point can say.
      return column.required ? ElementType::kBool : ElementType::kFp64;
    case ColumnType::kInteger:
      return column.required ? ElementType::kInt32 : ElementType::kFp64;
    case ColumnType::kLong:
      return column.required ? ElementType::kInt64 : ElementType::kFp64;
    case ColumnType::kFloat:
      return ElementType::kFp32;
    case ColumnType::kDouble:
      return ElementType::kFp64;
    default:
      return ElementType::kText;
  }
}

Result<Binding> Binding::make(const wire::MlModel& model, const ModelInterface& interface) {
  Binding binding;
  binding.runner_inputs_ = interface.inputs;
  binding.params_ = model.params;
  binding.contract_.outputs = interface.outputs;
  binding.contract_.bare_output = interface.bare_output;
  if (interface.bare_output && model.outputs && model.outputs->tensors.size() == 1 &&
      !model.outputs->tensors[0].name.empty()) {
    binding.contract_.outputs[0].name = model.outputs->tensors[0].name;
  }
  if (model.inputs && !model.inputs->columns.empty()) {
    STRATA_TRY(binding.bind_columns_of(*model.inputs, interface));
    return binding;
  }
  if (model.inputs) {
    STRATA_TRY(binding.bind_tensors_of(*model.inputs, interface));
    return binding;
  }
  if (interface.bare_output) {
    return misfit(
        "the model was logged without one, so nothing could be checked; log it again with "
        "signature=mlflow.models.infer_signature(X, model.predict(X))");
  }
  // An ONNX graph declares its own inputs: names, types and shapes are enforced all the same.
  binding.contract_.tensors = interface.inputs;
  return binding;
}

Status Binding::bind_columns_of(const wire::MlSchema& schema, const ModelInterface& interface) {
  std::size_t text_columns = 0;
  for (const auto& column : schema.columns) {
    if (column.type == ColumnType::kBinary || column.type == ColumnType::kDatetime) {
      return misfit(fmt::format(
          "column '{}' has type {}; offered are boolean, integer, long, float, double and string",
          printable(column.name), column_type_name(column.type)));
    }
    const std::string name = column.name.empty() ? "input" : column.name;
    contract_.columns.push_back({name, column.type, element_of(column), column.required});
    if (column.type == ColumnType::kString) ++text_columns;
  }
  categories_.resize(contract_.columns.size());
  matrix_ = interface.inputs.size() == 1 && interface.inputs[0].shape.size() == 2;
  if (!matrix_) {
    for (const auto& input : interface.inputs) {
      const bool known = std::any_of(contract_.columns.begin(), contract_.columns.end(),
                                     [&](const Column& c) { return c.name == input.name; });
      if (!known)
        return misfit(fmt::format("the model takes an input '{}', which is no column",
                                  printable(input.name)));
    }
    return {};
  }
  const std::int64_t width = interface.inputs[0].shape[1];
  if (width >= 0 && static_cast<std::size_t>(width) != contract_.columns.size()) {
    return misfit(fmt::format("it has {} columns, the model takes {} features",
                              contract_.columns.size(), width));
  }
  for (std::size_t i = 0; i < interface.features.size() && i < contract_.columns.size(); ++i) {
    const auto& name = contract_.columns[i].name;
    if (name == interface.features[i] || stored_name(name) == interface.features[i]) continue;
    return misfit(fmt::format("column {} is '{}', but the model was trained with '{}' there", i,
                              printable(contract_.columns[i].name),
                              printable(interface.features[i])));
  }
  if (interface.inputs[0].type == ElementType::kText) return {};
  if (text_columns != interface.categories.size()) {
    return misfit(
        fmt::format("it has {} string columns, the model knows categories of {}; train it on a "
                    "data frame whose "
                    "text columns have dtype 'category'",
                    text_columns, interface.categories.size()));
  }
  std::size_t next = 0;
  for (std::size_t i = 0; i < contract_.columns.size(); ++i) {
    if (contract_.columns[i].type != ColumnType::kString) continue;
    const auto& texts = interface.categories[next++];
    for (std::size_t code = 0; code < texts.size(); ++code)
      categories_[i].emplace(texts[code], static_cast<double>(code));
  }
  return {};
}

Status Binding::bind_tensors_of(const wire::MlSchema& schema, const ModelInterface& interface) {
  if (schema.tensors.size() != interface.inputs.size()) {
    return misfit(fmt::format("it has {} tensors, the model takes {}", schema.tensors.size(),
                              interface.inputs.size()));
  }
  for (const auto& input : interface.inputs) {
    const wire::TensorSpec* spec = nullptr;
    for (const auto& tensor : schema.tensors) {
      if (tensor.name == input.name || (tensor.name.empty() && schema.tensors.size() == 1))
        spec = &tensor;
    }
    if (spec == nullptr && interface.bare_output) spec = &schema.tensors[0];
    if (spec == nullptr) {
      return misfit(fmt::format("the model takes an input '{}', which it does not name",
                                printable(input.name)));
    }
    wire::TensorSpec merged{spec->name.empty() ? input.name : spec->name, spec->type, spec->shape};
    if (merged.shape.size() != input.shape.size()) {
      return misfit(fmt::format("tensor '{}' has shape {}, the model takes {}",
                                printable(merged.name), wire::show_shape(merged.shape),
                                wire::show_shape(input.shape)));
    }
    for (std::size_t i = 0; i < merged.shape.size(); ++i) {
      if (merged.shape[i] < 0) merged.shape[i] = input.shape[i];
      if (input.shape[i] >= 0 && merged.shape[i] != input.shape[i]) {
        return misfit(fmt::format("tensor '{}' has shape {}, the model takes {}",
                                  printable(merged.name), wire::show_shape(merged.shape),
                                  wire::show_shape(input.shape)));
      }
    }
    contract_.tensors.push_back(std::move(merged));
  }
  return {};
}

Result<Inputs> Binding::bind_matrix(const Tensor& matrix) const {
  const std::size_t width = contract_.columns.size();
  const auto rows = static_cast<std::size_t>(matrix.shape[0]);
  std::vector<Tensor> columns;
  for (std::size_t c = 0; c < width; ++c) {
    Tensor column(contract_.columns[c].name, matrix.type, {matrix.shape[0]});
    if (matrix.type == ElementType::kText) {
      for (std::size_t r = 0; r < rows; ++r)
        column.texts.push_back(matrix.texts[r * width + c]);
    } else {
      with_element(matrix.type, [&](auto zero) {
        using T = decltype(zero);
        const auto out = column.allocate<T>(rows);
        for (std::size_t r = 0; r < rows; ++r)
          out[r] = matrix.as<T>()[r * width + c];
      });
    }
    columns.push_back(std::move(column));
  }
  return bind(std::move(columns));
}

// An optional input's misspelt name would otherwise leave it unset in silence. Most clients send
// the inputs in the model's order.
Status Binding::check_known(std::span<const Tensor> tensors) const {
  const auto name_at = [this](std::size_t i) -> const std::string& {
    const auto columns = contract_.columns.size();
    return i < columns ? contract_.columns[i].name : contract_.tensors[i - columns].name;
  };
  const auto known = contract_.columns.size() + contract_.tensors.size();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& name = tensors[i].name;
    bool found = i < known && name_at(i) == name;
    for (std::size_t k = 0; k < known && !found; ++k)
      found = name_at(k) == name;
    if (found) continue;
    constexpr std::size_t kShown = 20;
    std::vector<std::string> names;
    for (std::size_t k = 0; k < std::min(known, kShown); ++k)
      names.push_back(name_at(k));
    const auto more = known > kShown ? fmt::format(" and {} more", known - kShown) : "";
    return invalid(name, fmt::format("{}: the model has no such input; it takes {}{}",
                                     label("input", name), printable(join(names, ", ")), more));
  }
  return {};
}

Result<Inputs> Binding::bind(std::vector<Tensor> tensors) const {
  if (!contract_.columns.empty() && tensors.size() == 1 && tensors[0].shape.size() == 2 &&
      (contract_.columns.size() > 1 || tensors[0].name != contract_.columns[0].name)) {
    const auto& matrix = tensors[0];
    if (static_cast<std::size_t>(matrix.shape[1]) != contract_.columns.size()) {
      return invalid(matrix.name,
                     fmt::format("{}: shape is {}; a matrix of all columns has {} of them",
                                 label("input", matrix.name), wire::show_shape(matrix.shape),
                                 contract_.columns.size()));
    }
    return bind_matrix(matrix);
  }
  STRATA_TRY(check_known(tensors));
  const auto take = [&](const std::string& name) -> Tensor* {
    for (auto& tensor : tensors) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  };
  std::vector<Tensor> bound;
  for (std::size_t i = 0; i < contract_.columns.size(); ++i) {
    const auto& column = contract_.columns[i];
    Tensor* sent = take(column.name);
    const std::string what = label("input", column.name);
    if (sent == nullptr) {
      if (column.required) return invalid(column.name, fmt::format("{}: is missing", what));
      bound.emplace_back();
      continue;
    }
    const auto& shape = sent->shape;
    if (shape.size() != 1 && !(shape.size() == 2 && shape[1] == 1)) {
      return invalid(column.name,
                     fmt::format("{}: shape is {}; a column has shape [rows] or [rows,1]", what,
                                 wire::show_shape(shape)));
    }
    sent->shape = {shape[0]};
    auto converted = convert(*sent, column.element, what);
    if (!converted) return std::move(converted).error();
    if (sent->type == column.element) {
      bound.push_back(std::move(*sent));  // owns or views its bytes already
    } else {
      bound.push_back(*std::move(converted));
    }
  }
  for (const auto& spec : contract_.tensors) {
    Tensor* sent = take(spec.name);
    if (sent == nullptr) {
      return invalid(spec.name, fmt::format("{}: is missing", label("input", spec.name)));
    }
    auto converted = convert(*sent, spec.type, label("input", spec.name));
    if (!converted) return std::move(converted).error();
    bound.push_back(sent->type == spec.type ? std::move(*sent) : *std::move(converted));
  }
  return finish(std::move(bound));
}

Result<Inputs> Binding::bind(const wire::ScoringRequest& request) const {
  STRATA_TRY(check_params(params_, request));
  return contract_.columns.empty() ? bind_arrays(request) : bind_frame(request);
}

// Values without column names as named columns, in the signature's order.
Result<std::vector<wire::ScoringArray>> Binding::name_columns(
    const wire::ScoringArray& whole) const {
  const std::size_t width = contract_.columns.size();
  std::vector<wire::ScoringArray> columns;
  if (width == 1) {
    columns.push_back(whole);
    columns[0].name = contract_.columns[0].name;
    return columns;
  }
  if (whole.shape.size() != 2 || static_cast<std::size_t>(whole.shape[1]) != width) {
    return invalid("body",
                   fmt::format("body: values without column names have shape {}; needed are "
                               "rows of {} values, or names",
                               wire::show_shape(whole.shape), width));
  }
  for (std::size_t c = 0; c < width; ++c) {
    auto& column = columns.emplace_back();
    column.name = contract_.columns[c].name;
    column.shape = {whole.shape[0]};
    for (std::size_t at = c; at < whole.cells.size(); at += width) {
      column.cells.push_back(whole.cells[at]);
    }
  }
  return columns;
}

// An absent optional column gives an empty tensor, which finish() fills in.
Result<Tensor> Binding::bind_column(const Column& column, const wire::ScoringArray* sent,
                                    const wire::ScoringRequest& request) const {
  const std::string what = label("column", column.name);
  if (sent == nullptr) {
    if (!column.required) return Tensor();
    return invalid(column.name,
                   fmt::format("{}: is missing; the model's signature requires it", what));
  }
  if (sent->shape.size() > 2 || (sent->shape.size() == 2 && sent->shape[1] != 1)) {
    return invalid(column.name, fmt::format("{}: has shape {}; a column has one value for each row",
                                            what, wire::show_shape(sent->shape)));
  }
  // pandas holds a missing value in a floating-point column as NaN, required or not.
  const bool floating =
      column.element == ElementType::kFp64 || column.element == ElementType::kFp32;
  const CellRules rules{floating || !column.required, request.form == wire::ScoringForm::kCsv,
                        column_type_name(column.type), request.first_row};
  auto tensor = convert(*sent, request.texts, column.element, rules, what);
  if (!tensor) return tensor;
  tensor->name = column.name;
  tensor->shape = {static_cast<std::int64_t>(sent->cells.size())};
  return tensor;
}

Result<Inputs> Binding::bind_frame(const wire::ScoringRequest& request) const {
  std::vector<wire::ScoringArray> named;
  const bool unnamed = request.arrays.size() == 1 && request.arrays[0].name.empty();
  if (unnamed) {
    auto columns = name_columns(request.arrays[0]);
    if (!columns) return std::move(columns).error();
    named = *std::move(columns);
  }
  const auto& arrays = unnamed ? named : request.arrays;
  std::vector<Tensor> tensors;
  for (const auto& column : contract_.columns) {
    const auto sent = std::find_if(arrays.begin(), arrays.end(),
                                   [&](const auto& array) { return array.name == column.name; });
    auto tensor = bind_column(column, sent == arrays.end() ? nullptr : &*sent, request);
    if (!tensor) return std::move(tensor).error();
    tensors.push_back(*std::move(tensor));
  }
  return finish(std::move(tensors));
}

// A data frame for a model of one tensor: its rows of columns as one array.
Result<wire::ScoringArray> Binding::join_columns(const wire::ScoringRequest& request) const {
  wire::ScoringArray joined;
  const auto rows = static_cast<std::size_t>(request.arrays[0].shape[0]);
  joined.shape = {request.arrays[0].shape[0], static_cast<std::int64_t>(request.arrays.size())};
  for (const auto& array : request.arrays) {
    if (array.shape.size() != 1 || array.cells.size() != rows) {
      return invalid(array.name, fmt::format("{}: is no column of {} values",
                                             label("column", array.name), rows));
    }
  }
  for (std::size_t r = 0; r < rows; ++r) {
    for (const auto& array : request.arrays)
      joined.cells.push_back(array.cells[r]);
  }
  return joined;
}

Result<Inputs> Binding::bind_arrays(const wire::ScoringRequest& request) const {
  const bool csv = request.form == wire::ScoringForm::kCsv;
  const bool frame = csv || request.form == wire::ScoringForm::kSplit ||
                     request.form == wire::ScoringForm::kRecords;
  const bool one = contract_.tensors.size() == 1;
  const bool unnamed = request.arrays.size() == 1 && request.arrays[0].name.empty();
  const wire::ScoringArray* whole = one && unnamed ? &request.arrays[0] : nullptr;
  wire::ScoringArray joined;
  if (one && frame && !unnamed && !request.arrays.empty() && request.arrays[0].shape.size() == 1) {
    auto columns = join_columns(request);
    if (!columns) return std::move(columns).error();
    joined = *std::move(columns);
    whole = &joined;
  }
  std::vector<Tensor> tensors;
  for (const auto& spec : contract_.tensors) {
    const wire::ScoringArray* sent = whole;
    for (const auto& array : request.arrays) {
      if (whole == nullptr && array.name == spec.name) sent = &array;
    }
    const std::string what = label("input", spec.name);
    if (sent == nullptr) return invalid(spec.name, fmt::format("{}: is missing", what));
    const bool floating = spec.type == ElementType::kFp64 || spec.type == ElementType::kFp32;
    const CellRules rules{floating, csv, element_name(spec.type), request.first_row};
    auto tensor = convert(*sent, request.texts, spec.type, rules, what);
    if (!tensor) return std::move(tensor).error();
    tensor->name = spec.name;
    tensors.push_back(*std::move(tensor));
  }
  return finish(std::move(tensors));
}

Tensor Binding::blank_column(std::size_t index, std::size_t rows) const {
  const auto& column = contract_.columns[index];
  Tensor tensor(column.name, column.element, {static_cast<std::int64_t>(rows)});
  if (column.element == ElementType::kText) {
    tensor.texts.resize(rows);
    tensor.missing.assign(rows, 1);
  } else if (column.element == ElementType::kFp32) {
    for (auto& v : tensor.allocate<float>(rows))
      v = std::numeric_limits<float>::quiet_NaN();
  } else {
    for (auto& v : tensor.allocate<double>(rows))
      v = std::numeric_limits<double>::quiet_NaN();
  }
  return tensor;
}

// Counts the rows and fills in optional columns that were not sent.
Result<Inputs> Binding::finish(std::vector<Tensor> tensors) const {
  Inputs inputs;
  if (!contract_.columns.empty()) {
    const Tensor* first = nullptr;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].shape.empty()) continue;
      if (first == nullptr) first = &tensors[i];
      if (tensors[i].shape[0] != first->shape[0]) {
        return invalid(tensors[i].name,
                       fmt::format("{}: has {} rows, '{}' has {}", label("column", tensors[i].name),
                                   tensors[i].shape[0], printable(first->name), first->shape[0]));
      }
    }
    if (first == nullptr) return invalid("body", "body: none of the model's columns was sent");
    inputs.rows = static_cast<std::size_t>(first->shape[0]);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].shape.empty()) tensors[i] = blank_column(i, inputs.rows);
    }
    inputs.tensors = std::move(tensors);
    return inputs;
  }
  bool rows_are_free = true;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& spec = contract_.tensors[i];
    if (!shape_fits(tensors[i].shape, spec.shape)) {
      return invalid(spec.name,
                     fmt::format("{}: shape is {}, the model takes {}", label("input", spec.name),
                                 wire::show_shape(tensors[i].shape), wire::show_shape(spec.shape)));
    }
    rows_are_free &=
        !spec.shape.empty() && spec.shape[0] < 0 && tensors[i].shape[0] == tensors[0].shape[0];
  }
  inputs.rows = rows_are_free ? static_cast<std::size_t>(tensors[0].shape[0]) : 1;
  inputs.tensors = std::move(tensors);
  return inputs;
}

Inputs Binding::blank() const {
  Inputs inputs;
  inputs.rows = 1;
  const auto add = [&](const std::string& name, ElementType type, std::vector<std::int64_t> shape) {
    for (auto& dimension : shape)
      dimension = dimension < 0 ? 1 : dimension;
    Tensor tensor(name, type, std::move(shape));
    if (type == ElementType::kText) {
      tensor.texts.resize(tensor.count());
    } else {
      with_element(type, [&](auto zero) { tensor.allocate<decltype(zero)>(tensor.count()); });
    }
    inputs.tensors.push_back(std::move(tensor));
  };
  for (const auto& column : contract_.columns)
    add(column.name, column.element, {1});
  for (const auto& spec : contract_.tensors)
    add(spec.name, spec.type, spec.shape);
  return inputs;
}

Status Binding::fill_matrix(const Inputs& inputs, Tensor& matrix) const {
  const std::size_t width = inputs.tensors.size();
  std::vector<double> values(inputs.rows * width);
  for (std::size_t c = 0; c < width; ++c) {
    const auto& column = inputs.tensors[c];
    if (column.type != ElementType::kText) {
      copy_as_double(column, values.data() + c, width);
      continue;
    }
    for (std::size_t r = 0; r < inputs.rows; ++r) {
      const auto code = categories_[c].find(column.texts[r]);
      values[r * width + c] = column.is_missing(r) || code == categories_[c].end()
                                  ? std::numeric_limits<double>::quiet_NaN()
                                  : code->second;
    }
  }
  Tensor wide("input", ElementType::kFp64, matrix.shape);
  wide.view({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)});
  if (matrix.type == ElementType::kFp64) {
    const auto out = matrix.allocate<double>(values.size());
    std::copy(values.begin(), values.end(), out.begin());
    return {};
  }
  auto narrow = convert(wide, matrix.type, "input");
  if (!narrow) return std::move(narrow).error();
  narrow->name = matrix.name;
  matrix = *std::move(narrow);
  return {};
}

Result<std::vector<Tensor>> Binding::to_runner(const Inputs& inputs) const {
  std::vector<Tensor> out;
  if (matrix_) {
    const auto& spec = runner_inputs_[0];
    Tensor matrix(
        spec.name, spec.type,
        {static_cast<std::int64_t>(inputs.rows), static_cast<std::int64_t>(inputs.tensors.size())});
    if (spec.type == ElementType::kText) {
      for (std::size_t r = 0; r < inputs.rows; ++r) {
        for (const auto& column : inputs.tensors) {
          if (column.type != ElementType::kText)
            return misfit("the model takes texts, the columns are numbers");
          matrix.texts.push_back(column.texts[r]);
        }
      }
    } else {
      STRATA_TRY(fill_matrix(inputs, matrix));
    }
    out.push_back(std::move(matrix));
    return out;
  }
  for (std::size_t i = 0; i < runner_inputs_.size(); ++i) {
    const auto& spec = runner_inputs_[i];
    const Tensor* source = contract_.columns.empty() ? &inputs.tensors[i] : nullptr;
    for (const auto& tensor : inputs.tensors) {
      if (source == nullptr && tensor.name == spec.name) source = &tensor;
    }
    auto tensor = convert(*source, spec.type, label("input", spec.name));
    if (!tensor) return std::move(tensor).error();
    tensor->name = spec.name;
    // A column is a tensor of one value for each row, however the model likes to see that.
    if (!contract_.columns.empty() && spec.shape.size() == 2) tensor->shape = {tensor->shape[0], 1};
    out.push_back(*std::move(tensor));
  }
  return out;
}

}  // namespace strata::platform::inference
