#include "app/compose/lake_artifact_store.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"

namespace strata::app {

using kernel::Caller;
using kernel::Permission;
using platform::tracking::Artifact;
using platform::tracking::ArtifactInfo;
using storage::lake::Listing;
using storage::lake::ObjectName;

namespace {

constexpr std::string_view kBucket = "mlflow-artifacts";
constexpr std::string_view kDefaultProject = "default";
constexpr std::string_view kDigestKind = "sha256:";
constexpr std::size_t kPage = 1000;
constexpr std::size_t kMaxEntries = 100'000;

Caller with_lake_rights(const Caller& caller) {
  Caller rights = caller;
  rights.permissions.set(static_cast<std::size_t>(Permission::kLakeRead));
  rights.permissions.set(static_cast<std::size_t>(Permission::kLakeWrite));
  return rights;
}

std::string hex_of(std::string_view digest) {
  return digest.starts_with(kDigestKind) ? std::string(digest.substr(kDigestKind.size()))
                                         : std::string();
}

Error no_such_file(std::string_view path) {
  return not_found(fmt::format("There is no artifact at '{}'", path));
}

bool is_missing_bucket(const Error& error) {
  return error.code == Code::kNotFound && error.field == "bucket";
}

}  // namespace

std::string LakeArtifactStore::bucket_of(const ProjectId& project) {
  if (project.str() == kDefaultProject) return std::string(kBucket);
  return fmt::format("{}-{}", kBucket, to_hex(sha256(project.str())).substr(0, 16));
}

Task<Status> LakeArtifactStore::ensure_bucket(const Caller& rights, const std::string& bucket) {
  {
    const std::lock_guard lock(mutex_);
    if (buckets_.contains(bucket)) co_return Status();
  }
  const auto made = co_await lake_.create_bucket(rights, bucket);
  if (!made && made.error().code != Code::kAlreadyExists) co_return made.error();
  const std::lock_guard lock(mutex_);
  buckets_.insert(bucket);
  co_return Status();
}

Task<Result<ArtifactInfo>> LakeArtifactStore::put(const Caller& caller, std::string path,
                                                  ByteSource& body) {
  const Caller rights = with_lake_rights(caller);
  const std::string bucket = bucket_of(caller.project);
  STRATA_CO_TRY(co_await ensure_bucket(rights, bucket));
  auto name = ObjectName::make(bucket, path);
  if (!name) co_return std::move(name).error();
  storage::lake::PutOptions options;
  options.in_tree = true;  // clients keep artifacts as files of a folder
  auto stored = co_await lake_.put(rights, *name, body, std::move(options));
  if (!stored) co_return std::move(stored).error();
  co_return ArtifactInfo{std::move(path), stored->size, hex_of(stored->digest), false};
}

Task<Result<Artifact>> LakeArtifactStore::open(const Caller& caller, std::string path) {
  const Caller rights = with_lake_rights(caller);
  auto name = ObjectName::make(bucket_of(caller.project), path);
  if (!name) co_return std::move(name).error();
  storage::lake::GetOptions options;
  auto opened = co_await lake_.get(rights, *name, std::move(options));
  if (!opened) {
    if (opened.error().code == Code::kNotFound) co_return no_such_file(path);
    co_return std::move(opened).error();
  }
  Artifact artifact;
  artifact.info = {std::move(path), opened->info.size, hex_of(opened->info.digest), false};
  artifact.body = lake_.read(std::move(*opened));
  co_return artifact;
}

Task<Result<std::vector<ArtifactInfo>>> LakeArtifactStore::list(const Caller& caller,
                                                                std::string path) {
  const Caller rights = with_lake_rights(caller);
  std::vector<ArtifactInfo> found;
  storage::lake::ListOptions options;
  options.prefix = path.empty() ? "" : path + "/";
  options.delimiter = "/";
  options.limit = kPage;
  while (true) {
    auto page = co_await lake_.list(rights, bucket_of(caller.project), options);
    if (!page) {
      if (is_missing_bucket(page.error())) co_return found;
      co_return std::move(page).error();
    }
    for (auto& object : page->objects)
      found.push_back({object.key, object.size, hex_of(object.digest), false});
    for (auto& prefix : page->prefixes) {
      prefix.pop_back();
      found.push_back({std::move(prefix), 0, "", true});
    }
    if (found.size() > kMaxEntries) {
      co_return Error(Code::kTooLarge,
                      fmt::format("'{}' holds more than {} artifacts", path, kMaxEntries));
    }
    if (!page->truncated) break;
    options.after = page->next;
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  co_return found;
}

// Objects that came in parts over S3 have no hash of the whole yet.
Task<Result<std::string>> LakeArtifactStore::content_sha256(const Caller& rights,
                                                            const std::string& bucket,
                                                            const std::string& key,
                                                            const std::string& digest) {
  if (auto known = hex_of(digest); !known.empty()) co_return known;
  auto name = ObjectName::make(bucket, key);
  if (!name) co_return std::move(name).error();
  storage::lake::GetOptions options;
  auto opened = co_await lake_.get(rights, *name, std::move(options));
  if (!opened) co_return std::move(opened).error();
  const auto body = lake_.read(std::move(*opened));
  Digest running(DigestKind::kSha256);
  while (true) {
    auto piece = co_await body->next();
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) co_return to_hex(running.finish());
    running.update(*piece);
  }
}

Task<Result<std::vector<ArtifactInfo>>> LakeArtifactStore::walk(const Caller& caller,
                                                                std::string path,
                                                                std::size_t limit) {
  const Caller rights = with_lake_rights(caller);
  const std::string bucket = bucket_of(caller.project);
  std::vector<ArtifactInfo> found;
  storage::lake::ListOptions options;
  options.prefix = path + "/";
  options.limit = kPage;
  while (true) {
    auto page = co_await lake_.list(rights, bucket, options);
    if (!page) {
      if (is_missing_bucket(page.error())) co_return found;
      co_return std::move(page).error();
    }
    for (auto& object : page->objects) {
      auto sha256_hex = co_await content_sha256(rights, bucket, object.key, object.digest);
      if (!sha256_hex) co_return std::move(sha256_hex).error();
      found.push_back({std::move(object.key), object.size, std::move(*sha256_hex), false});
    }
    if (found.size() > limit) {
      co_return Error(Code::kTooLarge, fmt::format("'{}' holds more than {} files", path, limit));
    }
    if (!page->truncated) co_return found;
    options.after = page->next;
  }
}

Task<Status> LakeArtifactStore::remove(const Caller& caller, std::string path) {
  const Caller rights = with_lake_rights(caller);
  const std::string bucket = bucket_of(caller.project);
  auto name = ObjectName::make(bucket, path);
  if (!name) co_return std::move(name).error();
  storage::lake::Conditions always;
  auto file = co_await lake_.remove(rights, *name, std::move(always));
  if (!file) {
    if (is_missing_bucket(file.error())) co_return Status();
    co_return std::move(file).error();
  }
  storage::lake::ListOptions options;
  options.prefix = path + "/";
  options.limit = kPage;
  while (true) {
    auto page = co_await lake_.list(rights, bucket, options);
    if (!page) co_return std::move(page).error();
    std::vector<storage::lake::Removal> removals;
    for (auto& object : page->objects)
      removals.push_back({std::move(object.key), {}});
    if (removals.empty()) co_return Status();
    auto gone = co_await lake_.remove_many(rights, bucket, std::move(removals));
    if (!gone) co_return std::move(gone).error();
    for (const auto& one : *gone)
      STRATA_CO_TRY(one);
  }
}

}  // namespace strata::app
