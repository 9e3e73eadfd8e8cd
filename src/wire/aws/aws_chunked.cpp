#include "wire/aws/aws_chunked.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire::aws {

namespace {

constexpr std::size_t kMaxHeaderLine = 512;
constexpr std::size_t kMaxTrailerBytes = 8192;

Error broken(std::string message) {
  return Error(Code::kMalformed, std::move(message), "body");
}

}  // namespace

ChunkDecoder::ChunkDecoder(ChunkFraming framing) : framing_(std::move(framing)) {
  if (framing_.signing) previous_signature_ = framing_.signing->seed_signature;
}

Result<std::optional<std::string>> ChunkDecoder::take_line(std::string_view& input,
                                                           std::size_t limit) {
  const std::size_t end = input.find('\n');
  const std::size_t take = std::min(end, input.size());
  if (line_.size() + take > limit) {
    return Error(Code::kTooLarge, fmt::format("aws-chunked: a line is longer than {} bytes", limit),
                 "body");
  }
  line_.append(input.substr(0, take));
  if (end == std::string_view::npos) {
    input = {};
    return std::optional<std::string>();
  }
  input.remove_prefix(end + 1);
  std::string line = std::move(line_);
  line_.clear();
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return std::optional<std::string>(std::move(line));
}

Status ChunkDecoder::start_chunk(std::string_view line) {
  const std::size_t semicolon = std::min(line.find(';'), line.size());
  const auto size = line.substr(0, semicolon);
  const auto [stop, fault] = std::from_chars(size.data(), size.data() + size.size(), left_, 16);
  if (fault != std::errc() || stop != size.data() + size.size() || size.empty()) {
    return broken(fmt::format("aws-chunked: '{}' is not the size of a chunk in hexadecimal digits",
                              printable(line)));
  }
  last_ = left_ == 0;
  total_ += left_;
  if (framing_.decoded_length &&
      (left_ > *framing_.decoded_length || total_ > *framing_.decoded_length)) {
    return broken(fmt::format("the chunks hold more than x-amz-decoded-content-length, {} bytes",
                              *framing_.decoded_length));
  }
  if (framing_.signing) {
    constexpr std::string_view kMark = ";chunk-signature=";
    const auto rest = line.substr(semicolon);
    if (!rest.starts_with(kMark)) return broken("aws-chunked: a chunk carries no chunk-signature");
    chunk_signature_ = std::string(rest.substr(kMark.size()));
    chunk_hash_.emplace(DigestKind::kSha256);
  }
  state_ = last_ ? State::kTrailers : State::kData;
  return last_ ? end_chunk() : Status();
}

Status ChunkDecoder::end_chunk() {
  if (!framing_.signing) return {};
  const auto& signing = *framing_.signing;
  const auto text = fmt::format("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}", signing.time_text,
                                signing.scope.text(), previous_signature_, to_hex(sha256("")),
                                to_hex(chunk_hash_->finish()));
  chunk_hash_.reset();
  auto wanted = sign(signing.key, text);
  if (!equal_constant_time(wanted, chunk_signature_)) {
    return Error(
        Code::kSignatureMismatch,
        fmt::format("the signature of the chunk that ends at byte {} of the payload is wrong: the "
                    "bytes were changed on the way, or signed with another key",
                    total_),
        "body");
  }
  previous_signature_ = std::move(wanted);
  return {};
}

Status ChunkDecoder::take_trailer(std::string_view line) {
  trailer_bytes_ += line.size();
  if (trailer_bytes_ > kMaxTrailerBytes) {
    return Error(Code::kTooLarge,
                 fmt::format("the trailers are longer than {} bytes", kMaxTrailerBytes), "body");
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return broken(
        fmt::format("aws-chunked: '{}' is no trailer of the form name:value", printable(line)));
  }
  auto name = to_lower(trim(line.substr(0, colon)));
  std::string value(trim(line.substr(colon + 1)));
  if (name == "x-amz-trailer-signature") {
    trailer_signature_ = std::move(value);
  } else {
    trailers_.emplace_back(std::move(name), std::move(value));
  }
  return {};
}

Status ChunkDecoder::end_trailers() {
  if (framing_.decoded_length && total_ != *framing_.decoded_length) {
    return broken(fmt::format("the chunks hold {} bytes, x-amz-decoded-content-length says {}",
                              total_, *framing_.decoded_length));
  }
  if (framing_.signing && framing_.trailer) {
    const auto& signing = *framing_.signing;
    std::string canonical;
    for (const auto& [name, value] : trailers_)
      canonical += name + ":" + value + "\n";
    const auto text =
        fmt::format("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{}", signing.time_text,
                    signing.scope.text(), previous_signature_, to_hex(sha256(canonical)));
    if (!equal_constant_time(sign(signing.key, text), trailer_signature_)) {
      return Error(Code::kSignatureMismatch,
                   "x-amz-trailer-signature is wrong: the trailers were changed "
                   "on the way, or signed with another key",
                   "body");
    }
  } else if (!framing_.trailer && !trailers_.empty()) {
    return broken("aws-chunked: trailers came although x-amz-content-sha256 announced none");
  }
  state_ = State::kDone;
  return {};
}

Result<std::string_view> ChunkDecoder::next(std::string_view& input) {
  while (!input.empty() && state_ != State::kDone) {
    if (state_ == State::kData) {
      const auto run =
          input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
      input.remove_prefix(run.size());
      left_ -= run.size();
      if (chunk_hash_) chunk_hash_->update(run);
      if (left_ == 0) {
        state_ = State::kDataEnd;
        STRATA_TRY(end_chunk());
      }
      return run;
    }
    auto line = take_line(input, state_ == State::kTrailers ? kMaxTrailerBytes : kMaxHeaderLine);
    if (!line) return std::move(line).error();
    if (!*line) break;
    if (state_ == State::kHeader) {
      STRATA_TRY(start_chunk(**line));
    } else if (state_ == State::kDataEnd) {
      if (!(*line)->empty()) return broken("aws-chunked: a chunk is longer than its header says");
      state_ = State::kHeader;
    } else if ((*line)->empty()) {
      STRATA_TRY(end_trailers());
    } else {
      STRATA_TRY(take_trailer(**line));
    }
  }
  return std::string_view();
}

Status ChunkDecoder::finish() const {
  if (done()) return {};
  return broken("the body ends before its last chunk (a chunk of size 0 and an empty line)");
}

}  // namespace strata::wire::aws
