#include "app/commands/models/cli_transfer.hpp"

#include <algorithm>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/commands/cells.hpp"
#include "app/commands/models/package_tree.hpp"
#include "app/commands/models/package_writer.hpp"
#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "runtime/files.hpp"

namespace strata::app {

namespace fs = std::filesystem;

namespace {

// One line on a terminal that tells how far the transfer is; nothing elsewhere.
class TransferProgress {
 public:
  TransferProgress(std::string verb, std::uint64_t total)
      : verb_(std::move(verb)),
        total_(total),
        terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~TransferProgress() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }
  void add(std::uint64_t bytes) {
    done_ += bytes;
    if (!terminal_ || done_ - told_ < (1U << 20U)) return;
    told_ = done_;
    shown_ = true;
    fmt::print(stderr, "\r\033[K{} {} of {}", verb_, show_bytes(done_), show_bytes(total_));
  }

 private:
  std::string verb_;
  std::uint64_t total_;
  bool terminal_;
  bool shown_ = false;
  std::uint64_t done_ = 0, told_ = 0;
};

std::string file_path(std::string_view path) {
  std::vector<std::string> parts;
  for (const auto& part : split(path, '/'))
    parts.push_back(encode_segment(part));
  return join(parts, "/");
}

// The bytes of a file from the server; ends in kDataLoss when they are not those of the package.
Status download(ApiClient& client, const NamedVersion& version, const ExportedPackage::File& file,
                const std::function<Status(std::string_view)>& take) {
  Digest digest(DigestKind::kSha256);
  std::uint64_t size = 0;
  Status written;
  STRATA_TRY(client.stream("GET", version_path(version, "/files/" + file_path(file.path)), "",
                           "application/octet-stream", [&](std::string_view piece) {
                             digest.update(piece);
                             size += piece.size();
                             written = take(piece);
                             return written.ok();
                           }));
  STRATA_TRY(written);
  if (size == file.size && to_hex(digest.finish()) == file.sha256) return {};
  return Error(Code::kDataLoss,
               fmt::format("'{}' came with other bytes than the package has", file.path));
}

Result<ExportedPackage> find_package(ApiClient& client, const std::string& reference) {
  ExportedPackage package;
  auto version = find_version(client, reference);
  if (!version) return std::move(version).error();
  package.version = *std::move(version);
  const auto found = client.get(version_path(package.version, "/package"));
  if (!found) return found.error();
  const Json& manifest = (*found)["manifest"];
  package.manifest = manifest.dump();
  package.manifest_digest = content_digest(package.manifest);
  package.digest = manifest.text("digest");
  package.package_digest = manifest.text("package_digest");
  if (package.manifest_digest != found->text("manifest_digest"))
    return Error(Code::kDataLoss, "the manifest came with other bytes than its digest names");
  std::vector<TreeFile> listed;
  for (const auto& file : manifest["files"].as_array()) {
    package.files.push_back(
        {file.text("path"), static_cast<std::uint64_t>(file.integer("size")), file.text("sha256")});
    listed.push_back({file.text("path"), 0, "", 0, file.text("sha256")});
  }
  const auto signature = client.get(version_path(package.version, "/signature"));
  if (!signature) return signature.error();
  // One that the package was registered with is among its files.
  const bool own = std::ranges::any_of(
      package.files, [](const auto& file) { return file.path == kSignatureName; });
  if (!own && (*signature)["bundle"].is_object()) package.signature = (*signature)["bundle"].dump();
  if (digest_of(listed) != package.package_digest)
    return Error(Code::kDataLoss, "the files of the manifest do not make its package digest");
  return package;
}

Status write_as(const ExportedPackage& package, const std::string& format,
                const std::string& path) {
  if (format == "tar") return write_archive(package, path);
  if (format == "oci") return write_layout(package, path);
  return write_directory(package, path);
}

Status require_nothing_at(const std::string& path) {
  std::error_code failed;
  if (!fs::exists(fs::symlink_status(path, failed))) return {};
  return Error(Code::kAlreadyExists,
               fmt::format("{} exists; name a path where nothing is yet", printable(path)));
}

Status export_model(CliContext& context, ApiClient& client, const std::string& reference,
                    std::string path, const std::string& format) {
  while (path.size() > 1 && path.ends_with('/'))
    path.pop_back();
  path = fs::absolute(path).string();
  STRATA_TRY(require_nothing_at(path));
  if (format == "dir") STRATA_TRY(require_nothing_at(manifest_beside(path)));
  auto package = find_package(client, reference);
  if (!package) return std::move(package).error();
  std::uint64_t total = 0;
  for (const auto& file : package->files)
    total += file.size;
  TransferProgress progress("exporting", total);
  package->read = [&](const ExportedPackage::File& file,
                      const std::function<Status(std::string_view)>& take) {
    return download(client, package->version, file, [&](std::string_view piece) {
      progress.add(piece.size());
      return take(piece);
    });
  };
  // What stands at `path` is whole: it comes there by one rename.
  const std::string partial = fmt::format("{}.partial-{}", path, ::getpid());
  auto written = write_as(*package, format, partial);
  SystemFiles files;
  if (written && format == "dir")
    written = files.replace(manifest_beside(path), package->manifest, 0644);
  if (written) written = files.publish(partial, path);
  std::error_code failed;
  if (!written) {
    fs::remove_all(partial, failed);
    return written;
  }
  const Json answer = Json::object({{"name", package->version.name},
                                    {"version", package->version.version},
                                    {"path", path},
                                    {"format", format},
                                    {"digest", package->digest},
                                    {"package_digest", package->package_digest},
                                    {"files", static_cast<std::int64_t>(package->files.size())},
                                    {"bytes", total}});
  if (context.structured()) {
    context.dump(answer);
  } else {
    print_line(fmt::format("{}: {} files, {}, {}", path, package->files.size(), show_bytes(total),
                           package->package_digest));
  }
  return {};
}

Status upload_files(ApiClient& client, const PackageTree& tree, const std::string& import,
                    TransferProgress& progress) {
  for (const auto& file : tree.files) {
    auto part = FilePart::open(file.host_path, file.offset, file.size);
    if (!part) return std::move(part).error();
    const auto stored = client.upload(import + "/files/" + file_path(file.path), file.size, [&] {
      auto piece = part->next();
      if (piece) progress.add(piece->size());
      return piece;
    });
    if (!stored) return stored.error().wrap(printable(file.path));
    if (stored->text("sha256") != file.sha256)
      return Error(Code::kChecksumMismatch,
                   fmt::format("'{}' reached the server with other bytes: its SHA-256 is {} there",
                               printable(file.path), stored->text("sha256")));
  }
  return {};
}

Json claim_of(const PackageTree& tree) {
  Json files = Json::array();
  for (const auto& file : tree.files)
    files.push(Json::object({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}}));
  return Json::object({{"package_digest", digest_of(tree.files)}, {"files", files}});
}

Status import_model(CliContext& context, ApiClient& client, const std::string& path,
                    const std::string& name, const std::string& expected) {
  auto tree = open_tree(path);
  if (!tree) return std::move(tree).error();
  std::uint64_t total = 0;
  for (const auto& file : tree->files)
    total += file.size;
  {
    TransferProgress progress("checking", total);
    STRATA_TRY(hash_tree(*tree, [&](std::uint64_t bytes) { progress.add(bytes); }));
  }
  const std::string digest = digest_of(tree->files);
  if (!expected.empty() && expected != digest)
    return Error(Code::kChecksumMismatch,
                 fmt::format("{} makes {}, not {}", printable(path), digest, printable(expected)));
  const std::string imports = "/api/v1/models/" + encode_segment(name) + "/imports";
  const auto begun = client.post(imports, Json::object());
  if (!begun) return begun.error();
  const std::string import = fmt::format("{}/{}", imports, begun->integer("import"));
  TransferProgress progress("importing", total);
  auto sent = upload_files(client, *tree, import, progress);
  Result<Json> version = Json();
  if (sent) version = client.post(import + "/finish", claim_of(*tree));
  if (!sent || !version) {
    // What stays if this fails too is taken away by a later import.
    static_cast<void>(client.remove(import).ok());
    return sent ? Status(version.error()) : sent;
  }
  if (!tree->signature.empty()) {
    const NamedVersion made{name, version->integer("version")};
    const auto put = client.request("PUT", version_path(made, "/signature"), tree->signature);
    if (!put)
      return put.error().wrap(
          fmt::format("version {} was made, but its signature was refused", made.version));
  }
  if (context.structured()) {
    context.dump(*version);
  } else {
    print_line(fmt::format("{}/{}  {}", version->text("name"), version->integer("version"),
                           version->text("package_digest")));
  }
  return {};
}

}  // namespace

void add_transfer_commands(CLI::App& app, CliContext& context) {
  static std::string reference, path, name, digest, format = "dir";
  auto* model = app.get_subcommand("model");
  auto* out = model->add_subcommand("export", "Write a version's package to this machine");
  out->add_option("model", reference, "NAME, NAME@ALIAS or NAME/VERSION")->required();
  out->add_option("path", path, "Where it goes; nothing may be there yet")->required();
  out->add_option("--format", format,
                  "dir (the model's directory), tar, or oci (an OCI image layout)")
      ->check(CLI::IsMember({"dir", "tar", "oci"}));
  out->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return export_model(context, client, reference, path, format); });
  });
  auto* in = model->add_subcommand("import", "Register a package from this machine as a version");
  in->add_option("path", path, "A directory, tar archive or OCI image layout")->required();
  in->add_option("--name", name, "Name of the model; made if there is none")->required();
  in->add_option("--digest", digest, "The package digest that it must have (sha256:...)");
  in->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return import_model(context, client, path, name, digest); });
  });
}

}  // namespace strata::app
