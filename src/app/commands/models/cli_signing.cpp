#include "app/commands/models/cli_signing.hpp"

#include <fstream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"
#include "app/commands/models/cli_package.hpp"
#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "wire/signing/ec_keys.hpp"
#include "wire/signing/model_signature.hpp"

namespace strata::app {

namespace {

Result<std::string> read_pem(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(wire::kMaxPem + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return not_found(fmt::format("cannot read {}", path));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > wire::kMaxPem) return invalid("key", fmt::format("{} is no key", path));
  return text;
}

// The signer's certificate and those that lead from it to one that others trust.
Status add_certificates(const std::string& path, const std::string& own_key,
                        wire::SignatureBundle& bundle) {
  const auto pem = read_pem(path);
  if (!pem) return pem.error();
  auto chain = wire::certificates_of(*pem);
  if (!chain) return std::move(chain).error();
  if (chain->empty()) return invalid("certificate", fmt::format("{} holds no certificate", path));
  const auto facts = wire::certificate_facts(chain->front());
  if (!facts) return facts.error();
  if (facts->public_key != own_key)
    return invalid("certificate",
                   fmt::format("the first certificate of {} is of another key", path));
  bundle.certificates = *std::move(chain);
  return {};
}

Result<std::string> make_bundle(ApiClient& client, const NamedVersion& version,
                                const std::string& key_path, const std::string& certificate) {
  const auto key = read_pem(key_path);
  if (!key) return key.error();
  const auto own = wire::public_key_of(*key);
  if (!own) return own.error().wrap(key_path);
  wire::SignatureBundle bundle;
  bundle.key_hint = to_hex(sha256(*own));
  if (!certificate.empty()) STRATA_TRY(add_certificates(certificate, *own, bundle));
  const auto listed = client.get(version_path(version, "/files"));
  if (!listed) return listed.error();
  wire::ModelStatement statement{version.name, {}};
  for (const auto& file : (*listed)["files"].as_array()) {
    if (!wire::is_never_signed(file.text("path")))
      statement.files.push_back({file.text("path"), file.text("sha256")});
  }
  bundle.payload = wire::write_statement(statement);
  auto signature = wire::sign_ec(*key, wire::pre_authentication(bundle.payload));
  if (!signature) return signature.error().wrap(key_path);
  bundle.signature = *std::move(signature);
  return wire::write_bundle(bundle);
}

void show(CliContext& context, const Json& record) {
  if (context.structured()) return context.dump(record);
  const std::string signer = record.text("signer");
  print_line(fmt::format("{}{}{}", record.text("state"), signer.empty() ? "" : ", by " + signer,
                         record["reason"].is_string() ? ": " + record.text("reason") : ""));
}

Status sign(CliContext& context, ApiClient& client, const std::string& reference,
            const std::string& key, const std::string& certificate) {
  const auto version = find_version(client, reference);
  if (!version) return version.error();
  const auto bundle = make_bundle(client, *version, key, certificate);
  if (!bundle) return bundle.error();
  const auto put = client.request("PUT", version_path(*version, "/signature"), *bundle);
  if (!put) return put.error();
  const auto record = parse_json(put->body);
  if (!record) return record.error();
  show(context, *record);
  return {};
}

Status verify(CliContext& context, ApiClient& client, const std::string& reference) {
  const auto version = find_version(client, reference);
  if (!version) return version.error();
  const auto record = client.get(version_path(*version, "/signature"));
  if (!record) return record.error();
  show(context, *record);
  if (record->text("state") != "valid") context.exit_code = kExitFailed;
  return {};
}

void show_trust(CliContext& context, const Json& trust) {
  context.print(trust, "keys",
                {{"name", "NAME"},
                 {"kind", "KIND"},
                 {"fingerprint", "FINGERPRINT"},
                 {"subject", "SUBJECT"},
                 {"added_by", "ADDED BY"},
                 {"added", "ADDED"}});
  if (!context.structured())
    print_line(trust.boolean("required") ? "models must be signed" : "models need not be signed");
}

Status change_trust(CliContext& context, ApiClient& client, std::string_view method,
                    const std::string& path, const Json& body) {
  const auto done = client.request(method, path, body.is_null() ? "" : body.dump());
  if (!done) return done.error();
  const auto trust = parse_json(done->body);
  if (!trust) return trust.error();
  show_trust(context, *trust);
  return {};
}

void add_trust_commands(CLI::App& app, CliContext& context) {
  static std::string name, file, rule;
  auto* trust = app.add_subcommand("trust", "Whose signatures of models the project trusts");
  trust->require_subcommand(1);
  trust->add_subcommand("list", "Trusted keys and certificates")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto found = client.get("/api/v1/signing");
      if (!found) return found.error();
      show_trust(context, *found);
      return {};
    });
  });
  auto* add = trust->add_subcommand("add", "Trust a public key or a certificate");
  add->add_option("name", name, "Name to know it by")->required();
  add->add_option("file", file, "PEM file")->required();
  add->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto pem = read_pem(file);
      if (!pem) return pem.error();
      return change_trust(context, client, "POST", "/api/v1/signing/keys",
                          Json::object({{"name", name}, {"pem", *pem}}));
    });
  });
  auto* remove = trust->add_subcommand("remove", "Trust a key or certificate no more");
  remove->add_option("name", name, "Its name")->required();
  remove->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return change_trust(context, client, "DELETE", "/api/v1/signing/keys/" + encode_segment(name),
                          Json());
    });
  });
  auto* require = trust->add_subcommand("require", "Say whether models must be signed");
  require->add_option("rule", rule, "on or off")->required()->check(CLI::IsMember({"on", "off"}));
  require->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return change_trust(context, client, "PUT", "/api/v1/signing",
                          Json::object({{"required", rule == "on"}}));
    });
  });
}

}  // namespace

void add_signing_commands(CLI::App& app, CliContext& context) {
  static std::string reference, key, certificate;
  auto* model = app.get_subcommand("model");
  auto* put = model->add_subcommand("sign", "Sign the files of a version with a key of yours");
  put->add_option("model", reference, "NAME, NAME@ALIAS or NAME/VERSION")->required();
  put->add_option("--key", key, "PEM file with an elliptic-curve private key; it stays here")
      ->required();
  put->add_option("--certificate", certificate,
                  "PEM file with the key's certificate, and those that lead to a trusted one");
  put->callback([&context] {
    context.with_client(
        [&](ApiClient& client) { return sign(context, client, reference, key, certificate); });
  });
  auto* check = model->add_subcommand(
      "verify", "Who signed a version, and whether the project trusts that; 1 unless it is valid");
  check->add_option("model", reference, "NAME, NAME@ALIAS or NAME/VERSION")->required();
  check->callback([&context] {
    context.with_client([&](ApiClient& client) { return verify(context, client, reference); });
  });
  add_trust_commands(app, context);
}

}  // namespace strata::app
