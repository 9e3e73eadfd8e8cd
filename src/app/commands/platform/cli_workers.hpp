#pragma once

#include <string>

#include "base/json.hpp"
#include "base/result.hpp"

namespace CLI {
class App;
}

namespace strata::app {

struct CliContext;

// "2", "1..4" and "0..2" with an idle time such as "5m", as the API's `replicas`; an empty idle
// time is the server's default. Errors: kInvalidArgument.
Result<Json> parse_workers(const std::string& workers, const std::string& idle);

// `strata endpoint scale` and `strata endpoint logs`
void add_worker_commands(CLI::App& endpoint, CliContext& context);

}  // namespace strata::app
