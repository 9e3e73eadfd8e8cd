#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "runtime/task.hpp"

namespace strata {

// A body that arrives piece by piece. next() yields the following piece, valid until the next call;
// an empty piece is the end. One reader, one call at a time. Errors end the stream.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual Task<Result<std::string_view>> next() = 0;
  // Nobody wants the rest any more: a next() in progress, or the following one, ends soon with an
  // error. Called on the reader's loop, at most once. A source that may be silent for long
  // implements it.
  virtual void cancel() {}
  // The whole length in bytes when it is known beforehand.
  virtual std::optional<std::uint64_t> length() const { return std::nullopt; }
};

// A whole text as one piece.
class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  Task<Result<std::string_view>> next() override {
    if (done_) co_return std::string_view();
    done_ = true;
    co_return std::string_view(text_);
  }
  std::optional<std::uint64_t> length() const override { return text_.size(); }

 private:
  std::string text_;
  bool done_ = false;
};

// Everything `source` has, at most `limit` bytes. Errors: kTooLarge, and whatever the source
// reports.
inline Task<Result<std::string>> read_all(ByteSource& source, std::uint64_t limit) {
  std::string all;
  while (true) {
    auto piece = co_await source.next();
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) co_return all;
    if (all.size() + piece->size() > limit) {
      co_return Error(Code::kTooLarge,
                      "the body is larger than " + std::to_string(limit) + " bytes");
    }
    all += *piece;
  }
}

}  // namespace strata
