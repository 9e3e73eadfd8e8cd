#include "app/workers/worker_warehouse.hpp"

#include <CLI/CLI.hpp>

#include "app/commands/cli.hpp"
#include "engines/duckdb/duckdb.hpp"

namespace strata::app {

void add_warehouse_worker(CLI::App& app, CliContext& context) {
  static engines::duckdb::EngineOptions options;
  static int descriptor = -1;
  auto* worker =
      app.add_subcommand("warehouse", "The SQL engine's process; the server starts it")->group("");
  worker->add_option("--socket-fd", descriptor)->required();
  worker->add_option("--lib", options.library)->required();
  worker->add_option("--folder", options.folder)->required();
  worker->add_option("--spool", options.spool)->required();
  worker->add_option("--memory-mb", options.memory_mb);
  worker->add_option("--threads", options.threads);
  worker->add_option("--view-folder", options.view_folders);
  worker->callback([&context] {
    options.data = context.data_dir;
    context.exit_code = engines::duckdb::run_worker(descriptor, options);
  });
}

}  // namespace strata::app
