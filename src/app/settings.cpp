#include "app/settings.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "app/data_dir.hpp"

namespace strata::app {

namespace {

using config::Kind;
using config::Setting;

constexpr Setting kSettings[] = {
    {"http", Kind::kAddress, "127.0.0.1:7700",
     "address of the UI and every HTTP API; port 0 takes a free one"},
    {"s3", Kind::kAddress, "127.0.0.1:7701", "address of the S3 API"},
    {"pg", Kind::kAddress, "127.0.0.1:7702",
     "address of the PostgreSQL wire: accepted, not served yet"},
    {"tls.certificate", Kind::kText, "", "PEM file with the certificate chain, for both ports"},
    {"tls.private_key", Kind::kText, "", "PEM file with its private key"},
    {"announce.host", Kind::kText, "",
     "name that clients of this machine and steps are given; without it the address listened on, "
     "or for 0.0.0.0 and [::] the certificate's first name"},
    {"log.level", Kind::kChoice, "info", "what the log keeps", "debug,info,warn,error"},
    {"log.size", Kind::kBytes, "64MiB",
     "size from which on the log goes on in a new file; five older ones are kept", "",
     std::int64_t{64} << 10, std::int64_t{1} << 40},
    {"limits.body_memory", Kind::kBytes, "",
     "memory of all request bodies together, such as 1GiB; without it an eighth of the machine's, "
     "256 MiB at least",
     "", std::int64_t{1} << 20, std::int64_t{1} << 50},
    {"sql.memory", Kind::kBytes, "",
     "memory of the SQL engine, such as 2GiB; without it a quarter of the machine's, 256 MiB at "
     "least",
     "", std::int64_t{64} << 20, std::int64_t{1} << 50},
    {"sql.threads", Kind::kInteger, "", "threads of the SQL engine; without it one per core", "", 1,
     1024},
    {"tasks.running_per_user", Kind::kInteger, "64",
     "tasks of one user that may run at the same time", "", 1, 100'000},
    {"endpoints.timeout", Kind::kInteger, "60",
     "seconds that one run of an endpoint's model may take", "", 1, 3600},
    {"python.environment", Kind::kText, "build",
     "what models that need Python run with: build makes an environment of each model's own "
     "requirements; the folder of a virtual environment that has them, or a Python; off for none"},
    {"python.interpreter", Kind::kText, "python3", "the Python that environments are made of"},
    {"python.index_url", Kind::kText, "",
     "package index that environments are built from; without it pip's own default"},
    {"python.find_links", Kind::kText, "",
     "folder of wheels that environments are built from, instead of an index"},
    {"python.memory", Kind::kBytes, "",
     "memory of one process that runs a model in Python, such as 2GiB; without it a quarter of the "
     "machine's, 1 GiB at least",
     "", std::int64_t{64} << 20, std::int64_t{1} << 50},
    {"python.spare", Kind::kInteger, "1",
     "processes of a model in Python that stand ready to take the place of one that ends", "", 0,
     4},
};

// Variables of ours that are no settings of a server: what clients read, and what a step is given.
const std::vector<std::string>& other_variables() {
  static const std::vector<std::string> names = {
      "STRATA_DATA",    "STRATA_CONFIG",  "STRATA_URL",     "STRATA_TOKEN",    "STRATA_RUN_ID",
      "STRATA_PROJECT", "STRATA_TASK_ID", "STRATA_ATTEMPT", "STRATA_STEP",     "STRATA_FLOW",
      "STRATA_INPUTS",  "STRATA_OUTPUTS", "STRATA_CPUS",    "STRATA_ARGUMENTS"};
  return names;
}

std::vector<std::pair<std::string, std::string>> environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

}  // namespace

std::span<const Setting> server_settings() {
  return kSettings;
}

Result<ServerSettings> load_settings(Files& files, const SettingSources& sources) {
  ServerSettings loaded{absolute_data_dir(sources.data), "", config::Settings(kSettings)};
  const char* const variable = std::getenv("STRATA_CONFIG");
  std::string named = sources.file;
  if (named.empty() && variable != nullptr) named = variable;
  const std::string path =
      named.empty() ? loaded.data + "/strata.toml" : std::filesystem::absolute(named).string();
  if (!named.empty() || files.exists(path)) {
    const auto text = files.read_all(path);
    if (!text) return text.error();
    STRATA_TRY(loaded.values.read_file(path, *text));
    loaded.file = path;
  }
  STRATA_TRY(loaded.values.read_environment(environment(), other_variables()));
  for (const auto& [key, text] : sources.flags)
    STRATA_TRY(loaded.values.set_flag(key, text));
  return loaded;
}

std::string settings_reference() {
  std::string out = "| Key | Flag | Variable | Default | Means |\n|---|---|---|---|---|\n";
  for (const auto& setting : kSettings) {
    std::string means(setting.help);
    if (!setting.choices.empty()) means += fmt::format(": {}", setting.choices);
    out += fmt::format(
        "| `{}` | `{}` | `{}` | {} | {} |\n", setting.key, flag_of(setting), variable_of(setting),
        setting.fallback.empty() ? "" : fmt::format("`{}`", setting.fallback), means);
  }
  return out;
}

}  // namespace strata::app
