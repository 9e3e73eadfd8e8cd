#include "engines/python/environments.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "runtime/process.hpp"

namespace strata::engines::python {

namespace {

constexpr std::chrono::milliseconds kLook{20};  // how soon a stop is noticed
constexpr std::size_t kShown = 700;             // of a log's end, in an error

// The lines that say something, in their order: pip's options among them too.
std::string significant(const std::string& text) {
  std::string out;
  for (const auto& line : split(text, '\n')) {
    const auto kept = trim(line);
    if (!kept.empty() && !kept.starts_with('#')) out += std::string(kept) + "\n";
  }
  return out;
}

// "3.11" of the line `python: 3.11.2` in MLflow's python_env.yaml; empty when there is none.
std::string wanted_python(const std::string& yaml) {
  for (const auto& line : split(yaml, '\n')) {
    if (!line.starts_with("python:")) continue;
    const auto parts = split(trim(std::string_view(line).substr(7)), '.');
    if (parts.size() >= 2) return parts[0] + "." + parts[1];
  }
  return "";
}

std::string end_of(std::string text) {
  auto kept = trim(text);
  if (kept.size() > kShown) kept.remove_prefix(kept.size() - kShown);
  return printable(kept, kShown);
}

}  // namespace

Environments::Environments(EnvironmentOptions options, Files& files, const Clock& clock)
    : options_(std::move(options)),
      files_(files),
      clock_(clock) {}

std::string Environments::log_path(const std::string& digest) const {
  return options_.folder + "/" + digest + ".log";
}

// Runs to its end, with its output appended to `log`.
Status Environments::run(std::vector<std::string> argv, const std::string& home,
                         const std::string& log, const std::stop_token& stop) {
  const int output =
      ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (output < 0) return from_errno(errno, "open", log);
  ProcessSpec spec;
  const std::string name = argv[0];
  spec.argv = std::move(argv);
  spec.environment = {{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + home,
                       "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1",
                       "PYTHONDONTWRITEBYTECODE=1"}};
  spec.directory = home;
  spec.descriptors = {{output, 1}, {output, 2}};
  spec.dies_with_parent = true;
  auto child = ChildProcess::spawn(spec);
  ::close(output);
  if (!child) return child.error().wrap(fmt::format("{} cannot be started", name));
  const auto until = clock_.steady() + options_.limit;
  while (!stop.stop_requested() && clock_.steady() < until) {
    auto ended = child->wait_for(kLook);
    if (!ended) return std::move(ended).error();
    if (!*ended) continue;
    if ((*ended)->success()) return {};
    return Error(Code::kUnavailable, fmt::format("{}: {}", (*ended)->to_string(),
                                                 end_of(files_.read_all(log).value_or(""))));
  }
  STRATA_TRY(child->signal_group(SIGKILL));
  if (const auto ended = child->wait(); !ended) return ended.error();
  if (stop.stop_requested()) return Error(Code::kCancelled, "the build was stopped");
  return Error(Code::kDeadlineExceeded,
               fmt::format("it took more than {} s", options_.limit.count()));
}

// The set interpreter, or the one of that name that has the wanted version.
Result<Environments::Python> Environments::python_of(const std::string& wanted,
                                                     const std::stop_token& stop) {
  std::vector<std::string> tried = {options_.interpreter};
  if (!wanted.empty()) tried.push_back("python" + wanted);
  std::string seen;
  for (const auto& name : tried) {
    const std::string note =
        fmt::format("{}/.version-{}-{}", options_.folder, ::getpid(), ++notes_);
    const auto asked =
        run({name, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"},
            options_.folder, note, stop);
    if (!asked && asked.error().code == Code::kCancelled) return asked.error();
    const auto text = files_.read_all(note).value_or("");
    STRATA_TRY(files_.remove(note));
    const auto said = split(trim(text), ' ');
    if (!asked || said.size() != 2) continue;
    if (wanted.empty() || said[0] == wanted) return Python{said[1], said[0]};
    seen += (seen.empty() ? "" : ", ") + said[0];
  }
  return Error(Code::kUnsupported,
               fmt::format("the model was logged with Python {}; this machine has {} "
                           "(python.interpreter): install python{} or log the model with another",
                           wanted, seen.empty() ? "none" : seen, wanted));
}

Result<std::string> Environments::python_for(const std::string& directory,
                                             const std::stop_token& stop) {
  const auto text = files_.read_all(directory + "/requirements.txt");
  if (!text) {
    return Error(Code::kUnsupported,
                 "the model has no requirements.txt, from which its environment would be built; "
                 "log it with pip_requirements=[...], or set python.environment");
  }
  const std::string requirements = significant(*text);
  const auto wanted = wanted_python(files_.read_all(directory + "/python_env.yaml").value_or(""));
  STRATA_TRY(files_.make_dirs(options_.folder));
  const auto python = python_of(wanted, stop);
  if (!python) return python.error();
  const std::string digest = to_hex(sha256(
      fmt::format("environment 1\n{}\n{}\n{}", python->version, python->path, requirements)));
  const std::string path = options_.folder + "/" + digest + "/bin/python";
  std::unique_lock lock(mutex_);
  built_.wait(lock, stop, [&] { return !building_.contains(digest); });
  if (stop.stop_requested()) return Error(Code::kCancelled, "the build was stopped");
  if (files_.exists(path)) return path;
  building_.insert(digest);
  lock.unlock();
  const auto done = build(digest, requirements, *python, stop);
  lock.lock();
  building_.erase(digest);
  built_.notify_all();
  if (done) return path;
  if (done.error().code == Code::kCancelled) return done.error();
  return done.error().wrap(
      fmt::format("the model's environment could not be built; {} has all "
                  "that was written: {}",
                  log_path(digest), done.error().message));
}

Status Environments::build(const std::string& digest, const std::string& requirements,
                           const Python& python, const std::stop_token& stop) {
  const std::string half = options_.folder + "/.half-" + digest;
  std::error_code failed;
  std::filesystem::remove_all(half, failed);  // what a build that was ended has left
  if (failed) return from_errno(failed.value(), "remove", half);
  STRATA_TRY(files_.make_dirs(half));
  const std::string log = log_path(digest);
  STRATA_TRY(files_.replace(log, ""));
  STRATA_TRY(files_.replace(half + "/requirements.txt", requirements));
  STRATA_TRY(run({python.path, "-I", "-m", "venv", half}, half, log, stop));
  std::vector<std::string> install = {
      half + "/bin/python", "-I", "-m", "pip", "install", "--only-binary=:all:", "--no-cache-dir"};
  if (!options_.find_links.empty())
    install.insert(install.end(), {"--no-index", "--find-links", options_.find_links});
  else if (!options_.index_url.empty())
    install.insert(install.end(), {"--index-url", options_.index_url});
  install.insert(install.end(), {"-r", half + "/requirements.txt"});
  STRATA_TRY(run(std::move(install), half, log, stop));
  STRATA_TRY(run({half + "/bin/python", "-I", "-m", "pip", "freeze", "--all"}, half,
                 half + "/lock.txt", stop));
  // From here on it is used: what is under this name is whole.
  return files_.publish(half, options_.folder + "/" + digest);
}

}  // namespace strata::engines::python
