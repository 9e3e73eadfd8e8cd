#include "wire/mlflow/mlflow_artifact.hpp"

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire::mlflow {

namespace {

constexpr std::size_t kMaxPath = 1000;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode_once(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
        hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Why the text cannot be a path below a root, or an empty text.
std::string_view path_fault(std::string_view path) {
  if (!path.empty() && path.front() == '/') return "it is absolute";
  if (path.size() >= 3 && path[1] == ':' && path[2] == '/') return "it names a drive";
  for (const char c : path) {
    if (c == '\\') return "it contains a backslash";
    if (c == '#' || c == '?') return "it contains '#' or '?'";
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return "it contains a control character";
  }
  for (const auto& part : split(path, '/')) {
    if (part == "..") return "it climbs out by '..'";
    if (part == ".") return "it contains a '.' part";
  }
  return {};
}

Error bad_path(std::string_view field, std::string_view path, std::string_view why) {
  return invalid(std::string(field),
                 fmt::format("Invalid path '{}': {}. Give a relative path such as model/MLmodel",
                             printable(path), why));
}

}  // namespace

Result<std::string> check_artifact_path(std::string_view path, std::string_view field,
                                        bool may_be_root) {
  while (!path.empty() && path.back() == '/')
    path.remove_suffix(1);
  if (path.empty()) {
    if (may_be_root) return std::string();
    return bad_path(field, path, "it is empty");
  }
  if (path.size() > kMaxPath)
    return bad_path(field, path, fmt::format("it is longer than {} bytes", kMaxPath));
  if (!is_utf8(path)) return bad_path(field, path, "it is not UTF-8");
  if (path.find("//") != std::string_view::npos)
    return bad_path(field, path, "it has an empty part");
  std::string decoded(path);
  while (true) {
    if (const auto fault = path_fault(decoded); !fault.empty()) return bad_path(field, path, fault);
    std::string next = decode_once(decoded);
    if (next == decoded) return std::string(path);
    decoded = std::move(next);
  }
}

Status check_artifact_uri(std::string_view uri, std::string_view field) {
  const auto refuse = [&](std::string_view why) {
    return invalid(
        std::string(field),
        fmt::format(
            "Invalid location '{}': {}. Leave it out, or give an object store location such as "
            "s3://bucket/prefix",
            printable(uri), why));
  };
  const std::size_t colon = uri.find(':');
  if (colon == std::string_view::npos || colon == 0) return refuse("it has no scheme");
  const std::string scheme = to_lower(uri.substr(0, colon));
  for (const char c : scheme) {
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.')
      return refuse("it has no scheme");
  }
  if (scheme == "file" || scheme.size() == 1)
    return refuse("it is a path on the server's own disk");
  std::string_view rest = uri.substr(colon + 1);
  if (scheme != "mlflow-artifacts" && !rest.starts_with("//"))
    return refuse("it names no host or bucket");
  while (rest.starts_with("/"))
    rest.remove_prefix(1);
  auto path = check_artifact_path(rest, field, true);
  if (!path) return std::move(path).error();
  return {};
}

std::optional<std::string> proxied_path(std::string_view uri) {
  constexpr std::string_view kScheme = "mlflow-artifacts:";
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  if (uri.starts_with("//")) {  // "//host:port/path": the host is this server
    uri.remove_prefix(2);
    const std::size_t slash = uri.find('/');
    uri = slash == std::string_view::npos ? std::string_view() : uri.substr(slash);
  }
  while (uri.starts_with("/"))
    uri.remove_prefix(1);
  while (uri.ends_with("/"))
    uri.remove_suffix(1);
  return std::string(uri);
}

std::string canonical_mlmodel(std::string_view yaml) {
  constexpr std::array<std::string_view, 5> kVolatile = {
      "run_id:", "model_id:", "model_uuid:", "artifact_path:", "utc_time_created:"};
  std::string out;
  out.reserve(yaml.size());
  bool dropping = false;
  while (!yaml.empty()) {
    const std::size_t end = yaml.find('\n');
    const std::string_view line =
        yaml.substr(0, end == std::string_view::npos ? yaml.size() : end + 1);
    yaml.remove_prefix(line.size());
    // A folded value goes on in indented lines; the next top-level entry ends it.
    const bool continues = line.front() == ' ' || line.front() == '\t';
    if (!continues) {
      dropping = std::any_of(kVolatile.begin(), kVolatile.end(),
                             [&](auto key) { return line.starts_with(key); });
    }
    if (!dropping) out += line;
  }
  return out;
}

}  // namespace strata::wire::mlflow
