#include "app/commands/models/package_tree.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "platform/models/models.hpp"
#include "runtime/files.hpp"
#include "wire/flow/tar.hpp"
#include "wire/package/oci.hpp"
#include "wire/signing/model_signature.hpp"

namespace strata::app {

namespace fs = std::filesystem;
using platform::models::kMaxModelFiles;

namespace {

constexpr std::size_t kPiece = 256U << 10U;
constexpr std::uint64_t kMaxManifest = 16U << 20U;

Error no_package(const std::string& path, std::string_view why) {
  return invalid("path", fmt::format("{}: {}", printable(path), why));
}

Result<std::string> read_small(const std::string& path, std::uint64_t offset, std::uint64_t size) {
  if (size > kMaxManifest)
    return Error(Code::kTooLarge, fmt::format("{}: it is larger than 16 MiB", printable(path)));
  auto part = FilePart::open(path, offset, size);
  if (!part) return std::move(part).error();
  std::string all;
  while (true) {
    const auto piece = part->next();
    if (!piece) return piece.error();
    if (piece->empty()) return all;
    all += *piece;
  }
}

Result<std::string> read_document(const fs::path& path) {
  std::error_code failed;
  const auto size = fs::file_size(path, failed);
  if (failed) return from_errno(failed.value(), "read", path.string());
  return read_small(path.string(), 0, size);
}

// Sorted, none twice, and none below another file.
Status settle(PackageTree& tree, const std::string& path) {
  if (tree.files.empty()) return no_package(path, "there are no files in it");
  std::ranges::sort(tree.files, {}, &TreeFile::path);
  for (std::size_t i = 0; i + 1 < tree.files.size(); ++i) {
    const auto& one = tree.files[i].path;
    const auto& next = tree.files[i + 1].path;
    if (one == next || next.starts_with(one + "/"))
      return no_package(
          path, fmt::format("'{}' and '{}' cannot both be files", printable(one), printable(next)));
  }
  return {};
}

Result<PackageTree> read_directory(const std::string& path) {
  PackageTree tree;
  std::error_code failed;
  auto entry = fs::recursive_directory_iterator(path, failed);
  for (; !failed && entry != fs::recursive_directory_iterator(); entry.increment(failed)) {
    const auto status = entry->symlink_status(failed);
    if (failed) break;
    if (fs::is_directory(status)) continue;
    const std::string inside = entry->path().lexically_relative(path).generic_string();
    if (!fs::is_regular_file(status))
      return no_package(path, fmt::format("'{}' is a link or device; only files and folders belong "
                                          "to a package",
                                          printable(inside)));
    if (tree.files.size() == kMaxModelFiles)
      return Error(Code::kTooLarge,
                   fmt::format("{} holds more than {} files", path, kMaxModelFiles));
    tree.files.push_back({inside, entry->file_size(failed), entry->path().string(), 0});
  }
  if (failed) return from_errno(failed.value(), "read", path);
  const std::string beside = manifest_beside(path);
  if (fs::exists(beside, failed)) {
    auto manifest = read_document(beside);
    if (!manifest) return std::move(manifest).error();
    tree.manifest = *std::move(manifest);
  }
  STRATA_TRY(settle(tree, path));
  return tree;
}

// A signature is not of the files that it signs, unless the package was registered with it.
Status take_signature(PackageTree& tree) {
  const auto file = std::ranges::find(tree.files, kSignatureName, &TreeFile::path);
  if (file == tree.files.end()) return {};
  if (!tree.manifest.empty()) {
    const auto manifest = parse_json(tree.manifest);
    if (!manifest) return manifest.error().wrap("the package's manifest");
    const Json& listed = (*manifest)["files"];
    for (const auto& one : listed.is_array() ? listed.as_array() : Json::Array{}) {
      if (one.text("path") == kSignatureName) return {};
    }
  }
  auto bundle = read_small(file->host_path, file->offset, file->size);
  if (!bundle) return std::move(bundle).error();
  if (const auto read = wire::read_bundle(*bundle); !read)
    return read.error().wrap(std::string(kSignatureName));
  tree.signature = *std::move(bundle);
  tree.files.erase(file);
  return {};
}

// The files below the folder that holds `MLmodel`: of ours below "model/", of others wherever it
// is, with nothing beside it.
Result<PackageTree> below_model(std::vector<TreeFile> files, const std::string& path) {
  PackageTree tree;
  const auto named = std::ranges::find(files, kManifestName, &TreeFile::path);
  std::string root;
  if (named != files.end()) {
    auto manifest = read_small(named->host_path, named->offset, named->size);
    if (!manifest) return std::move(manifest).error();
    tree.manifest = *std::move(manifest);
    files.erase(named);
    root = "model/";
  } else {
    const auto is_model = [](const TreeFile& file) {
      return file.path == "MLmodel" || file.path.ends_with("/MLmodel");
    };
    const auto shallow = std::ranges::min_element(files, {}, [&](const TreeFile& file) {
      return is_model(file) ? std::ranges::count(file.path, '/') : std::ptrdiff_t{1} << 30;
    });
    if (shallow != files.end() && is_model(*shallow))
      root = shallow->path.substr(0, shallow->path.size() - std::string_view("MLmodel").size());
  }
  for (auto& file : files) {
    if (!file.path.starts_with(root))
      return no_package(path, fmt::format("'{}' lies outside of the model's folder '{}'",
                                          printable(file.path), printable(root)));
    file.path.erase(0, root.size());
    tree.files.push_back(std::move(file));
  }
  STRATA_TRY(settle(tree, path));
  return tree;
}

Result<std::vector<TreeFile>> read_archive(const std::string& path) {
  std::error_code failed;
  const auto size = fs::file_size(path, failed);
  if (failed) return from_errno(failed.value(), "read", path);
  const auto magic = read_small(path, 0, std::min<std::uint64_t>(size, 6));
  if (!magic) return magic.error();
  if (magic->starts_with("\x1F\x8B") || magic->starts_with("BZh") ||
      magic->starts_with("\xFD"
                         "7zXZ") ||
      magic->starts_with("\x28\xB5\x2F\xFD") || magic->starts_with("PK"))
    return Error(Code::kUnsupported,
                 fmt::format("{}: it is packed; unpack it to a plain tar archive first", path));
  const wire::TarSource source{size, [&](std::uint64_t offset, std::size_t count) {
                                 return read_small(path, offset, count);
                               }};
  const auto entries = wire::list_tar(source, kMaxModelFiles + 1);
  if (!entries) return entries.error().wrap(path);
  std::vector<TreeFile> files;
  for (const auto& entry : *entries)
    files.push_back({entry.path, entry.size, path, entry.offset});
  return files;
}

Result<std::string> hash_part(const TreeFile& file,
                              const std::function<void(std::uint64_t)>& on_bytes) {
  auto part = FilePart::open(file.host_path, file.offset, file.size);
  if (!part) return std::move(part).error();
  Digest digest(DigestKind::kSha256);
  while (true) {
    const auto piece = part->next();
    if (!piece) return piece.error();
    if (piece->empty()) return to_hex(digest.finish());
    digest.update(*piece);
    on_bytes(piece->size());
  }
}

// A blob of a layout, whose bytes are those that its digest names.
Result<std::string> checked_blob(const fs::path& layout, const wire::OciDescriptor& descriptor) {
  const fs::path blob = layout / descriptor.blob();
  std::error_code failed;
  const auto status = fs::symlink_status(blob, failed);
  if (!fs::is_regular_file(status))
    return no_package(layout.string(), fmt::format("there is no blob {}", descriptor.digest));
  const auto size = fs::file_size(blob, failed);
  if (failed) return from_errno(failed.value(), "read", blob.string());
  const auto hash = hash_part({"", size, blob.string(), 0}, [](std::uint64_t) {});
  if (!hash) return hash.error();
  if (size != descriptor.size || "sha256:" + *hash != descriptor.digest)
    return Error(Code::kChecksumMismatch, fmt::format("{}: its bytes are not those of {}",
                                                      blob.string(), descriptor.digest));
  return blob.string();
}

Result<PackageTree> read_layout(const std::string& path) {
  const fs::path layout(path);
  const auto version = read_document(layout / "oci-layout");
  if (!version) return version.error();
  STRATA_TRY(wire::check_oci_layout(*version));
  const auto index = read_document(layout / "index.json");
  if (!index) return index.error();
  const auto named = wire::read_oci_index(*index);
  if (!named) return named.error();
  const auto blob = checked_blob(layout, *named);
  if (!blob) return blob.error();
  const auto text = read_document(*blob);
  if (!text) return text.error();
  const auto manifest = wire::read_oci_manifest(*text);
  if (!manifest) return manifest.error();
  std::string config;
  if (manifest->config.media_type == wire::kPackageConfigType) {
    const auto place = checked_blob(layout, manifest->config);
    if (!place) return place.error();
    auto read = read_document(*place);
    if (!read) return std::move(read).error();
    config = *std::move(read);
  }
  std::vector<TreeFile> files;
  std::string signature;
  for (const auto& layer : manifest->layers) {
    if (layer.media_type == wire::kBundleType) {
      const auto place = checked_blob(layout, layer);
      if (!place) return place.error();
      auto bundle = read_document(*place);
      if (!bundle) return std::move(bundle).error();
      signature = *std::move(bundle);
      continue;
    }
    if (layer.media_type != wire::kOciLayerType)
      return Error(Code::kUnsupported,
                   fmt::format("{}: a layer is '{}'; plain tar layers ({}) are taken", path,
                               printable(layer.media_type), wire::kOciLayerType));
    const auto place = checked_blob(layout, layer);
    if (!place) return place.error();
    auto entries = read_archive(*place);
    if (!entries) return std::move(entries).error();
    std::ranges::move(*entries, std::back_inserter(files));
  }
  if (files.size() > kMaxModelFiles)
    return Error(Code::kTooLarge, fmt::format("{} holds more than {} files", path, kMaxModelFiles));
  auto tree = config.empty() ? below_model(std::move(files), path)
                             : Result<PackageTree>(PackageTree{std::move(files), config, ""});
  if (tree) STRATA_TRY(settle(*tree, path));
  if (tree && !signature.empty()) tree->signature = std::move(signature);
  return tree;
}

Result<PackageTree> read_tree(const std::string& path, const fs::file_status& status) {
  std::error_code failed;
  if (fs::is_directory(status)) {
    return fs::exists(fs::path(path) / "oci-layout", failed) ? read_layout(path)
                                                             : read_directory(path);
  }
  if (!fs::is_regular_file(status))
    return no_package(path, "it is neither a directory nor an archive");
  auto files = read_archive(path);
  if (!files) return std::move(files).error();
  return below_model(*std::move(files), path);
}

Error differs(std::string_view path, std::string_view how) {
  return Error(Code::kChecksumMismatch, fmt::format("'{}' {}", printable(path), how));
}

// Names the first file that is not as the manifest lists it.
Status compare_with(const Json& manifest, const PackageTree& tree) {
  const Json& listed = manifest["files"];
  if (manifest.text("format") != "strata.package/1" || !listed.is_array())
    return Error(Code::kMalformed, "the package's manifest is not of a format that is known");
  std::map<std::string, const Json*> wanted;
  for (const auto& file : listed.as_array())
    wanted.emplace(file.text("path"), &file);
  for (const auto& file : tree.files) {
    const auto want = wanted.find(file.path);
    if (want == wanted.end()) return differs(file.path, "is none of the package's files");
    if (want->second->text("sha256") != file.sha256)
      return differs(file.path, fmt::format("was changed: its SHA-256 is {}, the package's is {}",
                                            file.sha256, want->second->text("sha256")));
    wanted.erase(want);
  }
  if (!wanted.empty()) return differs(wanted.begin()->first, "is missing");
  if (manifest.text("package_digest") == digest_of(tree.files)) return {};
  return Error(Code::kChecksumMismatch,
               fmt::format("the files make {}, the manifest says {}", digest_of(tree.files),
                           printable(manifest.text("package_digest"))));
}

}  // namespace

FilePart::FilePart(int file, std::string path, std::uint64_t left)
    : file_(file),
      path_(std::move(path)),
      left_(left) {}

FilePart::FilePart(FilePart&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      path_(std::move(other.path_)),
      left_(other.left_) {}

FilePart::~FilePart() {
  if (file_ >= 0) ::close(file_);
}

Result<FilePart> FilePart::open(const std::string& path, std::uint64_t offset, std::uint64_t size) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return from_errno(errno, "open", path);
  FilePart part(file, path, size);
  if (::lseek(file, static_cast<off_t>(offset), SEEK_SET) < 0)
    return from_errno(errno, "read", path);
  return part;
}

Result<std::string_view> FilePart::next() {
  if (left_ == 0) return std::string_view();
  piece_.resize(std::min<std::uint64_t>(left_, kPiece));
  const ssize_t got = ::read(file_, piece_.data(), piece_.size());
  if (got < 0) return from_errno(errno, "read", path_);
  if (got == 0)
    return Error(Code::kConflict, fmt::format("{} became shorter while it was read", path_));
  left_ -= static_cast<std::uint64_t>(got);
  return std::string_view(piece_).substr(0, static_cast<std::size_t>(got));
}

std::string manifest_beside(const std::string& directory) {
  std::string plain = directory;
  while (plain.size() > 1 && plain.ends_with('/'))
    plain.pop_back();
  return plain + ".package.json";
}

Result<PackageTree> open_tree(const std::string& path) {
  std::error_code failed;
  const auto status = fs::status(path, failed);
  if (!fs::exists(status)) return not_found(fmt::format("there is nothing at {}", printable(path)));
  auto tree = read_tree(path, status);
  if (tree) STRATA_TRY(take_signature(*tree));
  return tree;
}

Status hash_tree(PackageTree& tree, const std::function<void(std::uint64_t)>& on_bytes) {
  for (auto& file : tree.files) {
    auto hash = hash_part(file, on_bytes);
    if (!hash) return std::move(hash).error();
    file.sha256 = *std::move(hash);
  }
  if (tree.manifest.empty()) return {};
  const auto manifest = parse_json(tree.manifest);
  if (!manifest) return manifest.error().wrap("the package's manifest");
  return compare_with(*manifest, tree);
}

std::string digest_of(const std::vector<TreeFile>& files) {
  std::vector<platform::models::ModelFile> plain;
  for (const auto& file : files)
    plain.push_back({file.path, file.size, file.sha256});
  return platform::models::package_digest(plain);
}

}  // namespace strata::app
