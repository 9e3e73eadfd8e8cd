#include "app/local/cli_maintenance.hpp"

#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/data_dir.hpp"
#include "app/local/cli_config.hpp"
#include "app/maintenance/backup.hpp"
#include "app/maintenance/doctor.hpp"
#include "app/settings.hpp"
#include "base/text.hpp"

namespace strata::app {

namespace {

// One line on a terminal, nothing elsewhere.
class Line {
 public:
  ~Line() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }
  void draw(std::string_view what, std::uint64_t done, std::uint64_t all) {
    if (!terminal_) return;
    const auto percent = all == 0 ? 0 : static_cast<int>(100 * done / all);
    if (drawn_ && percent == percent_ && what == what_) return;
    percent_ = percent;
    what_ = what;
    drawn_ = true;
    const std::string share = all == 0 ? "" : fmt::format("{:3} % of {}", percent, show_bytes(all));
    std::fprintf(stderr, "\r\033[K%s  %s", what_.c_str(), share.c_str());
    std::fflush(stderr);
  }

 private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool drawn_ = false;
  int percent_ = -1;
  std::string what_;
};

Json report_json(const FsckReport& report) {
  Json findings = Json::array();
  for (const auto& finding : report.findings)
    findings.push(finding);
  return Json::object({{"objects", report.objects},
                       {"bytes", report.bytes},
                       {"orphans", report.orphans},
                       {"contents", report.contents},
                       {"audit", report.audit ? kernel::report_json(*report.audit) : Json()},
                       {"findings", std::move(findings)}});
}

std::string checked_text(const FsckReport& report) {
  return fmt::format("{} object{} ({}) and {} file{} of pipelines are what their digests say",
                     report.objects, report.objects == 1 ? "" : "s", show_bytes(report.bytes),
                     report.contents, report.contents == 1 ? "" : "s");
}

void run_fsck(CliContext& context, const std::string& since) {
  std::optional<kernel::ChainHead> kept;
  if (!since.empty()) {
    auto head = kernel::parse_head(since);
    if (!head) return context.fail(head.error());
    kept = *std::move(head);
  }
  const auto report = [&] {
    Line line;
    return check_data(
        absolute_data_dir(context.data_dir),
        [&](std::uint64_t done, std::uint64_t all) { line.draw("objects", done, all); }, kept);
  }();
  if (!report) return context.fail(report.error());
  if (context.structured()) {
    context.dump(report_json(*report));
  } else {
    for (const auto& finding : report->findings)
      std::printf("%s\n", finding.c_str());
    if (report->orphans > 0) {
      std::printf("%llu files that nothing names; the next server removes them\n",
                  static_cast<unsigned long long>(report->orphans));
    }
    std::printf("%s\n", report->findings.empty()
                            ? checked_text(*report).c_str()
                            : fmt::format("{} findings", report->findings.size()).c_str());
  }
  if (!report->findings.empty()) context.exit_code = kExitFailed;
}

// Asks the server, if one runs there, to let its SQL engines end.
Status release_engines(const std::string& data) {
  if (!read_endpoints(data)) return {};  // an engine without its server ends by itself
  auto client = ApiClient::connect(data, "");
  if (!client) return client.error();
  const auto done = client->post("/api/v1/sql/release", Json::object());
  if (!done) return done.error();
  return {};
}

void run_backup(CliContext& context, const std::string& out) {
  const std::string data = absolute_data_dir(context.data_dir);
  const std::string target = std::filesystem::absolute(out).lexically_normal().string();
  const auto report = [&] {
    Line line;
    return backup_data(
        data, target, [&] { return release_engines(data); },
        [&](std::string_view what, std::uint64_t done, std::uint64_t all) {
          line.draw(what, done, all);
        });
  }();
  if (!report) return context.fail(report.error());
  if (context.structured()) {
    Json answer = report_json(report->checked);
    answer.set("out", target);
    answer.set("copied_bytes", report->copied_bytes);
    answer.set("passes", report->passes);
    return context.dump(answer);
  }
  std::printf("%s: copied and checked; %s\n", target.c_str(),
              checked_text(report->checked).c_str());
}

void run_doctor(CliContext& context, const SettingSources& sources) {
  Json rows = Json::array();
  for (const auto& one : diagnose(sources)) {
    rows.push(
        Json::object({{"what", one.what}, {"state", state_name(one.state)}, {"found", one.found}}));
    if (one.state == Diagnosis::State::kBad) context.exit_code = kExitFailed;
  }
  context.print(Json::object({{"checks", std::move(rows)}}), "checks",
                {{"what", "WHAT"}, {"state", "STATE"}, {"found", "FOUND"}});
}

}  // namespace

void add_maintenance_commands(CLI::App& app, CliContext& context) {
  static std::string out;
  auto* backup = app.add_subcommand("backup", "Copy a data directory, in use or not, and check it");
  backup->add_option("--out", out, "New or empty directory for the copy")->required();
  backup->callback([&context] { run_backup(context, out); });
  static std::string since;
  auto* fsck =
      app.add_subcommand("fsck", "Check all that lies in a data directory that no server uses");
  fsck->add_option("--since-head", since, "The audit log has only grown since this SEQUENCE:HASH");
  fsck->callback([&context] { run_fsck(context, since); });
  static SettingSources sources;
  auto* doctor = app.add_subcommand("doctor", "What a server would miss on this machine");
  add_setting_flags(*doctor, sources.file, sources.flags);
  doctor->callback([&context] {
    sources.data = context.data_dir;
    run_doctor(context, sources);
  });
}

}  // namespace strata::app
