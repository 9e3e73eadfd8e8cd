#include "resources/workflow/content.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "runtime/random.hpp"
#include "wire/flow/tar.hpp"

namespace strata::resources::workflow {
namespace {

namespace fs = std::filesystem;

bool is_digest(const std::string& text) {
  return text.size() == 71 && text.starts_with("sha256:") &&
         text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
}

Result<ContentStore::Stored> digest_of(Files& files, const std::string& path) {
  auto file = files.open(path);
  if (!file) return file.error();
  Digest digest(DigestKind::kSha256);
  std::vector<char> buffer(1 << 20);
  std::uint64_t size = 0;
  while (true) {
    const auto count = (*file)->read_at(buffer, size);
    if (!count) return count.error();
    if (*count == 0) break;
    digest.update({buffer.data(), *count});
    size += *count;
  }
  return ContentStore::Stored{"sha256:" + to_hex(digest.finish()), size};
}

}  // namespace

std::string ContentStore::place(const std::string& digest) const {
  return fmt::format("{}/content/{}/{}", root_, digest.substr(7, 2), digest.substr(7));
}

// Makes the folder of a place. What lies there already is then durable too, though whoever stored
// it may have been killed before it was.
Status ContentStore::make_folder(const std::string& target) {
  const std::string folder = fs::path(target).parent_path();
  for (const auto& one : {root_, root_ + "/content", folder})
    STRATA_TRY(files_.make_dirs(one));
  if (files_.exists(target)) return files_.sync_names(folder);
  return {};
}

Result<ContentStore::Stored> ContentStore::keep(const std::string& path) {
  std::error_code failed;
  const auto status = fs::symlink_status(path, failed);
  if (!fs::exists(status)) return not_found("no file " + path);
  if (!fs::is_regular_file(status)) {
    return invalid("outputs",
                   fmt::format("{} is no regular file; write one file, for example a tar", path));
  }
  // Read-only first: nothing changes it between the digest and the link, nor later.
  fs::permissions(path, fs::perms::owner_read | fs::perms::group_read, failed);
  if (failed) return from_errno(failed.value(), "chmod", path);
  auto stored = digest_of(files_, path);
  if (!stored) return stored;
  const std::string target = place(stored->digest);
  STRATA_TRY(make_folder(target));
  if (files_.exists(target)) return stored;
  // The name must not outlive the bytes in a power loss: sync them under a name of their own, then
  // publish.
  SystemRandom random;
  const std::string fresh = fmt::format("{}.{}", target, random.hex(8));
  STRATA_TRY(files_.link(path, fresh));
  auto file = files_.open(fresh);
  if (!file) return file.error();
  STRATA_TRY((*file)->sync());
  STRATA_TRY(files_.publish(fresh, target));
  return stored;
}

Result<ContentStore::Stored> ContentStore::keep_bytes(std::string_view bytes) {
  const Stored stored{content_digest(bytes), bytes.size()};
  const std::lock_guard lock(writing_);
  const std::string target = place(stored.digest);
  STRATA_TRY(make_folder(target));
  if (files_.exists(target)) return stored;
  STRATA_TRY(files_.replace(target, bytes, 0400));
  return stored;
}

Result<std::string> ContentStore::path_of(const std::string& digest) {
  if (!is_digest(digest))
    return invalid("digest", fmt::format("'{}' is no digest", printable(digest)));
  std::string path = place(digest);
  if (!files_.exists(path)) return not_found("no stored content " + digest);
  return path;
}

Result<std::string> ContentStore::unpacked(const std::string& digest) {
  const auto archive = path_of(digest);
  if (!archive) return archive;
  std::string target = fmt::format("{}/packages/{}", root_, digest.substr(7));
  if (files_.exists(target)) return target;
  const auto bytes = files_.read_all(*archive);
  if (!bytes) return bytes;
  const auto entries = wire::read_tar(*bytes);
  if (!entries) return entries.error();
  const std::lock_guard lock(writing_);
  if (files_.exists(target)) return target;
  SystemRandom random;
  const std::string fresh = fmt::format("{}.{}", target, random.hex(8));
  STRATA_TRY(files_.make_dirs(fresh));
  for (const auto& entry : *entries) {
    const std::string path = fresh + "/" + entry.path;
    STRATA_TRY(files_.make_dirs(fs::path(path).parent_path()));
    STRATA_TRY(files_.replace(path, entry.content, entry.executable ? 0700 : 0600));
  }
  STRATA_TRY(files_.publish(fresh, target));
  return target;
}

Result<std::map<std::string, std::string>> ContentStore::files_of(const std::string& digest) {
  std::map<std::string, std::string> out;
  if (digest.empty()) return out;
  const auto archive = path_of(digest);
  if (!archive) return archive.error();
  const auto bytes = files_.read_all(*archive);
  if (!bytes) return bytes.error();
  const auto entries = wire::read_tar(*bytes);
  if (!entries) return entries.error();
  for (const auto& entry : *entries)
    out.emplace(entry.path, content_digest(entry.content));
  return out;
}

}  // namespace strata::resources::workflow
