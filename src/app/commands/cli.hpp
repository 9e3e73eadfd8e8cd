#pragma once

#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace CLI {
class App;
}

namespace strata::app {

// Exit codes of every command; documented in docs/reference/cli.md.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitNotFound = 3,
  kExitNotAllowed = 4,
  kExitConflict = 5,
  kExitSignal = 128  // and the signal's number, as shells have it
};
int exit_code_of(Code code);

struct ApiAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// How a client command reaches its server: --data DIR (as the local admin) or STRATA_URL and
// STRATA_TOKEN.
class ApiClient {
 public:
  // `project` names the project of all calls; empty for the token's own. Errors: kNotFound when no
  // server runs on that directory; kInvalidArgument when neither is given.
  static Result<ApiClient> connect(const std::string& data_dir, std::string project);

  // One request; answers with status >= 400 become an Error with the server's message. Blocks.
  Result<ApiAnswer> request(std::string_view method, const std::string& path,
                            const std::string& body = "",
                            std::string_view content_type = "application/json",
                            std::string_view accept = "application/json");
  Result<Json> get(const std::string& path);
  Result<Json> post(const std::string& path, const Json& body);
  Result<Json> remove(const std::string& path);
  // The body piece by piece as it arrives, for logs and large results; false ends it.
  Status stream(std::string_view method, const std::string& path, const std::string& body,
                std::string_view accept, const std::function<bool(std::string_view)>& on_piece);

  // Sends `length` bytes that come in pieces, until an empty one.
  Result<Json> upload(const std::string& path, std::uint64_t length,
                      std::function<Result<std::string_view>()> next);

  // How long a request may stay without progress; a minute unless set.
  void limit_waiting(std::chrono::milliseconds limit) { limit_ = limit; }

  const std::string& url() const { return url_; }
  const std::string& token() const { return token_; }

 private:
  ApiClient(std::string url, std::string token, std::string project)
      : url_(std::move(url)),
        token_(std::move(token)),
        project_(std::move(project)) {}
  std::vector<std::pair<std::string, std::string>> headers(std::string_view accept) const;
  Error with_source(Error error) const;

  std::string url_;
  std::string token_;
  std::string token_from_{};  // the variable that holds it; empty for the local admin's file
  std::string project_;
  std::chrono::milliseconds limit_{60'000};
};

// What a command is given: output form and where the server is.
struct CliContext {
  std::string data_dir;          // --data, STRATA_DATA or ~/.strata
  std::string output = "table";  // -o table|json|yaml
  std::string project;           // --project or STRATA_PROJECT
  int exit_code = kExitOk;
  int ended_by = 0;  // the signal that cut the command short

  // Runs `f` with a connected client; prints an error and sets the exit code when something failed.
  void with_client(const std::function<Status(ApiClient&)>& f);
  void fail(const Error& error);
  // Whether the whole answer is asked for, for programs, and not a table for people.
  bool structured() const { return output != "table"; }
  // The whole answer as JSON or YAML.
  void dump(const Json& answer) const;
  // Prints rows of `items` as a table of `columns` (name in JSON, heading), or the whole as JSON or
  // YAML.
  void print(const Json& answer, std::string_view items,
             const std::vector<std::pair<std::string, std::string>>& columns);
  // The same, with each row of the table as `row_of` makes it for people.
  void print(const Json& answer, std::string_view items,
             const std::vector<std::pair<std::string, std::string>>& columns,
             const std::function<Json(const Json&)>& row_of);
};

// Percent-encodes one path segment.
std::string encode_segment(std::string_view text);

// Each noun adds its commands in a file of its own, cli_<noun>.cpp.
using AddCommands = void (*)(CLI::App& app, CliContext& context);

}  // namespace strata::app
