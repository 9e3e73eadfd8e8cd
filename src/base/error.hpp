#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

// Every code exists because some caller acts on it. Each door maps every code once to its
// protocol's own form.
#define STRATA_ERROR_CODES(X)                                                         \
  X(kInvalidArgument, "invalid_argument")       /* a field's value is wrong */        \
  X(kMalformed, "malformed")                    /* the message cannot be parsed */    \
  X(kUnauthenticated, "unauthenticated")        /* no valid credentials */            \
  X(kPermissionDenied, "permission_denied")     /* known caller, not allowed */       \
  X(kSignatureMismatch, "signature_mismatch")   /* a request signature is wrong */    \
  X(kClockSkew, "clock_skew")                   /* the caller's clock is too far */   \
  X(kExpired, "expired")                        /* token, link or deadline passed */  \
  X(kNotFound, "not_found")                     /* the named thing is not there */    \
  X(kAlreadyExists, "already_exists")           /* the name is taken */               \
  X(kConflict, "conflict")                      /* state forbids it now */            \
  X(kPreconditionFailed, "precondition_failed") /* If-Match and its kin */            \
  X(kNotModified, "not_modified")               /* If-None-Match on a read */         \
  X(kChecksumMismatch, "checksum_mismatch")     /* bytes are not what was promised */ \
  X(kTooLarge, "too_large")                     /* a limit on size was passed */      \
  X(kUnsupportedMediaType, "unsupported_media_type")                                  \
  X(kMethodNotAllowed, "method_not_allowed")                                          \
  X(kOutOfRange, "out_of_range")              /* range or page beyond the end */      \
  X(kQuotaExceeded, "quota_exceeded")         /* the tenant's own limit */            \
  X(kResourceExhausted, "resource_exhausted") /* the server is full: retry later */   \
  X(kNoSpace, "no_space")                     /* the disk is full */                  \
  X(kDeadlineExceeded, "deadline_exceeded")                                           \
  X(kCancelled, "cancelled")                                                          \
  X(kUnavailable, "unavailable") /* a part is down: retry */                          \
  X(kUnsupported, "unsupported") /* we do not offer this */                           \
  X(kDataLoss, "data_loss")      /* stored bytes are damaged */                       \
  X(kInternal, "internal")       /* our fault */

enum class Code : std::uint8_t {
#define X(name, text) name,
  STRATA_ERROR_CODES(X)
#undef X
};

// The stable text of a code, as it stands in JSON answers, logs and metrics.
std::string_view code_name(Code code);

// Whether a failed call may have changed something: kMaybe means that the outcome is unknown.
enum class Effect : std::uint8_t { kNone, kMaybe };

// One failure, made where the fact is known: what was wrong, with which value, and how to mend it.
struct [[nodiscard]] Error {
  Code code = Code::kInternal;
  std::string message;
  bool retry = false;  // the same call may succeed later
  Effect effect = Effect::kNone;
  std::string field;  // the input that was wrong, in the caller's own name; may be empty
  std::shared_ptr<const Error> cause;

  Error() = default;
  Error(Code error_code, std::string text);
  Error(Code error_code, std::string text, std::string input_field);

  // The same error seen from one level up; this one becomes the cause.
  Error wrap(std::string text) const;
  // Message followed by the chain of causes, for logs and the command line.
  std::string to_string() const;
};

Error invalid(std::string field, std::string message);
Error not_found(std::string message);
Error internal(std::string message);
// An Error for a failed system call: maps errno (ENOSPC to kNoSpace and so on) and names the call
// and its object.
Error from_errno(int number, std::string_view call, std::string_view object);

// The candidate closest to `word` when it is close enough to be a typing slip; empty otherwise.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace strata
