#include "resources/workflow/step_launch.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/log.hpp"

namespace strata::resources::workflow {
namespace {

std::string plain_text(const Json& value) {
  return value.is_string() ? value.as_string() : value.dump();
}

class Preparation {
 public:
  Preparation(const Ports& ports, ContentStore& content, const RunContext& context,
              const scheduler::StartAttempt& start)
      : ports_(ports),
        content_(content),
        context_(context),
        start_(start) {}

  Result<orchestrator::Launch> make(const std::vector<Output>& outputs) {
    const std::string& name = start_.task.plan.step;
    step_ = context_.spec.step(name);
    if (step_ == nullptr)
      return internal(fmt::format("the pipeline's version has no step '{}'", name));
    auto directory = orchestrator::attempt_directory(ports_.data, start_.token);
    if (!directory) return directory.error();
    launch_.token = start_.token;
    launch_.directory = std::move(*directory);
    launch_.timeout = step_->timeout;
    STRATA_TRY(lay_inputs(outputs));
    if (!context_.spec.package.empty()) {
      auto package = content_.unpacked(context_.spec.package);
      if (!package) return package.error();
      launch_.package = std::move(*package);
    }
    STRATA_TRY(set_environment());
    STRATA_TRY(set_command());
    return std::move(launch_);
  }

 private:
  std::string folder(std::string_view name) const {
    return fmt::format("{}/{}", launch_.directory, name);
  }

  Status lay_inputs(const std::vector<Output>& outputs) {
    STRATA_TRY(ports_.files.make_dirs(folder(orchestrator::kOutputsFolder)));
    STRATA_TRY(ports_.files.make_dirs(folder(orchestrator::kInputsFolder)));
    for (const Output& output : outputs) {
      if (std::ranges::find(step_->needs, output.step) == step_->needs.end()) continue;
      const auto source = content_.path_of(output.digest);
      if (!source) return source.error();
      const std::string target =
          fmt::format("{}/{}", folder(orchestrator::kInputsFolder), output.step);
      STRATA_TRY(ports_.files.make_dirs(target));
      const auto linked = ports_.files.link(*source, target + "/" + output.name);
      if (!linked && linked.error().code != Code::kAlreadyExists) return linked.error();
    }
    return {};
  }

  void set(const std::string& name, const std::string& value) {
    const std::string start = name + "=";
    auto& env = launch_.environment;
    std::erase_if(env, [&](const std::string& line) { return line.starts_with(start); });
    env.push_back(start + value);
  }

  Result<std::string> expanded(const std::string& text) const {
    return wire::expand_references(text, [&](const wire::FlowReference& r) -> Result<std::string> {
      if (r.step.empty()) return plain_text(context_.params[r.name]);
      return fmt::format("{}/{}/{}", folder(orchestrator::kInputsFolder), r.step, r.name);
    });
  }

  Status set_environment() {
    for (const auto& [name, value] : ports_.inherited)
      set(name, value);
    const auto issued =
        ports_.identity.admit_task({start_.token, fmt::format("{}/{}", start_.run.id, step_->name),
                                    start_.run.user, ProjectId(context_.project), context_.scope});
    if (!issued) return issued.error();
    const auto client = ports_.client_environment(*issued);
    if (!client) return client.error();
    for (const auto& [name, value] : *client)
      set(name, value);
    set("PYTHONUNBUFFERED", "1");
    const auto& resources = start_.task.plan.resources;
    const std::string threads =
        std::to_string(std::max<std::int64_t>(1, (resources.cpu_millis + 999) / 1000));
    set("OMP_NUM_THREADS", threads);
    set("STRATA_CPUS", threads);
    set("STRATA_MEMORY_BYTES", std::to_string(resources.memory_bytes));
    std::vector<std::string> gpus;
    for (const int gpu : start_.task.attempts.back().gpus)
      gpus.push_back(std::to_string(gpu));
    set("CUDA_VISIBLE_DEVICES", fmt::format("{}", fmt::join(gpus, ",")));
    for (const auto* const env : {&context_.spec.env, &step_->env}) {
      for (const auto& [name, value] : *env) {
        const auto text = expanded(value);
        if (!text) return text.error();
        set(name, *text);
      }
    }
    return set_own_names();
  }

  // The names that the server gives, which no pipeline can override.
  Status set_own_names() {
    set("STRATA_FLOW", context_.flow);
    set("STRATA_RUN_ID", start_.run.id);
    set("STRATA_STEP", step_->name);
    set("STRATA_TASK_ID", fmt::format("{}/{}", start_.run.id, step_->name));
    set("STRATA_ATTEMPT", std::to_string(start_.task.attempts.back().number));
    set("STRATA_INPUTS", folder(orchestrator::kInputsFolder));
    set("STRATA_OUTPUTS", folder(orchestrator::kOutputsFolder));
    for (const auto& [name, value] : context_.params.as_object())
      set("STRATA_PARAM_" + name, plain_text(value));
    Json arguments = Json::object();
    for (const auto& [name, value] : step_->params.as_object()) {
      auto argument = resolved(value);
      if (!argument) return argument.error();
      const bool is_file = argument->is_object() && argument->find("$file") != nullptr;
      set("STRATA_PARAM_" + name, plain_text(is_file ? (*argument)["$file"] : *argument));
      arguments.set(name, std::move(*argument));
    }
    if (!step_->python.empty()) set("STRATA_ARGUMENTS", arguments.dump());
    return {};
  }

  // A parameter that is nothing but a reference keeps its type; a whole reference to an output
  // becomes {"$file": path}.
  Result<Json> resolved(const Json& value) const {
    if (value.is_array()) {
      Json out = Json::array();
      for (const Json& item : value.as_array()) {
        auto one = resolved(item);
        if (!one) return one;
        out.push(std::move(*one));
      }
      return out;
    }
    if (value.is_object()) {
      Json out = Json::object();
      for (const auto& [name, item] : value.as_object()) {
        auto one = resolved(item);
        if (!one) return one;
        out.set(name, std::move(*one));
      }
      return out;
    }
    if (!value.is_string()) return value;
    const auto whole = wire::whole_reference(value.as_string());
    if (whole && whole->step.empty()) return context_.params[whole->name];
    auto text = expanded(value.as_string());
    if (!text) return text.error();
    if (whole) return Json::object({{"$file", *text}});
    return Json(*text);
  }

  Status set_command() {
    if (!step_->shell.empty()) {
      launch_.argv = {"/bin/sh", "-c", step_->shell};
      return {};
    }
    if (!step_->python.empty()) {
      launch_.argv = {context_.spec.interpreter, "-m", "strata.runner", step_->python};
      return {};
    }
    for (const std::string& word : step_->command) {
      auto text = expanded(word);
      if (!text) return text.error();
      launch_.argv.push_back(std::move(*text));
    }
    return {};
  }

  const Ports& ports_;
  ContentStore& content_;
  const RunContext& context_;
  const scheduler::StartAttempt& start_;
  const wire::FlowStep* step_ = nullptr;
  orchestrator::Launch launch_;
};

}  // namespace

Result<orchestrator::Launch> prepare_launch(const Ports& ports, ContentStore& content,
                                            const RunContext& context,
                                            const scheduler::StartAttempt& start,
                                            const std::vector<Output>& outputs) {
  return Preparation(ports, content, context, start).make(outputs);
}

Result<std::vector<Output>> collect_outputs(const Ports& ports, ContentStore& content,
                                            const RunContext& context, const std::string& token) {
  const auto parsed = scheduler::Token::parse(token);
  const auto directory = orchestrator::attempt_directory(ports.data, token);
  if (!parsed || !directory) return internal("no attempt " + token);
  const wire::FlowStep* const step = context.spec.step(parsed->step);
  if (step == nullptr) return internal("no step " + parsed->step);
  std::vector<Output> out;
  for (const std::string& name : step->outputs) {
    auto kept =
        content.keep(fmt::format("{}/{}/{}", *directory, orchestrator::kOutputsFolder, name));
    if (!kept && kept.error().code == Code::kNotFound) {
      return not_found(
          fmt::format("the step exited with 0 but did not write its output '{}' "
                      "($STRATA_OUTPUTS/{})",
                      name, name));
    }
    if (!kept) return kept.error();
    out.push_back({parsed->step, name, kept->digest, kept->size});
  }
  return out;
}

void tidy_attempt(const Ports& ports, const std::string& token) {
  const auto directory = orchestrator::attempt_directory(ports.data, token);
  if (!directory) return;
  for (const std::string_view name :
       {std::string_view("work"), orchestrator::kInputsFolder, orchestrator::kOutputsFolder}) {
    std::error_code failed;
    std::filesystem::remove_all(fmt::format("{}/{}", *directory, name), failed);
    if (failed) {
      log::warn("workflow.tidy", Json::object({{"attempt", token}, {"error", failed.message()}}));
    }
  }
}

}  // namespace strata::resources::workflow
