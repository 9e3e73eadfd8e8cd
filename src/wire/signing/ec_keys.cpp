#include "wire/signing/ec_keys.hpp"

#include <memory>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/bytes.hpp"

namespace strata::wire {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Store = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

struct FreedStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using Stack = std::unique_ptr<STACK_OF(X509), FreedStack>;

Error no_key(std::string_view what) {
  ERR_clear_error();
  return invalid("key", std::string(what));
}

Bio reader_of(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(std::max(size, 0L))};
}

// Asks nobody for a passphrase.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

// The digest that goes with the key's curve.
const EVP_MD* digest_of(EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return nullptr;
  switch (EVP_PKEY_get_bits(key)) {
    case 256:
      return EVP_sha256();
    case 384:
      return EVP_sha384();
    case 521:
      return EVP_sha512();
    default:
      return nullptr;
  }
}

bool is_on_a_known_curve(EVP_PKEY* key) {
  std::array<char, 64> name{};
  if (EVP_PKEY_get_group_name(key, name.data(), name.size(), nullptr) != 1) return false;
  const std::string_view curve = name.data();
  return curve == "prime256v1" || curve == "secp384r1" || curve == "secp521r1";
}

Result<Key> usable(Key key) {
  if (!key) return no_key("key: it is no key in PEM form, or one behind a passphrase");
  if (digest_of(key.get()) == nullptr || !is_on_a_known_curve(key.get()))
    return no_key("key: only elliptic curves P-256, P-384 and P-521 are taken");
  return key;
}

Result<Key> read_key(std::string_view pem) {
  if (pem.size() > kMaxPem) return no_key("key: it is larger than 64 KiB");
  const auto bio = reader_of(pem);
  if (pem.contains("-----BEGIN CERTIFICATE-----")) {
    const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!certificate) return no_key("key: the certificate cannot be read");
    return usable(Key(X509_get_pubkey(certificate.get())));
  }
  if (pem.contains("PRIVATE KEY-----"))
    return usable(Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)));
  return usable(Key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr)));
}

Result<std::string> public_pem(EVP_PKEY* key) {
  const Bio out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PUBKEY(out.get(), key) != 1) return no_key("key: it has no public part");
  return text_of(out);
}

Result<Certificate> read_certificate(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate) return no_key("key: a certificate cannot be read");
  return certificate;
}

std::string der_of(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  std::string out(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(std::max(size, 0)));
  OPENSSL_free(bytes);
  return out;
}

Error not_trusted(std::string_view why) {
  ERR_clear_error();
  return Error(Code::kPermissionDenied, std::string(why));
}

bool may_sign(X509* certificate) {
  const std::uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) != 0)
    return true;
  return (flags & EXFLAG_XKUSAGE) != 0 &&
         (X509_get_extended_key_usage(certificate) & XKU_CODE_SIGN) != 0;
}

// Seconds since 1970 at which the certificate begins to be valid.
Result<std::int64_t> begin_of(X509* certificate) {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &time) != 1)
    return no_key("key: a certificate does not say from when it is valid");
  return static_cast<std::int64_t>(timegm(&time));
}

}  // namespace

Result<std::string> public_key_of(std::string_view pem) {
  const auto key = read_key(pem);
  if (!key) return key.error();
  return public_pem(key->get());
}

Result<std::string> sign_ec(std::string_view private_pem, std::string_view message) {
  if (!private_pem.contains("PRIVATE KEY-----")) return no_key("key: it is no private key");
  const auto key = read_key(private_pem);
  if (!key) return key.error();
  const Context context(EVP_MD_CTX_new());
  std::size_t size = 0;
  const auto* const data = reinterpret_cast<const unsigned char*>(message.data());
  if (EVP_DigestSignInit(context.get(), nullptr, digest_of(key->get()), nullptr, key->get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, data, message.size()) != 1)
    return no_key("key: it cannot sign");
  std::string out(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, data,
                     message.size()) != 1)
    return no_key("key: it cannot sign");
  out.resize(size);
  return out;
}

Result<bool> verify_ec(std::string_view public_pem, std::string_view message,
                       std::string_view signature) {
  const auto key = read_key(public_pem);
  if (!key) return key.error();
  const Context context(EVP_MD_CTX_new());
  if (EVP_DigestVerifyInit(context.get(), nullptr, digest_of(key->get()), nullptr, key->get()) != 1)
    return no_key("key: it cannot verify");
  const int fits = EVP_DigestVerify(
      context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
      reinterpret_cast<const unsigned char*>(message.data()), message.size());
  ERR_clear_error();
  return fits == 1;
}

Result<CertificateFacts> certificate_facts(std::string_view der) {
  const auto certificate = read_certificate(der);
  if (!certificate) return certificate.error();
  const auto key = usable(Key(X509_get_pubkey(certificate->get())));
  if (!key) return key.error();
  auto pem = public_pem(key->get());
  if (!pem) return std::move(pem).error();
  const Bio out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate->get()), 0,
                     XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
  return CertificateFacts{printable(text_of(out), 300), *std::move(pem)};
}

Result<std::vector<std::string>> certificates_of(std::string_view pem) {
  if (pem.size() > kMaxPem) return no_key("key: it is larger than 64 KiB");
  std::vector<std::string> out;
  if (!pem.contains("-----BEGIN CERTIFICATE-----")) return out;
  const auto bio = reader_of(pem);
  while (true) {
    const Certificate one(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!one) break;
    out.push_back(der_of(one.get()));
  }
  ERR_clear_error();
  if (out.empty()) return no_key("key: the certificate cannot be read");
  return out;
}

Status check_chain(const std::vector<std::string>& chain, const std::vector<std::string>& trusted) {
  if (chain.empty()) return not_trusted("there is no certificate");
  const Store store(X509_STORE_new());
  for (const auto& der : trusted) {
    const auto certificate = read_certificate(der);
    if (!certificate) return certificate.error();
    X509_STORE_add_cert(store.get(), certificate->get());
  }
  const auto leaf = read_certificate(chain.front());
  if (!leaf) return leaf.error();
  if (!may_sign(leaf->get()))
    return not_trusted(
        "its certificate is not for signatures (key usage digitalSignature, or "
        "extended key usage codeSigning)");
  std::vector<Certificate> others;
  const Stack stack(sk_X509_new_null());
  for (std::size_t i = 1; i < chain.size(); ++i) {
    auto certificate = read_certificate(chain[i]);
    if (!certificate) return std::move(certificate).error();
    sk_X509_push(stack.get(), certificate->get());
    others.push_back(*std::move(certificate));
  }
  const auto time = begin_of(leaf->get());
  if (!time) return time.error();
  const StoreContext context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf->get(), stack.get());
  X509_VERIFY_PARAM* const rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(rules, *time);
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  if (X509_verify_cert(context.get()) == 1) return {};
  return not_trusted(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
}

}  // namespace strata::wire
