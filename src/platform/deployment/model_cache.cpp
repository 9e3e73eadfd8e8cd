#include "platform/deployment/model_cache.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "wire/mlflow/mlflow_artifact.hpp"

namespace strata::platform::deployment {

namespace {

constexpr std::size_t kPiece = 1U << 20U;

std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

}  // namespace

std::string ModelCache::directory(const std::string& digest) const {
  return folder_ + "/" + digest.substr(digest.find(':') + 1);
}

Status ModelCache::check_list(const ResolvedModel& model) const {
  if (model.files.empty())
    return Error(Code::kDataLoss, "the model store lists no files of the model");
  for (const auto& file : model.files) {
    if (!wire::mlflow::check_artifact_path(file.path, "path")) {
      return invalid("path", fmt::format("the model has a file '{}', whose name leaves the package",
                                         printable(file.path)));
    }
  }
  const std::string digest = models::package_digest(model.files);
  if (digest != model.package_digest) {
    return Error(Code::kChecksumMismatch,
                 fmt::format("the model's files give {}, the model store says {}", digest,
                             printable(model.package_digest)));
  }
  return {};
}

Status ModelCache::check_file(const std::string& directory, const models::ModelFile& file) {
  auto opened = files_.open(directory + "/" + file.path);
  if (!opened) return std::move(opened).error();
  Digest digest(DigestKind::kSha256);
  std::string piece(kPiece, '\0');
  for (std::uint64_t at = 0;;) {
    const auto got = (*opened)->read_at(piece, at);
    if (!got) return got.error();
    if (*got == 0) break;
    digest.update(std::string_view(piece).substr(0, *got));
    at += *got;
  }
  const std::string found = to_hex(digest.finish());
  if (found == file.sha256) return {};
  return Error(Code::kChecksumMismatch, fmt::format("the model's file '{}' has SHA-256 {}, not {}",
                                                    printable(file.path), found, file.sha256));
}

Task<Status> ModelCache::fetch_file(ModelSource& source, const kernel::Caller& caller,
                                    const ResolvedModel& model, const models::ModelFile& file) {
  const std::string to = directory(model.package_digest) + "/" + file.path;
  const std::string from = folder_ + "/.fetch-" + random_.hex(8);
  auto opened = co_await source.open(caller, model, file);
  if (!opened) co_return std::move(opened).error();
  std::unique_ptr<File> out;
  auto create = [&]() -> Status {
    STRATA_TRY(files_.make_dirs(parent_of(to)));
    auto created = files_.create(from);
    if (!created) return std::move(created).error();
    out = *std::move(created);
    return {};
  };
  STRATA_CO_TRY(co_await pool_.run(create));
  Status status;
  std::uint64_t size = 0;
  while (status) {
    auto piece = co_await (*opened)->next();
    if (!piece) {
      status = std::move(piece).error();
      break;
    }
    if (piece->empty()) break;
    size += piece->size();
    auto append = [&]() -> Status {
      return out->append(*piece);
    };
    status = co_await pool_.run(append);
    if (status && size > file.size) {
      status = Error(Code::kChecksumMismatch,
                     fmt::format("the model's file '{}' is longer than the {} bytes that the model "
                                 "store says",
                                 printable(file.path), file.size));
    }
  }
  auto finish = [&]() -> Status {
    if (status) status = out->sync();
    out.reset();
    if (status) status = files_.publish(from, to);
    if (!status) (void)files_.remove(from);
    return std::move(status);
  };
  co_return co_await pool_.run(finish);
}

Task<Result<std::string>> ModelCache::fetch(ModelSource& source, const kernel::Caller& caller,
                                            const ResolvedModel& model) {
  STRATA_CO_TRY(check_list(model));
  const std::string where = directory(model.package_digest);
  const std::string list = where + ".json";
  auto prepare = [&]() -> Status {
    return files_.make_dirs(where);
  };
  STRATA_CO_TRY(co_await pool_.run(prepare));
  for (const auto& file : model.files) {
    auto check = [&] {
      return check_file(where, file);
    };
    auto checked = co_await pool_.run(check);
    if (checked) continue;
    if (checked.error().code == Code::kChecksumMismatch) {
      log::error("model.cache_damaged", Json::object({{"package", model.package_digest},
                                                      {"error", checked.error().message}}));
    }
    STRATA_CO_TRY(co_await fetch_file(source, caller, model, file));
    STRATA_CO_TRY(co_await pool_.run(check));
  }
  auto seal = [&]() -> Status {
    if (files_.exists(list)) return {};
    Json files = Json::array();
    for (const auto& file : model.files) {
      files.push(Json::object({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}}));
    }
    const Json about = Json::object({{"format", 1},
                                     {"name", model.name},
                                     {"version", model.version},
                                     {"run_id", model.run_id},
                                     {"digest", model.digest},
                                     {"files", std::move(files)}});
    return files_.replace(list, about.dump(1));
  };
  STRATA_CO_TRY(co_await pool_.run(seal));
  co_return where;
}

Result<ResolvedModel> ModelCache::stored(const std::string& digest) {
  const std::string list = directory(digest) + ".json";
  if (!files_.exists(list))
    return not_found(fmt::format("the model {} is not on this machine", digest));
  auto text = files_.read_all(list);
  if (!text) return std::move(text).error();
  auto about = parse_json(*text);
  if (!about) return about.error().wrap("the list of files of " + digest + " is damaged");
  ResolvedModel model;
  model.name = about->text("name");
  model.version = about->text("version");
  model.digest = about->text("digest");
  model.package_digest = digest;
  model.run_id = about->text("run_id");
  if ((*about)["files"].is_array()) {
    for (const auto& file : (*about)["files"].as_array()) {
      model.files.push_back({file.text("path"), static_cast<std::uint64_t>(file.integer("size")),
                             file.text("sha256")});
    }
  }
  STRATA_TRY(check_list(model));
  for (const auto& file : model.files)
    STRATA_TRY(check_file(directory(digest), file));
  return model;
}

}  // namespace strata::platform::deployment
