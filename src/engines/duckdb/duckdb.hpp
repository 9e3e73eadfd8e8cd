#pragma once

#include "engines/duckdb/engine.hpp"

namespace strata::engines::duckdb {

// The life of the SQL engine's process: loads the library, confines the process to the warehouse's
// folders, opens the database and serves sessions that arrive on the control socket `descriptor`
// (wire/sql_engine.hpp) until that closes; then interrupts what runs, writes the log into the
// database and returns the exit code. Blocks; call it once, from main.
int run_worker(int descriptor, const EngineOptions& options);

}  // namespace strata::engines::duckdb
