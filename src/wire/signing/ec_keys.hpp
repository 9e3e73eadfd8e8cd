#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// Signatures with elliptic curves (ECDSA on P-256, P-384 and P-521, with SHA-256, SHA-384 and
// SHA-512) and X.509 certificates, by OpenSSL. Keys go in and out as PEM text; signatures are DER.

inline constexpr std::size_t kMaxPem = 64U << 10U;

// Errors of all: kInvalidArgument on `key` for what is no such key or certificate.

// The public key of a private one, of a certificate, or the public key itself, in one PEM form
// (SubjectPublicKeyInfo).
Result<std::string> public_key_of(std::string_view pem);
Result<std::string> sign_ec(std::string_view private_pem, std::string_view message);
// Whether `signature` over `message` is that key's.
Result<bool> verify_ec(std::string_view public_pem, std::string_view message,
                       std::string_view signature);

struct CertificateFacts {
  std::string subject;     // as RFC 2253 writes it
  std::string public_key;  // PEM
};
// Of a certificate in DER.
Result<CertificateFacts> certificate_facts(std::string_view der);
// The certificates of a PEM text in DER; empty when it holds none.
Result<std::vector<std::string>> certificates_of(std::string_view pem);

// Whether the first of `chain` (DER) may sign, and leads by the others to one of `trusted` (DER).
// Judged at the time from which the first is valid, as OMS does: a signature outlives its
// certificate. Errors: kPermissionDenied saying why not. Spec: RFC 5280.
Status check_chain(const std::vector<std::string>& chain, const std::vector<std::string>& trusted);

}  // namespace strata::wire
