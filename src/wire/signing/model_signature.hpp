#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// Signatures of models as the OpenSSF Model Signing specification 1.0 has them, and the Python
// package `model-signing` writes them: a Sigstore bundle v0.3 around a DSSE envelope around an
// in-toto statement that lists the SHA-256 of every file.

inline constexpr std::size_t kMaxBundle = 8U << 20U;
inline constexpr std::size_t kMaxSignedFiles = 10'000;
inline constexpr std::size_t kMaxChain = 16;

struct SignatureBundle {
  std::string payload;                    // the statement's bytes
  std::string signature;                  // DER
  std::string key_hint;                   // SHA-256 of the public key's PEM, in hex; may be empty
  std::vector<std::string> certificates;  // DER, the signer's first; empty when a key signed
};

// Errors: kMalformed naming the member; kUnsupported for other media types and payloads; kTooLarge.
Result<SignatureBundle> read_bundle(std::string_view json);
std::string write_bundle(const SignatureBundle& bundle);

struct SignedFile {
  std::string path;
  std::string sha256;  // 64 hexadecimal digits
};

struct ModelStatement {
  std::string name;
  std::vector<SignedFile> files;
};

// Errors: kMalformed, also when the digest of the whole is not that of its files; kUnsupported for
// files in shards and other hashes than SHA-256.
Result<ModelStatement> read_statement(std::string_view payload);
// `files` come sorted by path.
std::string write_statement(const ModelStatement& statement);

// What is signed of a payload: DSSE's pre-authentication encoding.
std::string pre_authentication(std::string_view payload);

// Whether signers leave a file out: the signature itself, and what belongs to Git.
bool is_never_signed(std::string_view path);

}  // namespace strata::wire
