#include "wire/inference/mlmodel.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/bytes.hpp"
#include "base/json.hpp"

namespace strata::wire {

namespace {

constexpr std::size_t kMaxFile = 4U << 20U;
constexpr std::array<std::string_view, 8> kColumnTypes = {
    "boolean", "integer", "long", "float", "double", "string", "binary", "datetime"};

std::optional<ColumnType> parse_column_type(std::string_view text) {
  for (std::size_t i = 0; i < kColumnTypes.size(); ++i) {
    if (kColumnTypes[i] == text) return static_cast<ColumnType>(i);
  }
  return std::nullopt;
}

Result<TensorSpec> parse_tensor(const Json& item, const std::string& name) {
  const Json& spec = item["tensor-spec"];
  const auto type = parse_numpy_name(spec.text("dtype"));
  if (!type) {
    return Error(Code::kUnsupported,
                 fmt::format("signature: tensor '{}' has type '{}', which is not offered",
                             printable(name), printable(spec.text("dtype"))));
  }
  if (!spec["shape"].is_array()) {
    return Error(Code::kMalformed,
                 fmt::format("signature: tensor '{}' has no shape", printable(name)));
  }
  TensorSpec tensor{name, *type, {}};
  for (const auto& dimension : spec["shape"].as_array()) {
    if (!dimension.is_int() || dimension.as_int() < -1) {
      return Error(
          Code::kMalformed,
          fmt::format("signature: tensor '{}' has a shape that is no list of sizes, or -1 for a "
                      "free one",
                      printable(name)));
    }
    tensor.shape.push_back(dimension.as_int());
  }
  return tensor;
}

Result<MlSchema> parse_schema(std::string_view text) {
  auto items = parse_json(text);
  if (!items) return items.error().wrap("signature: the schema is not JSON");
  if (!items->is_array()) return Error(Code::kMalformed, "signature: the schema is no JSON array");
  MlSchema schema;
  for (const auto& item : items->as_array()) {
    const std::string name = item.text("name");
    const std::string type = item.text("type");
    if (type == "tensor") {
      auto tensor = parse_tensor(item, name);
      if (!tensor) return std::move(tensor).error();
      schema.tensors.push_back(*std::move(tensor));
      continue;
    }
    const auto column = parse_column_type(type);
    if (!column) {
      return Error(Code::kUnsupported,
                   fmt::format("signature: column '{}' has type '{}'; offered are {}",
                               printable(name), printable(type), fmt::join(kColumnTypes, ", ")));
    }
    schema.columns.push_back({name, *column, item.boolean("required", true)});
  }
  if (!schema.columns.empty() && !schema.tensors.empty()) {
    return Error(Code::kMalformed, "signature: columns and tensors are mixed in one schema");
  }
  return schema;
}

std::string scalar_of(const YAML::Node& node) {
  return node && node.IsScalar() ? node.Scalar() : std::string();
}

Result<std::optional<MlSchema>> schema_of(const YAML::Node& signature, const char* side) {
  const YAML::Node text = signature[side];
  if (!text || !text.IsScalar()) return std::optional<MlSchema>();
  auto schema = parse_schema(text.Scalar());
  if (!schema) return std::move(schema).error();
  if (schema->columns.empty() && schema->tensors.empty()) return std::optional<MlSchema>();
  return std::optional<MlSchema>(*std::move(schema));
}

Result<std::vector<ParamSpec>> params_of(const YAML::Node& signature) {
  std::vector<ParamSpec> params;
  const std::string text = scalar_of(signature["params"]);
  if (text.empty() || text == "null" || text == "~") return params;
  auto items = parse_json(text);
  if (!items) return items.error().wrap("signature: the params are not JSON");
  if (!items->is_array()) return Error(Code::kMalformed, "signature: the params are no JSON array");
  for (const auto& item : items->as_array()) {
    ParamSpec param{item.text("name"), std::nullopt, item["shape"].is_array()};
    const std::string type = item.text("type", item.text("dtype"));
    if (type != "object") {
      param.type = parse_column_type(type);
      if (!param.type) {
        return Error(
            Code::kUnsupported,
            fmt::format("signature: param '{}' has type '{}'; offered are {}",
                        printable(param.name), printable(type), fmt::join(kColumnTypes, ", ")));
      }
    }
    params.push_back(std::move(param));
  }
  return params;
}

Result<MlModel> read_document(const YAML::Node& root) {
  MlModel model;
  if (!root.IsMap() || !root["flavors"] || !root["flavors"].IsMap()) {
    return Error(Code::kMalformed,
                 "MLmodel: there is no 'flavors' mapping; is this an MLflow model directory?");
  }
  for (const auto& flavor : root["flavors"]) {
    auto& settings = model.flavors[flavor.first.Scalar()];
    if (!flavor.second.IsMap()) continue;
    for (const auto& setting : flavor.second) {
      if (setting.second.IsScalar()) settings[setting.first.Scalar()] = setting.second.Scalar();
    }
  }
  model.run_id = scalar_of(root["run_id"]);
  model.model_uuid = scalar_of(root["model_uuid"]);
  model.mlflow_version = scalar_of(root["mlflow_version"]);
  const YAML::Node signature = root["signature"];
  if (!signature || !signature.IsMap()) return model;
  auto inputs = schema_of(signature, "inputs");
  if (!inputs) return std::move(inputs).error();
  model.inputs = *std::move(inputs);
  auto params = params_of(signature);
  if (!params) return std::move(params).error();
  model.params = *std::move(params);
  auto outputs = schema_of(signature, "outputs");
  // Outputs only name what the engine gives: a kind that is not known here takes nothing from the
  // model's use.
  if (outputs) model.outputs = *std::move(outputs);
  return model;
}

}  // namespace

std::string_view column_type_name(ColumnType type) {
  return kColumnTypes[static_cast<std::size_t>(type)];
}

Result<MlModel> parse_mlmodel(std::string_view yaml) {
  if (yaml.size() > kMaxFile)
    return Error(Code::kTooLarge, "MLmodel: the file is larger than 4 MiB");
  try {
    return read_document(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& e) {
    return Error(Code::kMalformed, fmt::format("MLmodel: {}", printable(e.what(), 300)));
  }
}

}  // namespace strata::wire
