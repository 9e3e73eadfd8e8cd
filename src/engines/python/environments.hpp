#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"

namespace strata::engines::python {

struct EnvironmentOptions {
  std::string folder;       // absolute
  std::string interpreter;  // the Python that environments are made of, a path or a name in PATH
  std::string index_url;    // where pip looks; empty for its own default
  std::string find_links;   // a folder of wheels, used instead of an index; empty for none
  std::chrono::seconds limit{900};
};

// The virtual environments in which models run, made of their own requirements: once for the same
// requirements and Python, by `venv` and `pip` in processes of their own, under another name until
// they are whole. Only wheels are installed: a source package runs its own code. Nothing takes them
// away but who removes the folder. Threads: all methods from any.
class Environments {
 public:
  Environments(EnvironmentOptions options, Files& files, const Clock& clock);

  // The Python of the environment for the package in `directory`; blocks while it is built, here or
  // by another caller. Call on a thread that lives as long as the server: pip ends with it.
  // Errors: kUnsupported when the package names no requirements or wants another Python,
  // kUnavailable with the end of pip's output, kDeadlineExceeded, kCancelled.
  Result<std::string> python_for(const std::string& directory, const std::stop_token& stop);

  // What pip and venv wrote for the environment of a digest last.
  std::string log_path(const std::string& digest) const;

 private:
  struct Python {
    std::string path;
    std::string version;  // "3.11"
  };
  Result<Python> python_of(const std::string& wanted, const std::stop_token& stop);
  Status build(const std::string& digest, const std::string& requirements, const Python& python,
               const std::stop_token& stop);
  Status run(std::vector<std::string> argv, const std::string& home, const std::string& log,
             const std::stop_token& stop);

  const EnvironmentOptions options_;
  Files& files_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable_any built_;
  std::set<std::string> building_;
  std::atomic<std::uint64_t> notes_{0};
};

}  // namespace strata::engines::python
