#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/comparison/description.hpp"
#include "runtime/byte_source.hpp"
#include "wire/inference/mlmodel.hpp"

namespace strata::platform::comparison {

using kernel::Caller;
using kernel::Permission;

namespace {

constexpr std::size_t kMaxDescription = 4 << 20;  // bytes of MLmodel or requirements.txt

Fields fields_of(const std::optional<wire::MlSchema>& schema) {
  Fields fields;
  if (!schema) return fields;
  for (const auto& column : schema->columns) {
    const std::string type(wire::column_type_name(column.type));
    fields.emplace_back(column.name, column.required ? type : type + ", optional");
  }
  for (const auto& tensor : schema->tensors) {
    fields.emplace_back(tensor.name, fmt::format("{} [{}]", wire::element_name(tensor.type),
                                                 fmt::join(tensor.shape, ", ")));
  }
  return fields;
}

Fields fields_of(const std::vector<wire::ParamSpec>& params) {
  Fields fields;
  for (const auto& param : params) {
    const std::string type =
        param.type ? std::string(wire::column_type_name(*param.type)) : "object";
    fields.emplace_back(param.name, param.list ? type + " list" : type);
  }
  return fields;
}

void describe_signature(const std::string& mlmodel, Description& out) {
  const auto described = wire::parse_mlmodel(mlmodel);
  if (!described) {
    // What cannot be read is still told apart by its file.
    out.sections["code"]["signature"] = Json(described.error().message);
    return;
  }
  out.inputs = fields_of(described->inputs);
  out.outputs = fields_of(described->outputs);
  out.params = fields_of(described->params);
}

}  // namespace

Task<Status> Comparison::read_files(const Caller& caller, Description& out) {
  const auto files = co_await ports_.models.version_files(caller, out.model, out.version);
  if (!files) co_return files.error();
  auto& section = out.sections["files"];
  for (const auto& file : *files)
    section[file.path] = Json::object({{"size", file.size}, {"sha256", file.sha256}});
  if (files->empty()) co_return Status();
  const auto resolved =
      co_await ports_.models.resolve(caller, fmt::format("models:/{}/{}", out.model, out.version));
  if (!resolved) co_return resolved.error();
  for (const auto& file : resolved->files) {
    const bool described = file.path == "MLmodel" || file.path == "requirements.txt";
    if (!described || file.size > kMaxDescription) continue;
    auto opened = co_await ports_.models.open(caller, *resolved, file);
    if (!opened) co_return std::move(opened).error();
    const auto text = co_await read_all(*opened->body, kMaxDescription);
    if (!text) co_return text.error();
    if (file.path == "MLmodel")
      describe_signature(*text, out);
    else
      out.sections["requirements"] = requirements_of(*text);
  }
  co_return Status();
}

Task<Status> Comparison::read_run(const Caller& caller, const std::string& id, Description& out) {
  if (!caller.may(Permission::kTrackingRead)) {
    out.hidden.insert({"params", "metrics", "code"});
    co_return Status();
  }
  if (id.empty()) co_return Status();
  const auto run = co_await ports_.tracking.run(caller, id);
  if (!run && run.error().code == Code::kNotFound) co_return Status();
  if (!run) co_return run.error();
  for (const auto& param : run->params)
    out.sections["params"][param.key] = Json(param.value);
  for (const auto& metric : run->metrics)
    out.sections["metrics"][metric.key] = Json(metric.value);
  constexpr std::string_view kSource = "mlflow.source.";
  for (const auto& tag : run->tags) {
    if (tag.key.starts_with(kSource) && tag.key != "mlflow.source.git.diff")
      out.sections["code"][tag.key.substr(kSource.size())] = Json(tag.value);
  }
  co_return Status();
}

Task<Status> Comparison::read_lineage(const Caller& caller, Description& out) {
  if (!caller.may(Permission::kLineageRead)) {
    out.hidden.insert({"data", "verdicts"});
    co_return Status();
  }
  const kernel::NodeRef start{"model", out.model, std::to_string(out.version)};
  const auto graph =
      co_await ports_.lineage.walk(caller.project, start, kernel::Direction::kUpstream);
  if (!graph) co_return graph.error();
  std::map<std::string, std::set<std::string>> states;
  for (const auto& node : graph->nodes) {
    const auto& kind = node.ref.kind;
    if (kind == "table" || kind == "object" || kind == "dataset")
      states[kind + ":" + node.ref.name].insert(node.ref.version.empty() ? node.digest
                                                                         : node.ref.version);
    const auto slash = node.ref.name.find('/');
    const std::string flow = node.facts.text("flow");
    if (kind == "task" && !flow.empty() && slash != std::string::npos)
      out.sections["code"]["step " + flow + node.ref.name.substr(slash)] =
          Json(node.facts.text("version"));
  }
  for (const auto& [name, versions] : states)
    out.sections["data"][name] =
        Json(join(std::vector<std::string>(versions.begin(), versions.end()), ", "));
  const auto report = co_await ports_.verdicts.explain(caller, out.model,
                                                       std::to_string(out.version), std::nullopt);
  if (!report) co_return report.error();
  for (const auto& question : report->report["questions"].as_array())
    out.sections["verdicts"][question.text("question")] = Json(question.text("verdict"));
  co_return Status();
}

Task<Result<Description>> Comparison::describe(const Caller& caller, std::string_view field,
                                               std::string text) {
  constexpr std::string_view kScheme = "models:/";
  if (text.starts_with(kScheme)) text.erase(0, kScheme.size());
  const auto at = text.find_first_of("@/");
  const std::string name = text.substr(0, at);
  const std::string rest = at == std::string::npos ? "" : text.substr(at + 1);
  if (name.empty() || (at != std::string::npos && rest.empty())) {
    co_return invalid(std::string(field),
                      fmt::format("{}: '{}' names no version; write NAME@ALIAS or NAME/VERSION",
                                  field, printable(text)));
  }
  const auto model = co_await ports_.models.model(caller, name);
  if (!model) co_return model.error();
  Result<models::Version> version = not_found("");
  if (at != std::string::npos && text[at] == '@') {
    version = co_await ports_.models.version_by_alias(caller, name, rest);
  } else {
    std::int64_t newest = 0;
    for (const auto& one : model->latest)
      newest = std::max(newest, one.version);
    const auto number = rest.empty() ? std::optional(newest) : to_int(rest);
    if (!number) {
      co_return invalid(std::string(field),
                        fmt::format("{}: '{}' is no number of a version", field, printable(rest)));
    }
    version = co_await ports_.models.version(caller, name, *number);
  }
  if (!version) co_return std::move(version).error();
  Description out;
  out.model = name;
  out.version = version->version;
  out.digest = version->digest;
  out.package_digest = version->package_digest;
  for (const auto& alias : version->aliases)
    out.sections["aliases"][alias] = Json(true);
  out.sections["owner"] = {{"owner", Json(model->owner)}, {"team", Json(model->team)}};
  out.sections["owner"]["registered by"] = Json(version->owner);
  STRATA_CO_TRY(co_await read_files(caller, out));
  STRATA_CO_TRY(co_await read_run(caller, version->run_id, out));
  STRATA_CO_TRY(co_await read_lineage(caller, out));
  co_return out;
}

Task<Result<Json>> Comparison::diff(const Caller& caller, std::string a, std::string b) {
  const auto first = co_await describe(caller, "a", std::move(a));
  if (!first) co_return first.error();
  const auto second = co_await describe(caller, "b", std::move(b));
  if (!second) co_return second.error();
  co_return compare(*first, *second);
}

}  // namespace strata::platform::comparison
