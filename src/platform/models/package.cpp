#include "platform/models/package.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/text.hpp"
#include "wire/inference/mlmodel.hpp"
#include "wire/package/python_env.hpp"
#include "wire/package/requirement.hpp"

namespace strata::platform::models {

namespace {

using Texts = std::map<std::string, std::string, std::less<>>;

Json maybe(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json schema_json(const std::optional<wire::MlSchema>& schema) {
  Json list = Json::array();
  if (!schema) return list;
  for (const auto& column : schema->columns) {
    list.push(Json::object({{"name", column.name},
                            {"type", wire::column_type_name(column.type)},
                            {"required", column.required}}));
  }
  for (const auto& tensor : schema->tensors) {
    Json shape = Json::array();
    for (const auto dimension : tensor.shape)
      shape.push(dimension);
    list.push(Json::object(
        {{"name", tensor.name}, {"type", wire::element_name(tensor.type)}, {"shape", shape}}));
  }
  return list;
}

Json signature_json(const wire::MlModel& model) {
  if (!model.inputs && !model.outputs) return {};
  Json params = Json::array();
  for (const auto& param : model.params) {
    const Json type =
        param.type ? Json(wire::column_type_name(*param.type)) : Json(std::string_view("object"));
    params.push(Json::object({{"name", param.name}, {"type", type}, {"list", param.list}}));
  }
  return Json::object({{"inputs", schema_json(model.inputs)},
                       {"outputs", schema_json(model.outputs)},
                       {"params", params}});
}

// What the describing files say, each taken where it is said most exactly.
class Description {
 public:
  explicit Description(const Texts& texts) : texts_(texts) {
    read_model();
    read_environment();
    read_lock();
  }

  void add_to(Json& manifest) const {
    manifest.set("signature", signature_);
    manifest.set("runtime", Json::object({{"python", maybe(python_)},
                                          {"flavors", flavors_},
                                          {"mlflow_version", maybe(mlflow_version_)}}));
    manifest.set("dependencies", dependencies());
    Json problems = Json::array();
    for (const auto& problem : problems_)
      problems.push(problem);
    manifest.set("problems", problems);
  }

  Json accelerator() const {
    for (const auto& requirement : requirements_) {
      if (needs_cuda(requirement)) return "cuda";
    }
    return {};
  }

 private:
  const std::string* text(std::string_view file) const {
    const auto found = texts_.find(file);
    return found == texts_.end() ? nullptr : &found->second;
  }

  void read_model() {
    const auto* const yaml = text("MLmodel");
    if (yaml == nullptr) return;
    const auto model = wire::parse_mlmodel(*yaml);
    if (!model) {
      problems_.push_back(model.error().message);
      return;
    }
    signature_ = signature_json(*model);
    mlflow_version_ = model->mlflow_version;
    for (const auto& [flavor, settings] : model->flavors) {
      flavors_.push(flavor);
      const auto version = settings.find("python_version");
      if (flavor == "python_function" && version != settings.end()) python_ = version->second;
    }
  }

  void read_environment() {
    if (const auto* const yaml = text("conda.yaml")) {
      const auto env = wire::parse_conda_env(*yaml);
      if (!env) {
        problems_.push_back(env.error().message);
      } else {
        if (!env->python.empty()) python_ = env->python;
        if (!env->dependencies.empty()) take_lines("conda.yaml", env->dependencies);
        conda_ = env->conda;
      }
    }
    if (const auto* const yaml = text("python_env.yaml")) {
      const auto env = wire::parse_python_env(*yaml);
      if (!env) {
        problems_.push_back(env.error().message);
      } else {
        if (!env->python.empty()) python_ = env->python;
        if (!env->dependencies.empty()) take_lines("python_env.yaml", env->dependencies);
      }
    }
    if (const auto* const lines = text("requirements.txt")) {
      source_ = "requirements.txt";
      wanted_ = *lines;
    }
  }

  void take_lines(std::string_view file, const std::vector<std::string>& lines) {
    source_ = file;
    wanted_ = join(lines, "\n");
  }

  void read_lock() {
    const auto lines = wire::read_requirements(wanted_);
    if (!lines) {
      problems_.push_back(fmt::format("{}: {}", source_, lines.error().message));
      complete_ = false;
      return;
    }
    for (const auto& line : *lines) {
      lock_.insert(line.requirement ? line.requirement->canonical() : line.text);
      if (line.requirement) requirements_.push_back(*line.requirement);
      if (!line.open.empty())
        add_open(source_, static_cast<std::int64_t>(line.line), line.text, line.open);
    }
    for (const auto& spec : conda_) {
      lock_.insert("conda:" + spec);
      add_open("conda.yaml", Json(), spec, "is a package of conda, not of pip");
    }
  }

  void add_open(std::string_view file, const Json& line, std::string_view what,
                std::string_view why) {
    open_.push(Json::object({{"file", file}, {"line", line}, {"text", what}, {"why", why}}));
  }

  Json dependencies() const {
    if (source_.empty()) return {};
    // A comment for pip, so that the lock is a requirements file as it stands.
    std::string text = python_.empty() ? "" : fmt::format("# python {}\n", python_);
    Json lock = Json::array();
    for (const auto& line : lock_) {
      text += line + "\n";
      lock.push(line);
    }
    return Json::object({{"from", source_},
                         {"lock", lock},
                         {"lock_digest", content_digest(text)},
                         {"complete", complete_ && open_.size() == 0},
                         {"open", open_}});
  }

  static bool needs_cuda(const wire::Requirement& requirement) {
    const std::string& name = requirement.name;
    if (name.starts_with("nvidia-") || name.starts_with("cupy-cuda") || name == "tensorrt" ||
        name.ends_with("-gpu"))
      return true;
    return std::any_of(requirement.clauses.begin(), requirement.clauses.end(),
                       [](const auto& clause) { return clause.version.contains("+cu"); });
  }

  const Texts& texts_;
  Json signature_;
  Json flavors_ = Json::array();
  std::string mlflow_version_, python_, source_, wanted_;
  std::vector<std::string> conda_;
  std::vector<wire::Requirement> requirements_;
  std::set<std::string> lock_;
  Json open_ = Json::array();
  std::vector<std::string> problems_;
  bool complete_ = true;
};

}  // namespace

Json sorted_members(const Json& value) {
  if (value.is_array()) {
    Json out = Json::array();
    for (const auto& item : value.as_array())
      out.push(sorted_members(item));
    return out;
  }
  if (!value.is_object()) return value;
  Json::Object members = value.as_object();
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [name, member] : members)
    member = sorted_members(member);
  return members;
}

std::string package_manifest(const std::vector<ModelFile>& files, std::string_view digest,
                             std::string_view package_digest, const Texts& texts) {
  Json list = Json::array();
  std::uint64_t bytes = 0;
  for (const auto& file : files) {
    bytes += file.size;
    list.push(Json::object({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}}));
  }
  const Description description(texts);
  Json manifest = Json::object({{"format", "strata.package/1"},
                                {"digest", digest},
                                {"package_digest", package_digest},
                                {"files", list}});
  description.add_to(manifest);
  manifest.set("hardware",
               Json::object({{"accelerator", description.accelerator()}, {"disk_bytes", bytes}}));
  return sorted_members(manifest).dump();
}

}  // namespace strata::platform::models
