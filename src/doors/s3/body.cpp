#include "doors/s3/body.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "wire/aws/checksum.hpp"

namespace strata::doors::s3 {

Task<Result<std::string_view>> DigestedBody::next() {
  if (ended_) co_return std::string_view();
  auto piece = co_await inner_.next();
  if (!piece) co_return piece;
  if (!piece->empty()) {
    digest_.update(*piece);
    co_return piece;
  }
  ended_ = true;
  const auto got = to_hex(digest_.finish());
  if (got != wanted_) {
    co_return Error(
        Code::kChecksumMismatch,
        fmt::format("x-amz-content-sha256 says {}, the body that arrived has {}", wanted_, got),
        "x-amz-content-sha256");
  }
  co_return std::string_view();
}

Task<Result<std::string_view>> ChunkedBody::next() {
  while (!ended_) {
    auto run = decoder_.next(pending_);
    if (!run || !run->empty()) co_return run;
    auto piece = co_await inner_.next();
    if (!piece) co_return piece;
    if (!piece->empty()) {
      pending_ = *piece;
      continue;
    }
    ended_ = true;
    STRATA_CO_TRY(decoder_.finish());
    for (const auto& [name, value] : decoder_.trailers()) {
      if (wire::aws::checksum_by_header(name)) headers_.set(name, value);
    }
  }
  co_return std::string_view();
}

}  // namespace strata::doors::s3
