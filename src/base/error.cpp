#include "base/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace strata {

std::string_view code_name(Code code) {
  switch (code) {
#define X(name, text) \
  case Code::name:    \
    return text;
    STRATA_ERROR_CODES(X)
#undef X
  }
  return "internal";
}

Error::Error(Code error_code, std::string text) : code(error_code), message(std::move(text)) {
  retry = code == Code::kUnavailable || code == Code::kResourceExhausted;
}

Error::Error(Code error_code, std::string text, std::string input_field)
    : Error(error_code, std::move(text)) {
  field = std::move(input_field);
}

Error Error::wrap(std::string text) const {
  Error outer = *this;
  outer.message = std::move(text);
  outer.cause = std::make_shared<const Error>(*this);
  return outer;
}

std::string Error::to_string() const {
  std::string text = message;
  for (const Error* at = cause.get(); at != nullptr; at = at->cause.get()) {
    text += ": " + at->message;
  }
  return text;
}

Error invalid(std::string field, std::string message) {
  return Error(Code::kInvalidArgument, std::move(message), std::move(field));
}

Error not_found(std::string message) {
  return Error(Code::kNotFound, std::move(message));
}

Error internal(std::string message) {
  return Error(Code::kInternal, std::move(message));
}

Error from_errno(int number, std::string_view call, std::string_view object) {
  Code code = Code::kInternal;
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      code = Code::kNotFound;
      break;
    case EEXIST:
      code = Code::kAlreadyExists;
      break;
    case EACCES:
    case EPERM:
      code = Code::kPermissionDenied;
      break;
    case ENOSPC:
    case EDQUOT:
      code = Code::kNoSpace;
      break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      code = Code::kResourceExhausted;
      break;
    case ETIMEDOUT:
      code = Code::kDeadlineExceeded;
      break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
      code = Code::kUnavailable;
      break;
    default:
      break;
  }
  return Error(code, fmt::format("{} {}: {}", call, object, std::strerror(number)));
}

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = 1 + word.size() / 3;
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance <= best_distance && (best.empty() || distance < best_distance)) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace strata
