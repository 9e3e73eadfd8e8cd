#include "platform/signing/signing.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "wire/signing/ec_keys.hpp"
#include "wire/signing/model_signature.hpp"

namespace strata::platform::signing {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::string_view kSignatureFile = "model.sig";

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"signing", 1, R"sql(
CREATE TABLE package_signatures (project TEXT NOT NULL, package_digest TEXT NOT NULL, bundle TEXT
  NOT NULL, actor TEXT NOT NULL, time_us INTEGER NOT NULL, PRIMARY KEY (project, package_digest));
CREATE TABLE trusted_keys (project TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
  fingerprint TEXT NOT NULL, subject TEXT NOT NULL, pem TEXT NOT NULL, actor TEXT NOT NULL, time_us
  INTEGER NOT NULL, PRIMARY KEY (project, name));
CREATE TABLE signing_rules (project TEXT NOT NULL, required INTEGER NOT NULL, PRIMARY KEY
  (project));
)sql"}}};

Result<Trust> load_trust(Reader& reader, const ProjectId& project) {
  Trust trust;
  auto rule = reader.first("SELECT required FROM signing_rules WHERE project = ?", {project.str()});
  if (!rule) return std::move(rule).error();
  trust.required = *rule && (*rule)->integer(0) != 0;
  auto rows = reader.query(
      "SELECT name, kind, fingerprint, subject, pem, actor, time_us FROM trusted_keys WHERE "
      "project "
      "= ? ORDER BY name",
      {project.str()});
  if (!rows) return std::move(rows).error();
  for (const auto& row : *rows) {
    trust.keys.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4),
                          row.text(5), Instant{row.integer(6)}});
  }
  return trust;
}

// What a PEM text is, in the one form in which it is kept.
Result<TrustedKey> read_key(const std::string& name, const std::string& pem) {
  TrustedKey key;
  key.name = name;
  if (pem.contains("PRIVATE KEY-----"))
    return invalid("pem",
                   "pem: this is a private key; keep it to yourself and give the public one "
                   "(openssl pkey -in KEY.pem -pubout)");
  const auto certificates = wire::certificates_of(pem);
  if (!certificates) return invalid("pem", "pem: " + certificates.error().message);
  if (certificates->size() > 1)
    return invalid("pem", "pem: it holds several certificates; add each one under its own name");
  if (certificates->empty()) {
    const auto own = wire::public_key_of(pem);
    if (!own) return invalid("pem", "pem: " + own.error().message);
    key.kind = "key";
    key.fingerprint = content_digest(*own);
    key.pem = *own;
    return key;
  }
  const auto facts = wire::certificate_facts(certificates->front());
  if (!facts) return invalid("pem", "pem: " + facts.error().message);
  key.kind = "certificate";
  key.fingerprint = content_digest(certificates->front());
  key.subject = facts->subject;
  key.pem = pem;
  return key;
}

Status check_name(std::string_view name) {
  const bool word = !name.empty() && name.size() <= 100 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '@';
  });
  if (word) return {};
  return invalid("name", fmt::format("name: '{}' is no name of a key; use 1 to 100 letters, digits "
                                     "and - _ . @",
                                     printable(name)));
}

}  // namespace

struct Signatures::Subject {
  models::Resolved model;
  std::vector<models::ModelFile> files;
};

Signatures::Signatures(kernel::Records& records, kernel::Audit& audit, kernel::EventBus& events,
                       models::Models& models, const Clock& clock)
    : records_(records),
      audit_(audit),
      events_(events),
      models_(models),
      clock_(clock) {}

std::span<const kernel::Migration> Signatures::migrations() {
  return kMigrations;
}

Status Signatures::changed(Writer& writer, const Caller& caller, std::string_view action,
                           std::string_view target, const Json& detail) {
  STRATA_TRY(audit_.record(writer, caller, action, target, detail));
  return events_.publish(writer, caller.project, "signing.changed", "signing:project",
                         Json::object({{"action", action}, {"target", target}}));
}

Task<Result<Signatures::Subject>> Signatures::subject_of(const Caller& caller, std::string model,
                                                         std::int64_t version) {
  const auto known = co_await models_.version(caller, model, version);
  if (!known) co_return known.error();
  auto resolved = co_await models_.resolve(caller, fmt::format("models:/{}/{}", model, version));
  if (!resolved) co_return std::move(resolved).error();
  Subject subject;
  subject.files = resolved->files;
  subject.model = *std::move(resolved);
  co_return subject;
}

// The package's own model.sig; empty when it has none.
Task<Result<std::string>> Signatures::signature_file(const Caller& caller, const Subject& subject) {
  for (const auto& file : subject.files) {
    if (file.path != kSignatureFile || file.size > wire::kMaxBundle) continue;
    auto opened = co_await models_.open(caller, subject.model, file);
    if (!opened) co_return std::move(opened).error();
    co_return co_await read_all(*opened->body, wire::kMaxBundle);
  }
  co_return std::string();
}

Task<Result<SignatureRecord>> Signatures::signature(const Caller& caller, std::string model,
                                                    std::int64_t version) {
  const auto subject = co_await subject_of(caller, model, version);
  if (!subject) co_return subject.error();
  SignatureRecord record;
  Trust trust;
  auto load = [&](Reader& reader) -> Status {
    auto loaded = load_trust(reader, caller.project);
    if (!loaded) return std::move(loaded).error();
    trust = *std::move(loaded);
    auto row = reader.first(
        "SELECT bundle, actor, time_us FROM package_signatures WHERE project = ? AND "
        "package_digest = ?",
        {caller.project.str(), subject->model.package_digest});
    if (!row) return std::move(row).error();
    if (!*row) return {};
    record.bundle = (*row)->text(0);
    record.signed_by = (*row)->text(1);
    record.time = Instant{(*row)->integer(2)};
    return {};
  };
  STRATA_CO_TRY(co_await records_.read(load));
  if (record.bundle.empty()) {
    auto own = co_await signature_file(caller, *subject);
    if (!own) co_return std::move(own).error();
    record.bundle = *std::move(own);
  }
  record.check = check(record.bundle, subject->files, trust.keys);
  co_return record;
}

Task<Result<SignatureRecord>> Signatures::put(const Caller& caller, std::string model,
                                              std::int64_t version, std::string bundle) {
  const auto read = wire::read_bundle(bundle);
  if (!read) co_return read.error();
  const auto subject = co_await subject_of(caller, model, version);
  if (!subject) co_return subject.error();
  auto save = [&](Writer& writer) -> Status {
    STRATA_TRY(writer.execute(
        "INSERT INTO package_signatures (project, package_digest, bundle, actor, time_us) VALUES "
        "(?, ?, ?, ?, ?) ON CONFLICT (project, package_digest) DO UPDATE SET bundle = "
        "excluded.bundle, actor = excluded.actor, time_us = excluded.time_us",
        {caller.project.str(), subject->model.package_digest, bundle, caller.user_name,
         clock_.now().micros}));
    return changed(writer, caller, "model.sign", fmt::format("model:{}@{}", model, version),
                   Json::object({{"package_digest", subject->model.package_digest},
                                 {"signature", content_digest(bundle)}}));
  };
  STRATA_CO_TRY(co_await records_.write(save));
  co_return co_await signature(caller, model, version);
}

Task<Status> Signatures::remove(const Caller& caller, std::string model, std::int64_t version) {
  const auto subject = co_await subject_of(caller, model, version);
  if (!subject) co_return subject.error();
  auto drop = [&](Writer& writer) -> Status {
    auto gone =
        writer.execute("DELETE FROM package_signatures WHERE project = ? AND package_digest = ?",
                       {caller.project.str(), subject->model.package_digest});
    if (!gone) return std::move(gone).error();
    if (*gone == 0)
      return not_found(fmt::format("version {} of '{}' has no signature", version, model));
    return changed(writer, caller, "model.unsign", fmt::format("model:{}@{}", model, version),
                   Json::object({{"package_digest", subject->model.package_digest}}));
  };
  co_return co_await records_.write(drop);
}

Task<Result<Trust>> Signatures::trust(const Caller& caller) {
  auto load = [&](Reader& reader) {
    return load_trust(reader, caller.project);
  };
  co_return co_await records_.read(load);
}

Task<Result<Trust>> Signatures::add_key(const Caller& caller, std::string name, std::string pem) {
  STRATA_CO_TRY(check_name(name));
  const auto key = read_key(name, pem);
  if (!key) co_return key.error();
  auto add = [&](Writer& writer) -> Result<Trust> {
    const auto trust = load_trust(writer, caller.project);
    if (!trust) return trust.error();
    if (trust->keys.size() >= kMaxTrustedKeys)
      return Error(Code::kResourceExhausted,
                   fmt::format("a project trusts {} keys at most", kMaxTrustedKeys));
    for (const auto& other : trust->keys) {
      if (other.name == name || other.fingerprint == key->fingerprint)
        return Error(Code::kAlreadyExists,
                     fmt::format("the project trusts '{}' already", other.name), "name");
    }
    STRATA_TRY(writer.execute(
        "INSERT INTO trusted_keys (project, name, kind, fingerprint, subject, pem, actor, time_us) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        {caller.project.str(), name, key->kind, key->fingerprint, key->subject, key->pem,
         caller.user_name, clock_.now().micros}));
    STRATA_TRY(changed(writer, caller, "signing.trust", "signing:" + name,
                       Json::object({{"kind", key->kind}, {"fingerprint", key->fingerprint}})));
    return load_trust(writer, caller.project);
  };
  co_return co_await records_.write(add);
}

Task<Result<Trust>> Signatures::remove_key(const Caller& caller, std::string name) {
  auto drop = [&](Writer& writer) -> Result<Trust> {
    auto gone = writer.execute("DELETE FROM trusted_keys WHERE project = ? AND name = ?",
                               {caller.project.str(), name});
    if (!gone) return std::move(gone).error();
    if (*gone == 0)
      return not_found(fmt::format("the project trusts no key '{}'", printable(name)));
    STRATA_TRY(changed(writer, caller, "signing.distrust", "signing:" + name, Json::object()));
    return load_trust(writer, caller.project);
  };
  co_return co_await records_.write(drop);
}

Task<Result<Trust>> Signatures::require(const Caller& caller, bool required) {
  auto set = [&](Writer& writer) -> Result<Trust> {
    STRATA_TRY(writer.execute(
        "INSERT INTO signing_rules (project, required) VALUES (?, ?) ON CONFLICT (project) DO "
        "UPDATE SET required = excluded.required",
        {caller.project.str(), std::int64_t{required ? 1 : 0}}));
    STRATA_TRY(changed(writer, caller, "signing.require", "signing:project",
                       Json::object({{"required", required}})));
    return load_trust(writer, caller.project);
  };
  co_return co_await records_.write(set);
}

}  // namespace strata::platform::signing
