#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "runtime/files.hpp"

namespace strata::app {

// What a data directory tells the programs beside it. DIR/run/endpoints.json exists while a server
// is ready, which holds a lock on it: one that was killed leaves the file, but not the lock.
// DIR/admin.json (0600) holds the local admin's token, so reading it proves who one is.
struct Endpoints {
  std::string http;
  std::string s3;
  std::string pg;  // empty while there is no SQL door
};
struct AdminCredentials {
  std::string token;
  std::string access_key_id;
  std::string secret_access_key;
};

std::string default_data_dir();
// What `--data` must say for commands in any shell of this user to find `dir`; empty for ~/.strata.
std::string data_to_name(const std::string& dir);
// `given`, or the default when it is empty; absolute.
std::string absolute_data_dir(const std::string& given);
// Where the server that is ready there now can be reached. Errors: kNotFound when none is, whatever
// one that was killed has left behind.
Result<Endpoints> read_endpoints(const std::string& data_dir);
// Whether a server has that directory now, ready or not.
bool server_holds(const std::string& data_dir);
// Makes the server known as ready for as long as the lock lives. Errors: of the file system.
Result<FileLock> write_endpoints(Files& files, const std::string& data_dir,
                                 const Endpoints& endpoints);
Status remove_endpoints(Files& files, const std::string& data_dir);
// Errors: kNotFound before the first start, kPermissionDenied for another user.
Result<AdminCredentials> read_admin(Files& files, const std::string& data_dir);
// Credentials in a file of their own (0600). Errors: kNotFound, kMalformed.
Result<AdminCredentials> read_credentials(Files& files, const std::string& path);
Status write_credentials(Files& files, const std::string& path, const AdminCredentials& admin);
Status write_admin(Files& files, const std::string& data_dir, const AdminCredentials& admin);

// The variables by which stock clients reach a server with these credentials; what `strata env`
// prints and steps are given.
std::vector<std::pair<std::string, std::string>> client_environment(
    const Endpoints& endpoints, const AdminCredentials& credentials);

}  // namespace strata::app
