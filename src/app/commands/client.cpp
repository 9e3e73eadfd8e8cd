#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "app/commands/yaml.hpp"
#include "app/data_dir.hpp"
#include "base/text.hpp"
#include "runtime/files.hpp"
#include "runtime/http_client.hpp"

namespace strata::app {

int exit_code_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kMalformed:
      return kExitUsage;
    case Code::kNotFound:
      return kExitNotFound;
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
    case Code::kExpired:
      return kExitNotAllowed;
    case Code::kAlreadyExists:
    case Code::kConflict:
    case Code::kPreconditionFailed:
      return kExitConflict;
    default:
      return kExitFailed;
  }
}

std::string encode_segment(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<ApiClient> ApiClient::connect(const std::string& data_dir, std::string project) {
  const char* url = std::getenv("STRATA_URL");
  const char* token = std::getenv("STRATA_TOKEN");
  if (data_dir.empty() && url != nullptr && token != nullptr) {
    std::string base = url;
    while (base.ends_with('/'))  // paths begin with one
      base.pop_back();
    if (!base.starts_with("http://") && !base.starts_with("https://")) {
      return invalid("STRATA_URL", fmt::format("STRATA_URL is '{}': it must begin with http:// or "
                                               "https://, as in http://127.0.0.1:7700",
                                               url));
    }
    ApiClient client(std::move(base), token, std::move(project));
    client.token_from_ = "STRATA_TOKEN";
    return client;
  }
  SystemFiles files;
  const std::string dir = data_dir.empty() ? default_data_dir() : data_dir;
  const auto endpoints = read_endpoints(dir);
  if (!endpoints) return endpoints.error();
  const auto admin = read_admin(files, dir);
  if (!admin) return admin.error();
  return ApiClient(endpoints->http, admin->token, std::move(project));
}

namespace {

Code code_of(const std::string& name, int status) {
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
    if (code_name(static_cast<Code>(i)) == name) return static_cast<Code>(i);
  }
  if (status == 401) return Code::kUnauthenticated;
  if (status == 403) return Code::kPermissionDenied;
  if (status == 404) return Code::kNotFound;
  if (status == 409) return Code::kConflict;
  return status < 500 ? Code::kInvalidArgument : Code::kInternal;
}

Error error_of(const ClientAnswer& answer, const std::string& body) {
  const auto json = parse_json(body);
  const Json& inner = json ? (*json)["error"] : Json();
  std::string message = inner.text("message");
  if (message.empty())
    message = fmt::format("the server answered {}: {}", answer.status, body.substr(0, 300));
  return Error(code_of(inner.text("code"), answer.status), message);
}

}  // namespace

// Where the caller has the token that was refused from, and how it gets another.
Error ApiClient::with_source(Error error) const {
  if (error.code != Code::kUnauthenticated && error.code != Code::kExpired) return error;
  if (token_from_.empty()) return error;
  error.message += fmt::format(
      " (it is in {}; as the local admin: eval \"$(strata env --data DIR)\", else set it to a "
      "token "
      "of yours)",
      token_from_);
  return error;
}

std::vector<std::pair<std::string, std::string>> ApiClient::headers(std::string_view accept) const {
  std::vector<std::pair<std::string, std::string>> out = {{"Authorization", "Bearer " + token_},
                                                          {"Accept", std::string(accept)}};
  if (!project_.empty()) out.emplace_back("Strata-Project", project_);
  return out;
}

Result<ApiAnswer> ApiClient::request(std::string_view method, const std::string& path,
                                     const std::string& body, std::string_view content_type,
                                     std::string_view accept) {
  ClientRequest request;
  request.method = method;
  request.url = url_ + path;
  request.body = body;
  request.timeout = limit_;
  request.headers = headers(accept);
  if (!body.empty()) request.headers.emplace_back("Content-Type", std::string(content_type));
  ApiAnswer answer;
  const auto done = http_exchange(request, [&](const ClientAnswer&, std::string_view piece) {
    answer.body += piece;
    return true;
  });
  if (!done) return done.error();
  answer.status = done->status;
  answer.headers = done->headers;
  if (answer.status >= 400) return with_source(error_of(*done, answer.body));
  return answer;
}

namespace {
Result<Json> as_json(Result<ApiAnswer> answer) {
  if (!answer) return std::move(answer).error();
  return answer->body.empty() ? Result<Json>(Json::object()) : parse_json(answer->body);
}
}  // namespace

Result<Json> ApiClient::get(const std::string& path) {
  return as_json(request("GET", path));
}
Result<Json> ApiClient::post(const std::string& path, const Json& body) {
  return as_json(request("POST", path, body.dump()));
}
Result<Json> ApiClient::remove(const std::string& path) {
  return as_json(request("DELETE", path));
}

Result<Json> ApiClient::upload(const std::string& path, std::uint64_t length,
                               std::function<Result<std::string_view>()> next) {
  ClientRequest request;
  request.method = "PUT";
  request.url = url_ + path;
  request.timeout = std::chrono::minutes(10);  // a disk may take its time to store a large file
  request.headers = headers("application/json");
  request.headers.emplace_back("Content-Type", "application/octet-stream");
  request.body_length = length;
  request.next_piece = std::move(next);
  ApiAnswer answer;
  const auto done = http_exchange(request, [&](const ClientAnswer&, std::string_view piece) {
    answer.body += piece;
    return true;
  });
  if (!done) return done.error();
  if (done->status >= 400) return with_source(error_of(*done, answer.body));
  return parse_json(answer.body);
}

Status ApiClient::stream(std::string_view method, const std::string& path, const std::string& body,
                         std::string_view accept,
                         const std::function<bool(std::string_view)>& on_piece) {
  ClientRequest request;
  request.method = method;
  request.url = url_ + path;
  request.body = body;
  request.timeout = std::chrono::hours(24);  // a log that is followed may stay silent for long
  request.headers = headers(accept);
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  std::string refused;
  const auto done = http_exchange(request, [&](const ClientAnswer& answer, std::string_view piece) {
    if (answer.status < 400) return on_piece(piece);
    refused += piece;
    return true;
  });
  if (!done) return done.error();
  if (done->status >= 400) return with_source(error_of(*done, refused));
  return {};
}

void CliContext::fail(const Error& error) {
  std::fprintf(stderr, "strata: %s\n", one_line(error.to_string()).c_str());
  exit_code = ended_by != 0 ? kExitSignal + ended_by : exit_code_of(error.code);
}

void CliContext::with_client(const std::function<Status(ApiClient&)>& f) {
  auto client = ApiClient::connect(data_dir, project);
  if (!client) return fail(client.error());
  const auto done = f(*client);
  if (!done) fail(done.error());
}

void CliContext::dump(const Json& answer) const {
  std::fputs((output == "yaml" ? to_yaml(answer) : answer.dump(2) + "\n").c_str(), stdout);
}

namespace {

std::string cell_text(const Json& value) {
  if (value.is_null()) return "-";
  return one_line(value.is_string() ? value.as_string() : value.dump());
}

}  // namespace

void CliContext::print(const Json& answer, std::string_view items,
                       const std::vector<std::pair<std::string, std::string>>& columns,
                       const std::function<Json(const Json&)>& row_of) {
  if (structured()) return dump(answer);
  Json rows = Json::array();
  for (const auto& item : answer[items].as_array())
    rows.push(row_of(item));
  print(Json::object({{std::string(items), std::move(rows)}}), items, columns);
}

void CliContext::print(const Json& answer, std::string_view items,
                       const std::vector<std::pair<std::string, std::string>>& columns) {
  if (structured()) return dump(answer);
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& [name, heading] : columns)
    lines[0].push_back(heading);
  const Json& rows = answer[items];
  for (const auto& row : rows.is_array() ? rows.as_array() : Json::Array{}) {
    auto& line = lines.emplace_back();
    for (const auto& [name, heading] : columns)
      line.push_back(cell_text(row[name]));
  }
  std::vector<std::size_t> widths(columns.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], width_of(line[i]));
  }
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) {
      text += line[i];
      if (i + 1 < line.size()) text += std::string(widths[i] - width_of(line[i]) + 2, ' ');
    }
    std::printf("%s\n", text.c_str());
  }
}

}  // namespace strata::app
