#include "app/commands/models/package_writer.hpp"

#include <cerrno>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands/models/package_tree.hpp"
#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "runtime/files.hpp"
#include "wire/flow/tar.hpp"
#include "wire/package/oci.hpp"

namespace strata::app {

namespace fs = std::filesystem;
using File = ExportedPackage::File;

namespace {

// A new file that counts and hashes what goes into it.
class Output {
 public:
  static Result<Output> create(const std::string& path) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0) return from_errno(errno, "create", path);
    return Output(file, path);
  }
  Output(Output&& other) noexcept
      : file_(std::exchange(other.file_, -1)),
        path_(std::move(other.path_)),
        digest_(std::move(other.digest_)),
        size_(other.size_) {}
  Output& operator=(Output&&) = delete;
  ~Output() {
    if (file_ >= 0) ::close(file_);
  }

  Status write(std::string_view bytes) {
    digest_.update(bytes);
    size_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t done = ::write(file_, bytes.data(), bytes.size());
      if (done < 0) return from_errno(errno, "write", path_);
      bytes.remove_prefix(static_cast<std::size_t>(done));
    }
    return {};
  }

  // What came, as "sha256:...". Errors: what the disk reports last.
  Result<std::string> close() {
    if (::fsync(file_) < 0 || ::close(std::exchange(file_, -1)) < 0)
      return from_errno(errno, "write", path_);
    return "sha256:" + to_hex(digest_.finish());
  }
  std::uint64_t size() const { return size_; }

 private:
  Output(int file, std::string path)
      : file_(file),
        path_(std::move(path)),
        digest_(DigestKind::kSha256) {}
  int file_;
  std::string path_;
  Digest digest_;
  std::uint64_t size_ = 0;
};

Status make_folders(const fs::path& path) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) return from_errno(failed.value(), "create", path.string());
  return {};
}

Status write_text(const std::string& path, std::string_view text) {
  auto out = Output::create(path);
  if (!out) return std::move(out).error();
  STRATA_TRY(out->write(text));
  const auto done = out->close();
  return done ? Status() : Status(done.error());
}

Status add_to_tar(Output& out, const std::string& path, std::string_view text) {
  STRATA_TRY(out.write(wire::tar_header(path, text.size(), false)));
  STRATA_TRY(out.write(text));
  return out.write(wire::tar_padding(text.size()));
}

Status add_files(Output& out, const ExportedPackage& package, const std::string& folder) {
  for (const auto& file : package.files) {
    STRATA_TRY(out.write(wire::tar_header(folder + file.path, file.size, false)));
    STRATA_TRY(package.read(file, [&](std::string_view piece) { return out.write(piece); }));
    STRATA_TRY(out.write(wire::tar_padding(file.size)));
  }
  return out.write(wire::tar_end());
}

// Writes a blob under the name of its digest.
Result<wire::OciDescriptor> add_blob(const std::string& layout, std::string_view type,
                                     const std::function<Status(Output&)>& fill) {
  const std::string unnamed = layout + "/blobs/sha256/unnamed";
  auto out = Output::create(unnamed);
  if (!out) return std::move(out).error();
  STRATA_TRY(fill(*out));
  auto digest = out->close();
  if (!digest) return std::move(digest).error();
  wire::OciDescriptor blob{std::string(type), *std::move(digest), out->size(), {}};
  SystemFiles files;
  STRATA_TRY(files.publish(unnamed, layout + "/" + blob.blob()));
  return blob;
}

Result<wire::OciDescriptor> add_text(const std::string& layout, std::string_view type,
                                     std::string_view text) {
  return add_blob(layout, type, [text](Output& out) { return out.write(text); });
}

}  // namespace

Status write_directory(const ExportedPackage& package, const std::string& path) {
  for (const auto& file : package.files) {
    const fs::path place = fs::path(path) / file.path;
    STRATA_TRY(make_folders(place.parent_path()));
    auto out = Output::create(place.string());
    if (!out) return std::move(out).error();
    STRATA_TRY(package.read(file, [&](std::string_view piece) { return out->write(piece); }));
    if (const auto done = out->close(); !done) return done.error();
  }
  if (package.signature.empty()) return {};
  return write_text(fmt::format("{}/{}", path, kSignatureName), package.signature);
}

Status write_archive(const ExportedPackage& package, const std::string& path) {
  auto out = Output::create(path);
  if (!out) return std::move(out).error();
  STRATA_TRY(add_to_tar(*out, std::string(kManifestName), package.manifest));
  if (!package.signature.empty())
    STRATA_TRY(add_to_tar(*out, fmt::format("model/{}", kSignatureName), package.signature));
  STRATA_TRY(add_files(*out, package, "model/"));
  const auto done = out->close();
  return done ? Status() : Status(done.error());
}

Status write_layout(const ExportedPackage& package, const std::string& path) {
  STRATA_TRY(make_folders(path + "/blobs/sha256"));
  const auto layer =
      add_blob(path, wire::kOciLayerType, [&](Output& out) { return add_files(out, package, ""); });
  if (!layer) return layer.error();
  const auto config = add_text(path, wire::kPackageConfigType, package.manifest);
  if (!config) return config.error();
  std::vector<wire::OciDescriptor> layers = {*layer};
  if (!package.signature.empty()) {
    auto signature = add_text(path, wire::kBundleType, package.signature);
    if (!signature) return std::move(signature).error();
    layers.push_back(*std::move(signature));
  }
  const wire::OciManifest manifest{*config,
                                   layers,
                                   {{"strata.model", package.version.name},
                                    {"strata.version", std::to_string(package.version.version)},
                                    {"strata.digest", package.digest},
                                    {"strata.package-digest", package.package_digest},
                                    {"strata.manifest-digest", package.manifest_digest}}};
  auto named = add_text(path, wire::kOciManifestType, wire::write_oci_manifest(manifest));
  if (!named) return std::move(named).error();
  named->annotations = manifest.annotations;
  STRATA_TRY(write_text(path + "/index.json", wire::write_oci_index(*named)));
  return write_text(path + "/oci-layout", wire::write_oci_layout());
}

}  // namespace strata::app
