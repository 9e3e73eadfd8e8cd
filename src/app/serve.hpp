#pragma once

#include <string>

#include "base/result.hpp"

namespace strata::app {

struct ServeOptions {
  std::string data;
  std::string http = "127.0.0.1:7700";
  std::string s3 = "127.0.0.1:7701";
  std::string pg = "127.0.0.1:7702";
  std::string tls_certificate;
  std::string tls_private_key;
  std::string log_level = "info";
};

// Runs the server in the foreground until SIGTERM or SIGINT. Blocks. Errors: kConflict when another
// server holds the data directory, and whatever stands in the way of a start.
Status serve(const ServeOptions& options);

// Directory of this binary and of the prebuilt engines beside it.
std::string executable_path();
std::string engine_libraries();

}  // namespace strata::app
