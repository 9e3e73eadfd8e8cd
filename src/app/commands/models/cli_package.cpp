#include "app/commands/models/cli_package.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::app {

namespace {

std::string fields_text(const Json& fields) {
  if (!fields.is_array() || fields.size() == 0) return "none";
  std::vector<std::string> out;
  for (const auto& field : fields.as_array()) {
    const std::string name = field.text("name");
    out.push_back(fmt::format("{}{}{}{}", name, name.empty() ? "" : ": ", field.text("type"),
                              field["shape"].is_array() ? field["shape"].dump() : ""));
  }
  return join(out, ", ");
}

void print_dependencies(const Json& found) {
  if (found.is_null()) {
    print_line("dependencies  the package does not say");
    return;
  }
  print_line(fmt::format("dependencies  {} of {}, {}", found["lock"].size(), found.text("from"),
                         found.boolean("complete") ? "all locked" : "not all locked"));
  print_line(fmt::format("lock          {}", found.text("lock_digest")));
  for (const auto& line : found["lock"].as_array())
    print_line("  " + line.as_string());
  for (const auto& open : found["open"].as_array())
    print_line(fmt::format("open: {} ({}): {}", open.text("text"),
                           open["line"].is_int()
                               ? fmt::format("{}:{}", open.text("file"), open.integer("line"))
                               : open.text("file"),
                           open.text("why")));
}

Status show_package(CliContext& context, ApiClient& client, const std::string& reference) {
  const auto version = find_version(client, reference);
  if (!version) return version.error();
  const auto found = client.get(version_path(*version, "/package"));
  if (!found) return found.error();
  if (context.structured()) {
    context.dump(*found);
    return {};
  }
  const Json& manifest = (*found)["manifest"];
  const Json& runtime = manifest["runtime"];
  const Json& hardware = manifest["hardware"];
  print_line(fmt::format("{}/{}", version->name, version->version));
  print_line("digest        " + manifest.text("digest"));
  print_line("package       " + manifest.text("package_digest"));
  print_line("manifest      " + found->text("manifest_digest"));
  print_line("served by     " + found->text("served_by", "no engine of this server"));
  std::vector<std::string> flavors;
  for (const auto& flavor : runtime["flavors"].as_array())
    flavors.push_back(flavor.as_string());
  print_line("flavors       " + (flavors.empty() ? "none" : join(flavors, ", ")));
  print_line("python        " + runtime.text("python", "not said"));
  print_line("hardware      " + hardware.text("accelerator", "cpu") + ", " +
             show_bytes(static_cast<std::uint64_t>(hardware.integer("disk_bytes"))) + " of files");
  print_line("inputs        " + fields_text(manifest["signature"]["inputs"]));
  print_line("outputs       " + fields_text(manifest["signature"]["outputs"]));
  print_dependencies(manifest["dependencies"]);
  for (const auto& problem : manifest["problems"].as_array())
    print_line("problem: " + problem.as_string());
  context.print(manifest, "files", {{"path", "PATH"}, {"size", "SIZE"}, {"sha256", "SHA-256"}});
  return {};
}

}  // namespace

Result<NamedVersion> find_version(ApiClient& client, std::string_view reference) {
  constexpr std::string_view kScheme = "models:/";
  if (reference.starts_with(kScheme)) reference.remove_prefix(kScheme.size());
  const auto mark = reference.find_first_of("@/");
  const std::string name(reference.substr(0, mark));
  const std::string_view rest =
      mark == std::string_view::npos ? std::string_view() : reference.substr(mark + 1);
  if (mark != std::string_view::npos && reference[mark] == '/' && rest != "latest") {
    const auto number = to_int(rest);
    if (number && *number > 0) return NamedVersion{name, *number};
    return invalid("model", fmt::format("'{}' is no number of a version; write NAME, NAME@ALIAS or "
                                        "NAME/VERSION",
                                        printable(rest)));
  }
  const auto model = client.get("/api/v1/models/" + encode_segment(name));
  if (!model) return model.error();
  if (mark != std::string_view::npos && reference[mark] == '@') {
    const Json& number = (*model)["aliases"][rest];
    if (number.is_int()) return NamedVersion{name, number.as_int()};
    return not_found(fmt::format("model '{}' has no alias '{}'", name, printable(rest)));
  }
  const Json& latest = (*model)["latest_version"];
  if (latest.is_int()) return NamedVersion{name, latest.as_int()};
  return not_found(fmt::format("model '{}' has no version", name));
}

std::string version_path(const NamedVersion& version, std::string_view rest) {
  return fmt::format("/api/v1/models/{}/versions/{}{}", encode_segment(version.name),
                     version.version, rest);
}

void add_package_commands(CLI::App& app, CliContext& context) {
  static std::string reference;
  auto* model = app.get_subcommand("model");
  auto* package = model->add_subcommand(
      "package", "What a version is made of: files, signature, locked dependencies, runtime");
  package->add_option("model", reference, "NAME, NAME@ALIAS or NAME/VERSION")->required();
  package->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return show_package(context, client, reference); });
  });
}

}  // namespace strata::app
