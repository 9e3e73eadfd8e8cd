#include "app/data_dir.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/json.hpp"

namespace strata::app {

namespace {

std::string endpoints_path(const std::string& data_dir) {
  return data_dir + "/run/endpoints.json";
}

std::string home_data_dir() {
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : ".") + "/.strata";
}

// A file that some process may hold a FileLock on. The look is a shared lock, which others that
// look do not take for a holder.
class Held {
 public:
  explicit Held(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
        held_(descriptor_ >= 0 && ::flock(descriptor_, LOCK_SH | LOCK_NB) != 0 &&
              errno == EWOULDBLOCK) {}
  ~Held() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  explicit operator bool() const { return held_; }
  // The content of that very file, whatever stands under its name by now.
  std::optional<std::string> content() const {
    std::string text;
    std::array<char, 4096> piece{};
    while (true) {
      const ssize_t got =
          ::pread(descriptor_, piece.data(), piece.size(), static_cast<off_t>(text.size()));
      if (got < 0) return std::nullopt;
      if (got == 0) return text;
      text.append(piece.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  int descriptor_;
  bool held_;
};

}  // namespace

std::string default_data_dir() {
  if (const char* dir = std::getenv("STRATA_DATA"); dir != nullptr && *dir != '\0') return dir;
  return home_data_dir();
}

std::string data_to_name(const std::string& dir) {
  const std::string full = absolute_data_dir(dir);
  return full == absolute_data_dir(home_data_dir()) ? "" : full;
}

std::string absolute_data_dir(const std::string& given) {
  return std::filesystem::absolute(given.empty() ? default_data_dir() : given)
      .lexically_normal()
      .string();
}

Result<Endpoints> read_endpoints(const std::string& data_dir) {
  const Held file(endpoints_path(data_dir));
  const auto text = file ? file.content() : std::nullopt;
  if (!text) {
    return not_found("no server is ready on " + data_dir +
                     "; start one with: strata serve --data " + data_dir);
  }
  const auto json = parse_json(*text);
  if (!json) return json.error();
  return Endpoints{json->text("http"), json->text("s3"), json->text("pg")};
}

bool server_holds(const std::string& data_dir) {
  return static_cast<bool>(Held(data_dir + "/run/lock"));
}

Result<FileLock> write_endpoints(Files& files, const std::string& data_dir,
                                 const Endpoints& endpoints) {
  const Json json = Json::object({{"http", endpoints.http},
                                  {"s3", endpoints.s3},
                                  {"pg", endpoints.pg.empty() ? Json() : Json(endpoints.pg)}});
  const std::string draft = endpoints_path(data_dir) + ".new";
  STRATA_TRY(files.replace(draft, json.dump() + "\n", 0600));
  auto held = FileLock::acquire(draft);  // before the file has its name
  if (held) STRATA_TRY(files.publish(draft, endpoints_path(data_dir)));
  return held;
}

Status remove_endpoints(Files& files, const std::string& data_dir) {
  return files.remove(endpoints_path(data_dir));
}

Result<AdminCredentials> read_admin(Files& files, const std::string& data_dir) {
  const auto text = files.read_all(data_dir + "/admin.json");
  if (!text && text.error().code == Code::kPermissionDenied) {
    return Error(Code::kPermissionDenied,
                 "only the user that runs the server may act as its local admin");
  }
  if (!text) return not_found("there is no server's data in " + data_dir);
  return read_credentials(files, data_dir + "/admin.json");
}

Status write_admin(Files& files, const std::string& data_dir, const AdminCredentials& admin) {
  return write_credentials(files, data_dir + "/admin.json", admin);
}

Result<AdminCredentials> read_credentials(Files& files, const std::string& path) {
  const auto text = files.read_all(path);
  if (!text) return text.error();
  const auto json = parse_json(*text);
  if (!json) return json.error();
  return AdminCredentials{json->text("token"), json->text("access_key_id"),
                          json->text("secret_access_key")};
}

Status write_credentials(Files& files, const std::string& path, const AdminCredentials& admin) {
  const Json json = Json::object({{"token", admin.token},
                                  {"access_key_id", admin.access_key_id},
                                  {"secret_access_key", admin.secret_access_key}});
  return files.replace(path, json.dump() + "\n", 0600);
}

std::vector<std::pair<std::string, std::string>> client_environment(
    const Endpoints& endpoints, const AdminCredentials& credentials) {
  return {{"STRATA_URL", endpoints.http},
          {"STRATA_TOKEN", credentials.token},
          {"AWS_ENDPOINT_URL_S3", endpoints.s3},
          {"AWS_ACCESS_KEY_ID", credentials.access_key_id},
          {"AWS_SECRET_ACCESS_KEY", credentials.secret_access_key},
          {"AWS_DEFAULT_REGION", "us-east-1"},
          {"MLFLOW_TRACKING_URI", endpoints.http},
          {"MLFLOW_TRACKING_TOKEN", credentials.token}};
}

}  // namespace strata::app
