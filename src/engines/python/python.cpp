#include "engines/python/python.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "engines/python/program.hpp"
#include "engines/python/runner.hpp"
#include "wire/inference/mlmodel.hpp"

namespace strata::engines::python {

namespace {

using platform::inference::Binding;
using platform::inference::OpenModel;

constexpr std::string_view kFlavor = "python_function";
constexpr std::size_t kLastLines = 3;

// The end of what a process wrote, which mostly says why it ended.
std::string last_lines(const std::string& output) {
  auto lines = split(trim(output), '\n');
  if (lines.size() > kLastLines) lines.erase(lines.begin(), lines.end() - kLastLines);
  return printable(join(lines, " | "), 600);
}

Error with_output(const Error& error, const Fleet& fleet) {
  const auto said = last_lines(fleet.output());
  if (said.empty() || error.code == Code::kCancelled) return error;
  return Error(error.code, fmt::format("{}; its process wrote: {}", error.message, said));
}

// The outputs as the model's first answer shows them. Zeros need not be a legal input; then the
// signature tells.
Status learn(platform::inference::ModelInterface& interface, const wire::MlModel& model,
             Fleet& fleet, Files& files, const std::string& directory,
             const std::stop_token& stop) {
  const auto binding = Binding::make(model, interface);
  if (!binding) return binding.error();
  const auto example = example_of(*binding, files, directory);
  const auto taken = binding->to_runner(example.inputs);
  if (!taken) return taken.error();
  const auto answer = fleet.call(*taken, taken->size(), stop);
  if (answer) {
    learn_outputs(interface, *answer);
    if (!interface.outputs.empty()) return {};
    return Error(Code::kUnsupported, "the model gives no outputs");
  }
  if (answer.error().code == Code::kCancelled) return answer.error();
  if (example.own) return answer.error().wrap("the model fails on its own input example");
  if (read_outputs(interface, model)) return {};
  return Error(Code::kUnsupported,
               fmt::format("what the model gives is not known: it has no input example, its "
                           "signature names no outputs, and of zeros it says: {}. Log it with "
                           "input_example=X",
                           answer.error().message));
}

}  // namespace

PythonHost::PythonHost(PythonOptions options, Files& files, const Clock& clock)
    : options_(std::move(options)),
      files_(files),
      clock_(clock),
      environments_(options_.building, files, clock),
      keeper_(clock) {}

Status PythonHost::prepare() {
  const auto program = worker_program();
  std::error_code failed;
  std::filesystem::remove_all(options_.folder + "/scratch", failed);  // of processes long gone
  if (failed) return from_errno(failed.value(), "remove", options_.folder + "/scratch");
  STRATA_TRY(files_.make_dirs(options_.folder + "/scratch"));
  // By its digest, so that a server of another version beside this one finds its own.
  script_ = fmt::format("{}/worker-{}.py", options_.folder, to_hex(sha256(program)).substr(0, 16));
  return files_.replace(script_, program);
}

Result<std::string> PythonHost::interpreter(const std::string& directory,
                                            const std::stop_token& stop) {
  if (options_.environment == "build") return environments_.python_for(directory, stop);
  if (options_.environment.empty() || options_.environment == "off") {
    return Error(Code::kUnsupported,
                 "models of this kind run in Python, which is off here: set python.environment to "
                 "build, or to a virtual environment that has what they need");
  }
  const std::string inside = options_.environment + "/bin/python";
  const std::string path = files_.exists(inside) ? inside : options_.environment;
  if (files_.exists(path)) return path;
  return Error(Code::kUnavailable,
               fmt::format("python.environment: there is no {}", printable(path)));
}

Result<OpenModel> PythonHost::open(const std::string& directory, const std::stop_token& stop) {
  const auto text = files_.read_all(directory + "/MLmodel");
  if (!text) return text.error().wrap("the model has no readable MLmodel file");
  const auto model = wire::parse_mlmodel(*text);
  if (!model) return model.error();
  if (!model->flavors.contains(std::string(kFlavor)))
    return Error(Code::kUnsupported, "the model has no flavor python_function");
  auto interface = inputs_of(*model);
  if (!interface) return std::move(interface).error();
  auto python = interpreter(directory, stop);
  if (!python) return std::move(python).error();
  WorkerPlan plan{options_.executable, *std::move(python),           script_,
                  directory,           options_.folder + "/scratch", options_.memory_mb};
  auto fleet = std::make_shared<Fleet>(std::move(plan), options_.spare, clock_,
                                       [bell = keeper_.bell()] { bell->ring(); });
  keeper_.add(fleet);
  const auto give_up = [&](const Error& error) {
    fleet->close();
    return with_output(error, *fleet);
  };
  if (const auto ready = fleet->wait_ready(options_.load_limit, stop); !ready)
    return give_up(ready.error());
  if (const auto learnt = learn(*interface, *model, *fleet, files_, directory, stop); !learnt)
    return give_up(learnt.error());
  auto runner = std::make_shared<PythonRunner>(fleet, *std::move(interface));
  auto binding = Binding::make(*model, runner->interface());
  if (!binding) return std::move(binding).error();  // the processes end with the runner
  return OpenModel{std::string(kFlavor), "", std::make_shared<const Binding>(*std::move(binding)),
                   std::move(runner)};
}

}  // namespace strata::engines::python
