#include <algorithm>
#include <map>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "platform/signing/signing.hpp"
#include "wire/signing/ec_keys.hpp"
#include "wire/signing/model_signature.hpp"

namespace strata::platform::signing {

namespace {

SignatureCheck invalid_because(std::string signer, std::string why) {
  return {SignatureState::kInvalid, std::move(signer), std::move(why)};
}

// Whether the statement lists exactly these files; names the first that differs.
std::string difference(const wire::ModelStatement& statement,
                       const std::vector<models::ModelFile>& files) {
  std::map<std::string_view, std::string_view> said;
  for (const auto& file : statement.files) {
    if (!said.emplace(file.path, file.sha256).second)
      return fmt::format("it lists '{}' twice", printable(file.path));
  }
  for (const auto& file : files) {
    const auto one = said.find(file.path);
    if (one == said.end()) {
      if (wire::is_never_signed(file.path)) continue;
      return fmt::format("the file '{}' is not signed", printable(file.path));
    }
    if (one->second != file.sha256)
      return fmt::format("the file '{}' is another one than was signed", printable(file.path));
    said.erase(one);
  }
  if (said.empty()) return "";
  return fmt::format("the file '{}' was signed and is not there", printable(said.begin()->first));
}

// By a key: whoever is trusted and has that hint; without a hint, whoever made the signature.
SignatureCheck check_key(const wire::SignatureBundle& bundle, std::string_view message,
                         const std::vector<TrustedKey>& keys) {
  for (const auto& key : keys) {
    if (key.kind != "key") continue;
    const auto pem = wire::public_key_of(key.pem);
    if (!pem) continue;
    const bool named = !bundle.key_hint.empty();
    if (named && to_hex(sha256(*pem)) != bundle.key_hint) continue;
    const auto fits = wire::verify_ec(*pem, message, bundle.signature);
    if (fits && *fits) return {SignatureState::kValid, key.name, ""};
    if (named) return invalid_because(key.name, "its bytes do not fit the key that it names");
  }
  return {SignatureState::kUntrusted,
          bundle.key_hint.empty() ? "" : "key sha256:" + bundle.key_hint,
          "the project trusts no key that made it"};
}

SignatureCheck check_certificate(const wire::SignatureBundle& bundle, std::string_view message,
                                 const std::vector<TrustedKey>& keys) {
  const auto leaf = wire::certificate_facts(bundle.certificates.front());
  if (!leaf) return invalid_because("", leaf.error().message);
  const auto fits = wire::verify_ec(leaf->public_key, message, bundle.signature);
  if (!fits || !*fits)
    return invalid_because(leaf->subject, "its bytes do not fit the certificate that it names");
  std::vector<std::string> trusted;
  for (const auto& key : keys) {
    if (key.kind != "certificate") continue;
    if (auto ders = wire::certificates_of(key.pem))
      std::ranges::move(*ders, std::back_inserter(trusted));
  }
  const auto led = wire::check_chain(bundle.certificates, trusted);
  if (led) return {SignatureState::kValid, leaf->subject, ""};
  return {SignatureState::kUntrusted, leaf->subject, led.error().message};
}

}  // namespace

std::string_view state_name(SignatureState state) {
  switch (state) {
    case SignatureState::kNone:
      return "none";
    case SignatureState::kValid:
      return "valid";
    case SignatureState::kUntrusted:
      return "untrusted";
    case SignatureState::kInvalid:
      return "invalid";
  }
  return "none";
}

SignatureCheck check(std::string_view text, const std::vector<models::ModelFile>& files,
                     const std::vector<TrustedKey>& keys) {
  if (text.empty()) return {};
  const auto bundle = wire::read_bundle(text);
  if (!bundle) return invalid_because("", bundle.error().message);
  const std::string message = wire::pre_authentication(bundle->payload);
  SignatureCheck found = bundle->certificates.empty() ? check_key(*bundle, message, keys)
                                                      : check_certificate(*bundle, message, keys);
  if (found.state == SignatureState::kInvalid) return found;
  const auto statement = wire::read_statement(bundle->payload);
  if (!statement) return invalid_because(found.signer, statement.error().message);
  if (auto why = difference(*statement, files); !why.empty())
    return invalid_because(found.signer, std::move(why));
  return found;
}

}  // namespace strata::platform::signing
