#include "doors/http/http.hpp"
#include "wire/content_coding.hpp"

namespace strata::http {

namespace {

// Below it the head costs more than packing saves.
constexpr std::size_t kWorthPacking = 1024;
// What is packed between two writes, so that a large answer keeps nobody else waiting.
constexpr std::size_t kPiece = 128U << 10U;

class PackedText final : public ByteSource {
 public:
  PackedText(std::string text, wire::ContentCoding coding)
      : text_(std::move(text)),
        deflater_(coding) {}
  Task<Result<std::string_view>> next() override {
    packed_.clear();
    while (packed_.empty() && !ended_) {
      const auto piece = std::string_view(text_).substr(at_, kPiece);
      at_ += piece.size();
      ended_ = at_ == text_.size();
      packed_ = deflater_.pack(piece, ended_);
    }
    co_return std::string_view(packed_);
  }

 private:
  std::string text_;
  wire::Deflater deflater_;
  std::string packed_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

}  // namespace

Task<Result<std::string>> Authorized::read_unpacked_body() const {
  const auto coding = wire::parse_content_encoding(request_->headers.get("Content-Encoding"));
  if (!coding) co_return coding.error();
  if (!*coding) co_return co_await read_whole(*request_, body_limit_);
  wire::Inflater inflater(**coding, body_limit_);
  std::string all;
  const auto take = [&](std::string_view run) -> Status {
    STRATA_TRY(request_->held.grow(run.size()));
    all += run;
    return {};
  };
  while (true) {
    auto piece = co_await request_->body->next();
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) break;
    STRATA_CO_TRY(inflater.unpack(*piece, take));
  }
  STRATA_CO_TRY(inflater.finish());
  co_return all;
}

void pack_answer(const Request& request, Response& response) {
  auto* text = std::get_if<std::string>(&response.body);
  if (text == nullptr || text->size() < kWorthPacking) return;
  const auto coding = wire::accepted_coding(request.headers.get("Accept-Encoding"));
  if (!coding) return;
  response.headers.set("Content-Encoding", std::string(wire::coding_name(*coding)));
  response.body = std::make_unique<PackedText>(std::move(*text), *coding);
}

}  // namespace strata::http
