#include "wire/content_coding.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include <fmt/format.h>
#define ZLIB_CONST  // its input is const
#include <zlib.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire {

namespace {

constexpr std::size_t kBuffer = 64U << 10U;
// What zlib takes for its largest window, and for it in gzip's form.
constexpr int kWindow = 15;
constexpr int kGzipWindow = kWindow + 16;
constexpr int kMemory = 8;

int window_of(ContentCoding coding) {
  return coding == ContentCoding::kGzip ? kGzipWindow : kWindow;
}

void feed(z_stream_s& stream, std::string_view input) {
  stream.next_in = reinterpret_cast<const Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
}

std::string_view piece_of(std::string_view input) {
  return input.substr(0, std::numeric_limits<uInt>::max());
}

}  // namespace

std::string_view coding_name(ContentCoding coding) {
  return coding == ContentCoding::kGzip ? "gzip" : "deflate";
}

Result<std::optional<ContentCoding>> parse_content_encoding(std::string_view field) {
  using Found = std::optional<ContentCoding>;
  const std::string_view name = trim(field);
  if (name.empty() || equal_ignoring_case(name, "identity")) return Found();
  if (equal_ignoring_case(name, "gzip") || equal_ignoring_case(name, "x-gzip"))
    return Found(ContentCoding::kGzip);
  if (equal_ignoring_case(name, "deflate")) return Found(ContentCoding::kDeflate);
  return Error(Code::kUnsupportedMediaType,
               fmt::format("Content-Encoding '{}' is not supported here; send the body as it is, "
                           "or as gzip or deflate",
                           printable(name, 40)),
               "Content-Encoding");
}

bool accepts_coding(std::string_view field, std::string_view coding) {
  for (const auto& entry : split(field, ',')) {
    const std::string_view whole = trim(entry);
    const auto semicolon = whole.find(';');
    if (!equal_ignoring_case(trim(whole.substr(0, semicolon)), coding)) continue;
    if (semicolon == std::string_view::npos) return true;
    const std::string_view weight = trim(whole.substr(semicolon + 1));
    return !weight.starts_with("q=0") ||
           weight.find_first_of("123456789") != std::string_view::npos;
  }
  return false;
}

std::optional<ContentCoding> accepted_coding(std::string_view field) {
  for (const auto coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    if (accepts_coding(field, coding_name(coding))) return coding;
  }
  return std::nullopt;
}

Inflater::Inflater(ContentCoding coding, std::uint64_t limit)
    : coding_(coding),
      limit_(limit),
      stream_(std::make_unique<z_stream_s>()),
      buffer_(kBuffer, '\0') {
  if (inflateInit2(stream_.get(), window_of(coding)) != Z_OK) throw std::bad_alloc();
}

Inflater::~Inflater() {
  inflateEnd(stream_.get());
}

Error Inflater::broken(std::string_view what) const {
  return {Code::kMalformed, fmt::format("the body is no {} as its Content-Encoding says: {}",
                                        coding_name(coding_), what)};
}

Result<std::string_view> Inflater::next(std::string_view& input) {
  while (!input.empty() || full_) {
    if (complete_) {
      // What follows a gzip member is another one (RFC 1952 section 2.2).
      if (coding_ != ContentCoding::kGzip) return broken("bytes follow its end");
      inflateReset(stream_.get());
      complete_ = false;
    }
    const std::string_view piece = piece_of(input);
    feed(*stream_, piece);
    stream_->next_out = reinterpret_cast<Bytef*>(buffer_.data());
    stream_->avail_out = static_cast<uInt>(buffer_.size());
    const int code = inflate(stream_.get(), Z_NO_FLUSH);
    const std::size_t taken = piece.size() - stream_->avail_in;
    const std::size_t made = buffer_.size() - stream_->avail_out;
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      return broken(stream_->msg != nullptr ? stream_->msg : "it is damaged");
    input.remove_prefix(taken);
    complete_ = code == Z_STREAM_END;
    full_ = !complete_ && stream_->avail_out == 0;
    read_ += taken;
    given_ += made;
    if (std::max(read_, given_) > limit_) {
      return Error(Code::kTooLarge,
                   fmt::format("the body is larger than the {} bytes allowed here once it is "
                               "unpacked",
                               limit_));
    }
    if (made > 0) return std::string_view(buffer_).substr(0, made);
  }
  return std::string_view();
}

Status Inflater::unpack(std::string_view input,
                        const std::function<Status(std::string_view)>& take) {
  while (true) {
    const auto run = next(input);
    if (!run) return run.error();
    if (run->empty()) return {};
    STRATA_TRY(take(*run));
  }
}

Status Inflater::finish() const {
  if (complete_) return {};
  return broken("it breaks off");
}

Deflater::Deflater(ContentCoding coding) : stream_(std::make_unique<z_stream_s>()) {
  if (deflateInit2(stream_.get(), Z_BEST_SPEED, Z_DEFLATED, window_of(coding), kMemory,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
}

Deflater::~Deflater() {
  deflateEnd(stream_.get());
}

std::string Deflater::pack(std::string_view input, bool last) {
  std::string out;
  do {
    const std::string_view piece = piece_of(input);
    input.remove_prefix(piece.size());
    const bool ends = last && input.empty();
    feed(*stream_, piece);
    do {
      const std::size_t before = out.size();
      out.resize(before + kBuffer);
      stream_->next_out = reinterpret_cast<Bytef*>(out.data() + before);
      stream_->avail_out = static_cast<uInt>(kBuffer);
      deflate(stream_.get(), ends ? Z_FINISH : Z_NO_FLUSH);
      out.resize(out.size() - stream_->avail_out);
    } while (stream_->avail_out == 0);
  } while (!input.empty());
  return out;
}

}  // namespace strata::wire
