#pragma once

// Signatures of models and whom a project trusts. The contract stands at class Signatures.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/records/records.hpp"
#include "platform/models/models.hpp"

namespace strata::platform::signing {

enum class SignatureState : std::uint8_t {
  kNone,       // nobody signed it
  kValid,      // a trusted signer signed exactly these files
  kUntrusted,  // well made as far as can be told, by a signer whom the project does not trust
  kInvalid     // the signature is broken, or it is of other files
};
std::string_view state_name(SignatureState state);

struct SignatureCheck {
  SignatureState state = SignatureState::kNone;
  std::string signer;  // name of the trusted key; else the certificate's subject or the key's hint
  std::string reason;  // of what is not valid
  bool operator==(const SignatureCheck&) const = default;
};

// A public key, or a certificate that others may lead to.
struct TrustedKey {
  std::string name;
  std::string kind;         // "key" or "certificate"
  std::string fingerprint;  // "sha256:..." of the key's PEM or the certificate's DER
  std::string subject;      // of a certificate
  std::string pem;
  std::string added_by;
  Instant added;
};

struct Trust {
  bool required = false;  // whether a model without a valid signature is bad
  std::vector<TrustedKey> keys;
};

// A kept signature and what it is worth now.
struct SignatureRecord {
  SignatureCheck check;
  std::string bundle;     // JSON as it came; empty when there is none
  std::string signed_by;  // who brought it
  Instant time;
};

inline constexpr std::size_t kMaxTrustedKeys = 100;

// What `bundle` is worth for `files`, to someone who trusts `keys`. Pure. Spec: OpenSSF Model
// Signing 1.0.
SignatureCheck check(std::string_view bundle, const std::vector<models::ModelFile>& files,
                     const std::vector<TrustedKey>& keys);

// Signatures of packages, the keys that a project trusts, and whether it asks for signatures.
//
// Promises: a signature is judged anew whenever it is asked for, by the keys that are trusted then;
// a change of any of it is audited and published as "signing.changed" (subject "signing:project")
// in the same commit. A package that holds a file `model.sig` and has no other signature is judged
// by that one. Errors: kNotFound; kInvalidArgument naming the field. Never blocks.
class Signatures {
 public:
  Signatures(kernel::Records& records, kernel::Audit& audit, kernel::EventBus& events,
             models::Models& models, const Clock& clock);
  static std::span<const kernel::Migration> migrations();

  Task<Result<SignatureRecord>> signature(const kernel::Caller& caller, std::string model,
                                          std::int64_t version);
  // Keeps `bundle` in place of any other, whatever it is worth. Errors: kMalformed or kUnsupported
  // for what is no bundle; kConflict when the version has no files on this server.
  Task<Result<SignatureRecord>> put(const kernel::Caller& caller, std::string model,
                                    std::int64_t version, std::string bundle);
  Task<Status> remove(const kernel::Caller& caller, std::string model, std::int64_t version);

  Task<Result<Trust>> trust(const kernel::Caller& caller);
  // `pem` is a public key or one certificate. Errors: kAlreadyExists; kResourceExhausted beyond
  // kMaxTrustedKeys.
  Task<Result<Trust>> add_key(const kernel::Caller& caller, std::string name, std::string pem);
  Task<Result<Trust>> remove_key(const kernel::Caller& caller, std::string name);
  Task<Result<Trust>> require(const kernel::Caller& caller, bool required);

 private:
  struct Subject;
  Task<Result<Subject>> subject_of(const kernel::Caller& caller, std::string model,
                                   std::int64_t version);
  Task<Result<std::string>> signature_file(const kernel::Caller& caller, const Subject& subject);
  Status changed(kernel::Writer& writer, const kernel::Caller& caller, std::string_view action,
                 std::string_view target, const Json& detail);

  kernel::Records& records_;
  kernel::Audit& audit_;
  kernel::EventBus& events_;
  models::Models& models_;
  const Clock& clock_;
};

}  // namespace strata::platform::signing
