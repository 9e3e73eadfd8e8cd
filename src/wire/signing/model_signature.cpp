#include "wire/signing/model_signature.hpp"

#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/json.hpp"

namespace strata::wire {
namespace {

constexpr std::string_view kMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";
constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";
constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
constexpr std::string_view kPredicateType = "https://model_signing/signature/v1.0";
constexpr std::array<std::string_view, 5> kIgnored = {"model.sig", ".git", ".gitattributes",
                                                      ".github", ".gitignore"};

Error malformed(std::string_view member, std::string_view what) {
  return Error(Code::kMalformed, fmt::format("signature: {}: {}", member, what));
}

Error unsupported(std::string_view what) {
  return Error(Code::kUnsupported, fmt::format("signature: {}", what));
}

Result<std::string> bytes_of(const Json& json, std::string_view member) {
  const Json& value = json[member];
  if (!value.is_string()) return malformed(member, "it is missing");
  auto bytes = from_base64(value.as_string());
  if (!bytes || bytes->empty()) return malformed(member, "it is no base64 text");
  return bytes;
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// SHA-256 over the raw digests, in their order.
std::string root_of(const std::vector<SignedFile>& files) {
  Digest digest(DigestKind::kSha256);
  for (const auto& file : files)
    digest.update(from_hex(file.sha256).value_or(""));
  return to_hex(digest.finish());
}

Status read_material(const Json& material, SignatureBundle& into) {
  if (!material.is_object()) return malformed("verificationMaterial", "it is missing");
  std::vector<Json> certificates;
  if (const Json& one = material["certificate"]; one.is_object()) certificates.push_back(one);
  const Json& chain = material["x509CertificateChain"]["certificates"];
  if (chain.is_array()) {
    if (chain.size() == 0 || chain.size() > kMaxChain)
      return malformed("x509CertificateChain",
                       fmt::format("it must have 1 to {} certificates", kMaxChain));
    certificates = chain.as_array();
  }
  for (const auto& certificate : certificates) {
    auto der = bytes_of(certificate, "rawBytes");
    if (!der) return std::move(der).error();
    into.certificates.push_back(*std::move(der));
  }
  if (!into.certificates.empty()) return {};
  const Json& key = material["publicKey"];
  if (!key.is_object())
    return malformed("verificationMaterial", "it names neither a public key nor a certificate");
  into.key_hint = key.text("hint");
  if (!into.key_hint.empty() && !is_sha256(into.key_hint))
    return malformed("publicKey.hint", "it is no SHA-256 in hexadecimal digits");
  return {};
}

Result<SignedFile> read_resource(const Json& resource) {
  SignedFile file{resource.text("name"), resource.text("digest")};
  if (resource.text("algorithm") != "sha256")
    return unsupported(fmt::format("'{}' is hashed by '{}'; only sha256 is taken",
                                   printable(file.path), printable(resource.text("algorithm"))));
  if (file.path.empty() || !is_sha256(file.sha256))
    return malformed("resources", "a file needs a name and a digest");
  return file;
}

}  // namespace

Result<SignatureBundle> read_bundle(std::string_view text) {
  if (text.size() > kMaxBundle) return Error(Code::kTooLarge, "signature: it is larger than 8 MiB");
  const auto json = parse_json(text);
  if (!json) return json.error().wrap("signature");
  if (json->text("mediaType") != kMediaType)
    return unsupported(fmt::format("its mediaType is '{}'; {} is taken",
                                   printable(json->text("mediaType")), kMediaType));
  SignatureBundle bundle;
  STRATA_TRY(read_material((*json)["verificationMaterial"], bundle));
  const Json& envelope = (*json)["dsseEnvelope"];
  if (!envelope.is_object()) return malformed("dsseEnvelope", "it is missing");
  if (envelope.text("payloadType") != kPayloadType)
    return unsupported(fmt::format("its payloadType is '{}'; {} is taken",
                                   printable(envelope.text("payloadType")), kPayloadType));
  const Json& signatures = envelope["signatures"];
  if (!signatures.is_array() || signatures.size() != 1)
    return malformed("signatures", "there must be exactly one");
  auto payload = bytes_of(envelope, "payload");
  if (!payload) return std::move(payload).error();
  bundle.payload = *std::move(payload);
  auto signature = bytes_of(signatures.as_array().front(), "sig");
  if (!signature) return std::move(signature).error();
  bundle.signature = *std::move(signature);
  return bundle;
}

std::string write_bundle(const SignatureBundle& bundle) {
  Json material = Json::object();
  if (bundle.certificates.empty()) {
    material.set("publicKey", Json::object({{"hint", bundle.key_hint}}));
  } else {
    Json chain = Json::array();
    for (const auto& der : bundle.certificates)
      chain.push(Json::object({{"rawBytes", to_base64(der)}}));
    material.set("x509CertificateChain", Json::object({{"certificates", chain}}));
  }
  material.set("tlogEntries", Json::array());
  const Json signature = Json::object({{"sig", to_base64(bundle.signature)}, {"keyid", ""}});
  const Json envelope = Json::object({{"payload", to_base64(bundle.payload)},
                                      {"payloadType", kPayloadType},
                                      {"signatures", Json::Array{signature}}});
  return Json::object({{"mediaType", kMediaType},
                       {"verificationMaterial", material},
                       {"dsseEnvelope", envelope}})
      .dump();
}

Result<ModelStatement> read_statement(std::string_view payload) {
  const auto json = parse_json(payload);
  if (!json) return json.error().wrap("signature: the statement");
  if (json->text("_type") != kStatementType || json->text("predicateType") != kPredicateType)
    return unsupported(fmt::format("it states '{}'; {} is taken",
                                   printable(json->text("predicateType")), kPredicateType));
  const Json& subjects = (*json)["subject"];
  if (!subjects.is_array() || subjects.size() != 1)
    return malformed("subject", "there must be exactly one");
  const Json& subject = subjects.as_array().front();
  ModelStatement statement;
  statement.name = subject.text("name");
  const Json& predicate = (*json)["predicate"];
  if (predicate["serialization"].text("method") != "files")
    return unsupported("files that were signed in shards are not taken");
  const Json& resources = predicate["resources"];
  if (!resources.is_array()) return malformed("resources", "they are missing");
  if (resources.size() > kMaxSignedFiles)
    return Error(Code::kTooLarge, "signature: it lists more than 10,000 files");
  for (const auto& resource : resources.as_array()) {
    auto file = read_resource(resource);
    if (!file) return std::move(file).error();
    statement.files.push_back(*std::move(file));
  }
  if (subject["digest"].text("sha256") != root_of(statement.files))
    return malformed("subject", "its digest is not that of the files that are listed");
  return statement;
}

std::string write_statement(const ModelStatement& statement) {
  Json resources = Json::array();
  for (const auto& file : statement.files) {
    resources.push(
        Json::object({{"name", file.path}, {"algorithm", "sha256"}, {"digest", file.sha256}}));
  }
  Json ignored = Json::array();
  for (const auto path : kIgnored)
    ignored.push(path);
  const Json subject = Json::object(
      {{"name", statement.name}, {"digest", Json::object({{"sha256", root_of(statement.files)}})}});
  const Json serialization = Json::object({{"method", "files"},
                                           {"hash_type", "sha256"},
                                           {"allow_symlinks", false},
                                           {"ignore_paths", ignored}});
  const Json predicate = Json::object({{"serialization", serialization}, {"resources", resources}});
  return Json::object({{"_type", kStatementType},
                       {"subject", Json::Array{subject}},
                       {"predicateType", kPredicateType},
                       {"predicate", predicate}})
      .dump();
}

std::string pre_authentication(std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} ", kPayloadType.size(), kPayloadType, payload.size()) +
         std::string(payload);
}

bool is_never_signed(std::string_view path) {
  for (const auto ignored : kIgnored) {
    if (path == ignored) return true;
    const bool folder = ignored == ".git" || ignored == ".github";
    if (folder && path.starts_with(ignored) && path.substr(ignored.size()).starts_with('/'))
      return true;
  }
  return false;
}

}  // namespace strata::wire
