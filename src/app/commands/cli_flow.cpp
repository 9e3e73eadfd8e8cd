#include "app/commands/cli_flow.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/commands/cells.hpp"
#include "app/commands/numbers.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "resources/workflow/workflow.hpp"
#include "runtime/clock.hpp"
#include "wire/flow/flow_spec.hpp"
#include "wire/flow/tar.hpp"

namespace strata::app {
namespace {

namespace fs = std::filesystem;
using resources::workflow::Workflows;
using Columns = std::vector<std::pair<std::string, std::string>>;

const Columns kFlowColumns = {{"name", "NAME"},
                              {"number", "VERSION"},
                              {"owner", "OWNER"},
                              {"steps", "STEPS"},
                              {"next_run", "NEXT RUN"},
                              {"last_state", "LAST RUN"},
                              {"description", "DESCRIPTION"}};
const Columns kRunColumns = {{"id", "RUN"},     {"flow", "PIPELINE"},   {"state", "STATE"},
                             {"user", "USER"},  {"created", "CREATED"}, {"took", "TOOK"},
                             {"cause", "CAUSE"}};
const Columns kStepColumns = {{"step", "STEP"},     {"state", "STATE"}, {"attempts", "ATTEMPTS"},
                              {"exit", "EXIT"},     {"took", "TOOK"},   {"cpu", "CPU"},
                              {"memory", "MEMORY"}, {"cost", "COST"},   {"reason", "REASON"}};

// "-" when it is not known. Times are told in milliseconds, so nothing shorter can be said.
std::string took(const Json& from, const Json& to) {
  const auto begin = parse_rfc3339(from.is_string() ? from.as_string() : "");
  const auto end = parse_rfc3339(to.is_string() ? to.as_string() : "");
  if (!begin || !end) return "-";
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(*end - *begin);
  return time.count() < 1 ? "<1 ms" : show_duration(time);
}

Result<std::string> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return not_found(fmt::format("cannot read {}", path.string()));
  return std::move(text).str();
}

bool is_left_out(const fs::path& name) {
  const std::string text = name.string();
  return text.starts_with('.') || text == "__pycache__" || text == "node_modules" ||
         text.ends_with(".pyc");
}

// Says where most of what does not fit lies, by the entries at the top of the folder.
Error too_large(const fs::path& folder, const std::map<std::string, std::uintmax_t>& sizes) {
  std::vector<std::pair<std::uintmax_t, std::string>> largest;
  largest.reserve(sizes.size());
  for (const auto& [name, bytes] : sizes)
    largest.emplace_back(bytes, name);
  std::ranges::sort(largest, std::greater<>());
  if (largest.size() > 3) largest.resize(3);
  std::vector<std::string> named;
  named.reserve(largest.size());
  for (const auto& [bytes, name] : largest)
    named.push_back(fmt::format("{} {}", name, show_bytes(bytes)));
  return Error(Code::kTooLarge,
               fmt::format("source: {} holds more than {} MiB ({} so far). A pipeline's source is "
                           "code: name a smaller folder, and keep data in the lake",
                           folder.string(), Workflows::kMaxPackage >> 20U, join(named, ", ")),
               "source");
}

// A server's data directory or a backup of one: its keys belong into no package.
bool holds_a_server(const fs::path& folder) {
  std::error_code failed;
  return fs::exists(folder / "master.key", failed) && fs::exists(folder / "records.db", failed);
}

// All files of a folder but hidden ones, caches and a server's data, as a tar archive that is the
// same for the same content. Reads no more than fits into a package.
Result<std::string> pack(const fs::path& folder) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) {
    return invalid("source", fmt::format("source: {} is no folder", folder.string()));
  }
  if (holds_a_server(folder)) {
    return invalid("source", fmt::format("source: {} holds a server's data and keys; name a folder "
                                         "with the pipeline's own files",
                                         folder.string()));
  }
  std::vector<wire::TarFile> files;
  std::map<std::string, std::uintmax_t> sizes;
  std::uintmax_t total = 0;
  auto entry = fs::recursive_directory_iterator(folder, failed);
  for (; !failed && entry != fs::recursive_directory_iterator(); entry.increment(failed)) {
    if (is_left_out(entry->path().filename()) || holds_a_server(entry->path())) {
      entry.disable_recursion_pending();
      continue;
    }
    if (!entry->is_regular_file(failed)) continue;
    const auto path = fs::relative(entry->path(), folder, failed);
    if (failed) break;
    const auto size = entry->file_size(failed);
    if (failed) break;
    sizes[path.begin()->string()] += size;
    if ((total += size) > Workflows::kMaxPackage) return too_large(folder, sizes);
    auto content = read_file(entry->path());
    if (!content) return content;
    const bool executable =
        (entry->status().permissions() & fs::perms::owner_exec) != fs::perms::none;
    files.push_back({path.string(), std::move(*content), executable});
  }
  if (failed) return from_errno(failed.value(), "read", folder.string());
  std::ranges::sort(files, {}, &wire::TarFile::path);
  return wire::write_tar(files);
}

struct Applied {
  std::string name;
  Json flow;
};

// Checks the file here, so that errors carry its name, line and column; packs its source folder;
// sends both.
Result<Applied> apply_file(ApiClient& client, const std::string& path, bool dry_run) {
  const auto text = read_file(path);
  if (!text) return text.error();
  const wire::FlowReadOptions options{.file = path, .zone_known = &Workflows::zone_known};
  const bool is_json = fs::path(path).extension() == ".json";
  Result<wire::FlowSpec> spec = Error();
  if (is_json) {
    const auto json = parse_json(*text);
    if (!json) return json.error().wrap(path);
    spec = wire::read_flow_json(*json, options);
  } else {
    spec = wire::read_flow_yaml(*text, options);
  }
  if (!spec) return spec.error();
  if (!spec->source.empty()) {
    const auto archive = pack(fs::path(path).parent_path() / spec->source);
    if (!archive) return archive.error();
    spec->source.clear();
    if (!dry_run) {
      const auto answer =
          client.request("POST", "/api/v1/flow-packages", *archive, "application/x-tar");
      if (!answer) return answer.error();
      const auto stored = parse_json(answer->body);
      if (!stored) return stored.error();
      spec->package = stored->text("package");
    }
  }
  const auto answer = client.request(
      "PUT",
      fmt::format("/api/v1/flows/{}{}", encode_segment(spec->name), dry_run ? "?dry_run=true" : ""),
      wire::flow_to_json(*spec).dump());
  if (!answer) return answer.error();
  auto flow = parse_json(answer->body);
  if (!flow) return flow.error();
  return Applied{spec->name, std::move(*flow)};
}

Json with_run_cells(const Json& run) {
  Json out = run;
  out.set("took", took(run["started"], run["finished"]));
  return out;
}

// "0.0123 EUR"; sums of several currencies stand beside each other.
std::string cost_text(const Json& item) {
  if (item["cost"].is_number()) {
    const double cost = item.number("cost");
    const std::string amount = cost == 0                   ? "0"
                               : cost > 0 && cost < 0.0001 ? "< 0.0001"
                                                           : fmt::format("{:.4f}", cost);
    return fmt::format("{} {}", amount, item.text("currency"));
  }
  std::vector<std::string> sums;
  if (item["costs"].is_array()) {
    for (const Json& sum : item["costs"].as_array())
      sums.push_back(cost_text(sum));
  }
  return sums.empty() ? "-" : join(sums, " + ");
}

Json step_cells(const Json& step) {
  const Json& attempts = step["attempts"];
  Json out = Json::object({{"step", step["step"]},
                           {"state", step["state"]},
                           {"attempts", static_cast<std::int64_t>(attempts.size())},
                           {"exit", Json()},
                           {"took", "-"},
                           {"cpu", "-"},
                           {"memory", "-"},
                           {"cost", cost_text(step)},
                           {"reason", step["reason"]}});
  if (attempts.size() == 0) return out;
  const Json& last = attempts.as_array().back();
  out.set("exit", last["exit_code"]);
  out.set("took", took(last["started"], last["finished"]));
  if (last["usage"].is_object()) {
    out.set("cpu", fmt::format("{:.2f} s", last["usage"].number("cpu_seconds")));
    out.set("memory",
            show_bytes(static_cast<std::uint64_t>(last["usage"].integer("max_rss_bytes"))));
  }
  return out;
}

Json step_table(const Json& run) {
  Json steps = Json::array();
  for (const Json& step : run["steps"].as_array())
    steps.push(step_cells(step));
  return Json::object({{"steps", std::move(steps)}});
}

bool has_ended(const Json& run) {
  const std::string state = run.text("state");
  return state == "succeeded" || state == "failed" || state == "cancelled";
}

// One line a step, drawn anew on a terminal; elsewhere a line for each change.
class Progress {
 public:
  void show(const Json& run) {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    if (terminal && lines_ > 0) fmt::print(stderr, "\x1b[{}A", lines_);
    lines_ = 0;
    for (const Json& step : run["steps"].as_array()) {
      const Json cells = step_cells(step);
      const std::string line =
          one_line(fmt::format("  {:<24} {:<10} {:>9}  {}", cells.text("step"), cells.text("state"),
                               cells.text("took"), cells.text("reason")));
      if (terminal) {
        fmt::print(stderr, "\x1b[2K{}\n", line);
        ++lines_;
      } else if (std::string& seen = seen_[cells.text("step")]; seen != cells.text("state")) {
        seen = cells.text("state");
        fmt::print(stderr, "{}\n", line);
      }
    }
  }

 private:
  int lines_ = 0;
  std::map<std::string, std::string> seen_;
};

// The command that shows what the step printed with which a run failed; empty where none did.
std::string log_of_failure(const Json& run) {
  for (const Json& step : run["steps"].as_array()) {
    if (step.text("state") == "failed" && step["attempts"].size() > 0)
      return fmt::format("strata flow logs {} {}", run.text("id"), step.text("step"));
  }
  return {};
}

Status wait_for_run(ApiClient& client, CliContext& context, const std::string& id) {
  Progress progress;
  while (true) {
    const auto run = client.get("/api/v1/flow-runs/" + encode_segment(id));
    if (!run) return run.error();
    if (!context.structured()) progress.show(*run);
    if (has_ended(*run)) {
      if (context.structured()) context.dump(*run);
      if (run->text("state") == "succeeded") {
        if (!context.structured()) {
          std::printf("run %s succeeded in %s\n", id.c_str(),
                      took((*run)["started"], (*run)["finished"]).c_str());
        }
        return {};
      }
      const std::string log = log_of_failure(*run);
      return Error(Code::kInternal,
                   fmt::format("run {} {}: {}{}", id, run->text("state"), run->text("reason"),
                               log.empty() ? "" : "; see what it printed: " + log));
    }
    sleep_blocking(std::chrono::milliseconds(150));
  }
}

Result<Json> parameters_of(const std::vector<std::string>& words) {
  Json params = Json::object();
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid("param", fmt::format("--param '{}' must be NAME=VALUE", word));
    }
    params.set(word.substr(0, equals), word.substr(equals + 1));
  }
  return params;
}

bool is_file_name(const std::string& word) {
  std::error_code failed;
  return word.contains('/') || word.ends_with(".yaml") || word.ends_with(".yml") ||
         word.ends_with(".json") || fs::is_regular_file(word, failed);
}

void add_apply(CLI::App& flow, CliContext& context) {
  static std::string file;
  static bool dry_run = false;
  auto* const command = flow.add_subcommand("apply", "Store a pipeline from a YAML or JSON file");
  command->add_option("file", file, "The pipeline's file")->required();
  command->add_flag("--dry-run", dry_run, "Only check it");
  command->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto applied = apply_file(client, file, dry_run);
      if (!applied) return applied.error();
      if (context.structured()) {
        context.dump(applied->flow);
      } else if (dry_run) {
        std::printf("%s is correct; nothing was changed\n", file.c_str());
      } else {
        std::printf("pipeline %s is at version %s (%s)\n", applied->name.c_str(),
                    applied->flow["number"].dump().c_str(), applied->flow.text("version").c_str());
      }
      return {};
    });
  });
}

void add_run(CLI::App& flow, CliContext& context) {
  static std::string what, key;
  static std::vector<std::string> params;
  static bool wait = false;
  auto* const command = flow.add_subcommand("run", "Run a pipeline now; a file is applied first");
  command->add_option("pipeline", what, "A pipeline's name or its file")->required();
  command->add_option("--param", params, "NAME=VALUE; may stand several times");
  command->add_option("--idempotency-key", key,
                      "The same key gives the same run, and is refused with other parameters");
  command->add_flag("--wait", wait, "Show the progress and end with the run: 0 when it succeeded");
  command->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      std::string name = what;
      if (is_file_name(what)) {
        const auto applied = apply_file(client, what, false);
        if (!applied) return applied.error();
        name = applied->name;
      }
      auto values = parameters_of(params);
      if (!values) return values.error();
      Json body = Json::object({{"params", std::move(*values)}});
      if (!key.empty()) body.set("idempotency_key", key);
      const auto run =
          client.post(fmt::format("/api/v1/flows/{}/runs", encode_segment(name)), body);
      if (!run) return run.error();
      if (wait) return wait_for_run(client, context, run->text("id"));
      if (context.structured())
        context.dump(*run);
      else
        std::printf("%s\n", run->text("id").c_str());
      return {};
    });
  });
}

// Below a table: why the newest trigger of a pipeline started no run.
void tell_trigger_failure(const Json& flow) {
  const Json& failure = flow["trigger_failure"];
  if (!failure.is_object()) return;
  std::printf("\n");
  print_line(fmt::format("{}: a trigger started no run at {} ({}): {}", flow.text("name"),
                         failure.text("time"), failure.text("cause"), failure.text("error")));
}

void add_list(CLI::App& flow, CliContext& context) {
  flow.add_subcommand("list", "All pipelines")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      auto flows = client.get("/api/v1/flows");
      if (!flows) return flows.error();
      if (context.structured()) {
        context.print(*flows, "flows", kFlowColumns);
        return {};
      }
      Json rows = Json::array();
      for (const Json& one : (*flows)["flows"].as_array()) {
        Json row = one;
        row.set("last_state", one["last_run"]["state"]);
        rows.push(std::move(row));
      }
      context.print(Json::object({{"flows", std::move(rows)}}), "flows", kFlowColumns);
      for (const Json& one : (*flows)["flows"].as_array())
        tell_trigger_failure(one);
      return {};
    });
  });
}

void add_status(CLI::App& flow, CliContext& context) {
  static std::string id, name;
  static int limit = 20;
  auto* const command = flow.add_subcommand("status", "The newest runs, or the steps of one");
  auto* const run_id = command->add_option("run", id, "A run's id");
  command->add_option("--flow", name, "Only runs of this pipeline")->excludes(run_id);
  command->add_option("--limit", limit, "Runs at most (default: 20)")
      ->excludes(run_id)
      ->check(whole_number(1, 1000));
  command->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      if (id.empty()) {
        const auto runs =
            client.get(fmt::format("/api/v1/flow-runs?limit={}{}", limit,
                                   name.empty() ? "" : "&flow=" + encode_segment(name)));
        if (!runs) return runs.error();
        const auto flow = name.empty() ? Result<Json>(Json())
                                       : client.get("/api/v1/flows/" + encode_segment(name));
        // Of a pipeline that was deleted only the runs are left.
        const bool deleted = !flow && flow.error().code == Code::kNotFound;
        if (!flow && (!deleted || (*runs)["runs"].size() == 0)) return flow.error();
        Json rows = Json::array();
        for (const Json& run : (*runs)["runs"].as_array())
          rows.push(with_run_cells(run));
        context.print(context.structured() ? *runs : Json::object({{"runs", std::move(rows)}}),
                      "runs", kRunColumns);
        if (!context.structured() && flow) tell_trigger_failure(*flow);
        return {};
      }
      const auto run = client.get("/api/v1/flow-runs/" + encode_segment(id));
      if (!run) return run.error();
      if (context.structured()) {
        context.dump(*run);
        return {};
      }
      const std::string cost = cost_text(*run);
      print_line(fmt::format("{} of {}: {}{}{}{}", id, run->text("flow"), run->text("state"),
                             run->text("reason").empty() ? "" : ", ", run->text("reason"),
                             cost == "-" ? "" : ", cost " + cost));
      context.print(step_table(*run), "steps", kStepColumns);
      if (const std::string log = log_of_failure(*run); !log.empty()) {
        std::printf("\n");
        print_line("See what it printed: " + log);
      }
      return {};
    });
  });
}

void add_logs(CLI::App& flow, CliContext& context) {
  static std::string id, step;
  static int attempt = 0;
  static bool follow = false;
  auto* const command = flow.add_subcommand("logs", "What the steps of a run printed");
  command->add_option("run", id, "A run's id")->required();
  command->add_option("step", step, "Only this step");
  command->add_option("--attempt", attempt, "Only this attempt of the step")
      ->check(whole_number(1, INT32_MAX));
  command->add_flag("-f,--follow", follow, "Go on until the run has ended");
  command->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      std::string path =
          fmt::format("/api/v1/flow-runs/{}/logs?follow={}", encode_segment(id), follow ? 1 : 0);
      if (!step.empty()) path += "&step=" + encode_segment(step);
      if (attempt > 0) path += fmt::format("&attempt={}", attempt);
      return client.stream("GET", path, "", "text/plain", [](std::string_view piece) {
        std::fwrite(piece.data(), 1, piece.size(), stdout);
        std::fflush(stdout);
        return true;
      });
    });
  });
}

void add_cancel_and_delete(CLI::App& flow, CliContext& context) {
  static std::string id, name;
  auto* const cancel = flow.add_subcommand("cancel", "Stop a run");
  cancel->add_option("run", id, "A run's id")->required();
  cancel->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto run =
          client.post("/api/v1/flow-runs/" + encode_segment(id) + "/cancel", Json::object());
      if (!run) return run.error();
      std::printf("run %s is %s\n", id.c_str(), run->text("state").c_str());
      return {};
    });
  });
  auto* const remove =
      flow.add_subcommand("delete", "Remove a pipeline and its triggers; its runs stay");
  remove->add_option("name", name, "The pipeline's name")->required();
  remove->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto done = client.remove("/api/v1/flows/" + encode_segment(name));
      if (!done) return done.error();
      std::printf("deleted %s\n", name.c_str());
      return {};
    });
  });
}

}  // namespace

void add_flow_commands(CLI::App& app, CliContext& context) {
  auto* const flow = app.add_subcommand("flow", "Pipelines and their runs");
  flow->require_subcommand(1);
  add_apply(*flow, context);
  add_run(*flow, context);
  add_list(*flow, context);
  add_status(*flow, context);
  add_logs(*flow, context);
  add_cancel_and_delete(*flow, context);
}

}  // namespace strata::app
