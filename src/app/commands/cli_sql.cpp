#include "app/commands/cli_sql.hpp"

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <CLI/CLI.hpp>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "app/commands/numbers.hpp"
#include "base/text.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"

namespace strata::app {

namespace {

constexpr int kDefaultWidth = 100;

struct SqlOptions {
  std::string sql;
  std::string file;
  std::string output;
  std::string out;
  std::optional<std::int64_t> limit;
  std::string timeout = "5m";
};

// Ctrl-C and SIGTERM, but not where whoever started the command has them ignored, as nohup does.
sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction now{};
    ::sigaction(number, nullptr, &now);
    if (now.sa_handler != SIG_IGN) sigaddset(&signals, number);
  }
  return signals;
}

// While the query runs: shows how far it is, on a terminal only, and cancels it on the server after
// Ctrl-C or SIGTERM. A second signal ends the command at once.
class Companion {
 public:
  Companion(const CliContext& context, std::string id)
      : context_(context),
        id_(std::move(id)),
        signals_(ending_signals()) {
    // The thread inherits the mask, and waits for what is in it; SIGURG tells it that it may end.
    waited_ = signals_;
    sigaddset(&waited_, SIGURG);
    ::pthread_sigmask(SIG_BLOCK, &waited_, &before_);
    thread_.submit([this] { follow(); });
  }
  ~Companion() {
    done_ = true;
    ::kill(::getpid(), SIGURG);
    thread_.stop();
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  // The signal that asked for an end; 0 for none.
  int ended_by() const { return ended_by_; }

 private:
  void follow() {
    const bool terminal = ::isatty(STDERR_FILENO) == 1;
    const auto began = SystemClock().steady();
    bool cancelled = false;
    bool shown = false;
    auto client = ApiClient::connect(context_.data_dir, context_.project);
    if (!client) return;  // the query itself reports why
    client->limit_waiting(std::chrono::seconds(5));
    for (int turn = 1; !done_; ++turn) {
      wait_for_signal();
      if (done_) break;
      if (ended_by_ != 0 && !cancelled) cancelled = cancel(*client);
      const auto elapsed = SystemClock().steady() - began;
      if (!terminal || elapsed < std::chrono::milliseconds(700) || turn % 3 != 0) continue;
      const auto query = client->get("/api/v1/sql/queries/" + id_);
      if (!query) continue;
      show(*query, std::chrono::duration_cast<std::chrono::seconds>(elapsed));
      shown = true;
    }
    if (shown) std::fputs("\r\033[K", stderr);
  }

  // For a tenth of a second at most.
  void wait_for_signal() {
    constexpr timespec kTurn{0, 100'000'000};
    const int number = ::sigtimedwait(&waited_, nullptr, &kTurn);
    if (number != SIGINT && number != SIGTERM) return;
    ended_by_ = number;
    ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);  // so that a second one ends the command
  }

  // Whether there is nothing left to do. The server does not know the query while its request is on
  // the way, nor after its end, so that is asked again for as long as there is no answer.
  bool cancel(ApiClient& client) const {
    const auto done = client.remove("/api/v1/sql/queries/" + id_);
    if (done) return true;
    if (done.error().code == Code::kNotFound) return false;
    std::fprintf(stderr, "strata: the query could not be cancelled: %s\n",
                 done.error().to_string().c_str());
    ::kill(::getpid(), ended_by_);  // nothing will end it otherwise
    return true;
  }

  static void show(const Json& query, std::chrono::seconds elapsed) {
    constexpr int kBar = 30;
    const double percent = query.number("progress", -1);
    std::string bar;
    if (percent >= 0) {
      const int full = static_cast<int>(percent / 100 * kBar);
      bar = "[" + std::string(static_cast<std::size_t>(full), '#') +
            std::string(static_cast<std::size_t>(kBar - full), ' ') +
            fmt::format("] {:3.0f} %", percent);
    } else {
      bar = one_line(query.text("state", "running"));
    }
    std::fprintf(stderr, "\r\033[K%s  %lld s", bar.c_str(),
                 static_cast<long long>(elapsed.count()));
    std::fflush(stderr);
  }

  const CliContext& context_;
  std::string id_;
  sigset_t signals_;
  sigset_t waited_{};
  sigset_t before_{};
  std::atomic<int> ended_by_{0};
  std::atomic<bool> done_{false};
  BlockingPool thread_{1};
};

std::string cell(const Json& value) {
  if (value.is_null()) return "NULL";
  return one_line(value.is_string() ? value.as_string() : value.dump());
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kDefaultWidth;
}

// Columns as wide as they need; on a terminal the widest give way until a line fits.
void fit(std::vector<std::size_t>& widths) {
  if (widths.empty()) return;
  const auto room = static_cast<std::size_t>(terminal_width());
  const auto total = [&] {
    std::size_t sum = 2 * (widths.size() - 1);
    for (const auto width : widths)
      sum += width;
    return sum;
  };
  while (total() > room) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= 4) return;
    --*widest;
  }
}

std::string table_of(const Json& answer, bool on_terminal) {
  std::vector<std::vector<std::string>> lines(1);
  std::vector<bool> right;
  for (const auto& column : answer["columns"].as_array()) {
    lines[0].push_back(cell(column["name"]));
    const std::string type = column.text("type");
    right.push_back(type.contains("INT")
                        ? !type.contains('(') && !type.contains('[') && type != "INTERVAL"
                        : type == "DOUBLE" || type == "FLOAT" || type.starts_with("DECIMAL"));
  }
  for (const auto& row : answer["rows"].as_array()) {
    auto& line = lines.emplace_back();
    for (const auto& value : row.as_array())
      line.push_back(cell(value));
  }
  std::vector<std::size_t> widths(lines[0].size(), 1);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], width_of(line[i]));
  }
  if (on_terminal) fit(widths);
  std::vector<std::string> rule;
  for (const auto width : widths)
    rule.push_back(std::string(width, '-'));
  lines.insert(lines.begin() + 1, rule);
  std::string table;
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string shown = cut(line[i], widths[i]);
      const std::string pad(widths[i] - width_of(shown), ' ');
      text += (i > 0 ? "  " : "") + (right[i] ? pad + shown : shown + pad);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    table += text + "\n";
  }
  return table;
}

void tell_rows(const Json& answer) {
  const auto count = answer.integer("row_count");
  std::fprintf(stderr, "%lld row%s%s in %.1f ms\n", static_cast<long long>(count),
               count == 1 ? "" : "s",
               answer.boolean("truncated") ? " (more were cut off; use --limit)" : "",
               answer.number("elapsed_ms"));
}

Result<std::string> script_of(const SqlOptions& options) {
  if (!options.sql.empty() && !options.file.empty())
    return invalid("file", "give either the SQL itself or -f FILE");
  if (!options.sql.empty() && options.sql != "-") return options.sql;
  if (options.file.empty() && options.sql.empty())
    return invalid("sql", "give the SQL to run, or -f FILE, or - for standard input");
  const std::string path =
      options.file.empty() || options.file == "-" ? "/dev/stdin" : options.file;
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found("the file '" + path + "' cannot be read");
  std::string script(std::istreambuf_iterator<char>(in), {});
  if (trim(script).empty()) {
    return invalid("sql", path == "/dev/stdin" ? "there is no SQL on standard input: it is empty"
                                               : "there is no SQL in " + path + ": it is empty");
  }
  return script;
}

// The form that was asked for, or the one that the name of the file says.
std::string form_of(const SqlOptions& options, const std::string& asked_before) {
  constexpr std::array<std::string_view, 4> kBySuffix = {"csv", "json", "parquet", "arrow"};
  if (!options.output.empty()) return options.output;
  if (!asked_before.empty()) return asked_before;
  const std::string suffix = std::filesystem::path(options.out).extension().string();
  for (const auto form : kBySuffix) {
    if (suffix.size() > 1 && suffix.substr(1) == form) return std::string(form);
  }
  return "table";
}

std::string_view media_of(const std::string& output) {
  if (output == "csv") return "text/csv";
  if (output == "arrow") return "application/vnd.apache.arrow.stream";
  if (output == "parquet") return "application/vnd.apache.parquet";
  return "application/json";
}

// Writes to a file beside the wanted one and renames it at the end, so that a failed query leaves
// no half file.
class Target {
 public:
  explicit Target(std::string path) : path_(std::move(path)) {
    if (!path_.empty()) file_ = std::fopen((path_ + ".part").c_str(), "wb");
  }
  ~Target() {
    if (file_ != nullptr) {
      std::fclose(file_);
      std::remove((path_ + ".part").c_str());
    }
  }
  Status ready() const {
    if (path_.empty()) return {};
    if (file_ == nullptr) return from_errno(errno, "write", path_);
    std::error_code fault;
    if (!std::filesystem::is_directory(path_, fault)) return {};
    return invalid("out", path_ + " is a directory; name a file in it");
  }
  void write(std::string_view bytes) {
    std::FILE* to = path_.empty() ? stdout : file_;
    if (std::fwrite(bytes.data(), 1, bytes.size(), to) != bytes.size()) failed_ = errno;
  }
  Status finish() {
    if (path_.empty()) {
      if (std::fflush(stdout) != 0) failed_ = errno;
    } else {
      if (std::fclose(std::exchange(file_, nullptr)) != 0) failed_ = errno;
      if (failed_ != 0) std::remove((path_ + ".part").c_str());
      if (failed_ == 0) {
        const std::string whole = std::filesystem::absolute(path_).string();
        auto done = SystemFiles().publish(whole + ".part", whole);
        if (!done) std::remove((whole + ".part").c_str());
        return done;
      }
    }
    if (failed_ != 0)
      return from_errno(failed_, "write", path_.empty() ? "standard output" : path_);
    return {};
  }

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
  int failed_ = 0;
};

Status run_sql(ApiClient& client, CliContext& context, const SqlOptions& options) {
  const auto script = script_of(options);
  if (!script) return script.error();
  const auto timeout = parse_duration(options.timeout);
  if (!timeout) return timeout.error();
  const bool binary = options.output == "arrow" || options.output == "parquet";
  if (binary && options.out.empty() && ::isatty(STDOUT_FILENO) == 1) {
    return invalid("out",
                   "-o " + options.output +
                       " writes binary data: name a file with --out, or send it through a pipe");
  }
  const std::string id = SystemRandom().uuid7(SystemClock().now());
  Json body = Json::object({{"sql", *script}, {"timeout_ms", timeout->count()}, {"query_id", id}});
  body.set("limit",
           options.limit.value_or(options.output == "table" && options.out.empty() ? 1000 : 0));
  Target target(options.out);
  STRATA_TRY(target.ready());
  std::string table;
  {
    const Companion companion(context, id);
    bool cut = false;
    const auto take = [&](std::string_view piece) {
      if (options.output == "table")
        table += piece;
      else
        target.write(piece);
      cut = companion.ended_by() != 0;
      return !cut;
    };
    auto done = client.stream("POST", "/api/v1/sql", body.dump(), media_of(options.output), take);
    const int signal = companion.ended_by();
    if (cut) done = Error(Code::kCancelled, "the query was cancelled");
    if (!done && signal != 0) context.ended_by = signal;
    STRATA_TRY(done);
  }
  if (options.output == "table") {
    const auto answer = parse_json(table);
    if (!answer) return answer.error();
    target.write(table_of(*answer, options.out.empty() && ::isatty(STDOUT_FILENO) == 1));
    STRATA_TRY(target.finish());
    tell_rows(*answer);
    return {};
  }
  if (options.output == "json") target.write("\n");
  return target.finish();
}

}  // namespace

void add_sql_commands(CLI::App& app, CliContext& context) {
  static SqlOptions options;
  auto* sql = app.add_subcommand("sql", "Run SQL over tables and lake files");
  sql->add_option(
      "sql", options.sql,
      "One statement, or a script that runs as one transaction; - reads standard input");
  sql->add_option("-f,--file", options.file, "File with the SQL");
  sql->add_option("-o,--output", options.output, "table, csv, json, arrow or parquet")
      ->check(CLI::IsMember({"table", "csv", "json", "arrow", "parquet"}));
  sql->add_option("--out", options.out,
                  "Write the answer to this file, in the form that its suffix says without -o");
  sql->add_option("--limit", options.limit, "Rows at most; 0 for all (table: 1000)")
      ->check(whole_number(0));
  sql->add_option("--timeout", options.timeout,
                  "Stop the statement after this time, for example 90s");
  const auto* before = app.get_option("--output");
  sql->callback([&context, before] {
    options.output = form_of(options, before->count() > 0 ? context.output : "");
    if (options.output == "yaml") {
      return context.fail(
          invalid("output", "sql writes table, csv, json, arrow or parquet, no yaml"));
    }
    context.with_client([&](ApiClient& client) { return run_sql(client, context, options); });
  });
}

}  // namespace strata::app
