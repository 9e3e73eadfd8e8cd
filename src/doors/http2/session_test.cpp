// One HTTP/2 connection over a peer made for the test, with time moved by hand: what happens to
// peers that are slow or silent.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "doors/http/connection_testing.hpp"
#include "doors/http2/http2.hpp"
#include "doors/http2/session_testing.hpp"
#include "engines/sqlite/sqlite_records.hpp"
#include "runtime/scope.hpp"

namespace strata::doors::http2 {
namespace {

using std::chrono::seconds;
using Pieces = std::vector<PacedTransport::Piece>;

constexpr std::uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoaway = 7;
constexpr std::uint8_t kEndStream = 1, kEndHeaders = 4, kAck = 1;
// The session looks at its deadlines four times a second, in which the test's clock goes on so far.
constexpr double kTick = 30;

// Literal fields without indexing (RFC 7541 section 6.2.2).
std::string head_of(std::string_view path) {
  std::string block;
  const auto text = [&](std::string_view part) {
    block += static_cast<char>(part.size());
    block += part;
  };
  for (const auto& [name, value] :
       std::vector<std::pair<std::string_view, std::string_view>>{{":method", "POST"},
                                                                  {":scheme", "http"},
                                                                  {":path", path},
                                                                  {":authority", "localhost"}}) {
    block += '\0';
    text(name);
    text(value);
  }
  return block;
}

// Takes a body that may be silent for long, and gives an answer that is larger than any window.
class OpenDoor final : public http::Door {
 public:
  std::string_view protocol() const override { return "open"; }
  http::Response error(const Error& error, const http::Request&) const override {
    return http::Response::text(http::status_of(error.code), error.message);
  }
  std::vector<http::Route> routes() override {
    const auto handler = [](const http::Authorized& call) -> Task<http::Response> {
      const auto body = co_await call.read_body();
      co_return http::Response::text(body ? 200 : 500, std::string(1U << 20U, 'x'));
    };
    const http::Limits limits{
        .body = 1000, .deadline = std::chrono::hours(10), .silence = std::chrono::hours(1)};
    std::vector<http::Route> routes;
    routes.emplace_back(http::Method::kPost, "/open", kernel::Permission::kPublic, limits, handler);
    return routes;
  }
};

class Http2Session : public testing::Test {
 protected:
  Http2Session()
      : folder_(testing::TempDir() + "http2-" + random_.hex(8)),
        records_((std::filesystem::create_directories(folder_),
                  *engines::sqlite::SqliteRecords::open(folder_ + "/records.db", 1))),
        identity_(*records_, clock_, random_, "key", [](auto&&...) { return Status(); }) {
    EXPECT_TRUE(router_.add(sizes_));
    EXPECT_TRUE(router_.add(open_));
    pipeline_.emplace(router_, identity_, bodies_, clock_, random_, metrics_, "http");
  }
  ~Http2Session() override { std::filesystem::remove_all(folder_); }

  std::vector<Frame> serve(Pieces pieces, bool closes = false) {
    pieces.insert(pieces.begin(), {seconds(0), std::string(kPreface) + frame(kSettings, 0, 0)});
    PacedTransport peer(clock_, std::move(pieces), closes);
    const http::ConnectionContext context{*pipeline_,  pool_,       clock_,
                                          stopping_,   seconds(10), seconds(75),
                                          seconds(30), "localhost", false};
    http::LiveConnection live;
    TaskScope scope;
    scope.spawn(loops_.at(0), http2::serve(peer, "peer", context, {}, live));
    scope.join();
    bool whole = false;
    auto frames = frames_in(peer.answer, whole);
    EXPECT_TRUE(whole);
    return frames;
  }
  double seconds_since_start() const { return static_cast<double>(clock_.now().micros) / 1e6 - 1; }

  static std::size_t count(const std::vector<Frame>& frames, std::uint8_t type) {
    return static_cast<std::size_t>(
        std::ranges::count_if(frames, [&](const Frame& one) { return one.type == type; }));
  }
  // The error of the goodbye, or nothing without one.
  static std::optional<int> goodbye(const std::vector<Frame>& frames) {
    for (const auto& one : frames)
      if (one.type == kGoaway) return one.payload.at(7);
    return std::nullopt;
  }

  SystemRandom random_;
  // Zero stands for no time at all in some places.
  ManualClock clock_{Instant{1'000'000}};
  std::string folder_;
  metrics::Registry metrics_;
  http::BodyMemory bodies_{1 << 20, metrics_};
  std::unique_ptr<engines::sqlite::SqliteRecords> records_;
  kernel::Identity identity_;
  http::SizeDoor sizes_;
  OpenDoor open_;
  http::Router router_;
  std::optional<http::Pipeline> pipeline_;
  BlockingPool pool_{1};
  LoopGroup loops_{1};
  std::atomic<bool> stopping_{false};
};

TEST_F(Http2Session, A_peer_that_asks_nothing_is_told_goodbye_after_the_idle_time) {
  const auto frames = serve({});
  EXPECT_EQ(goodbye(frames), 0);
  EXPECT_GE(seconds_since_start(), 75);
  EXPECT_LE(seconds_since_start(), 75 + 3 * kTick);
}

TEST_F(Http2Session, A_head_that_stops_half_way_ends_the_connection_after_its_deadline) {
  const auto frames = serve({{seconds(0), frame(kHeaders, 0, 1, head_of("/size").substr(0, 9))}});
  constexpr int kEnhanceYourCalm = 11;
  EXPECT_EQ(goodbye(frames), kEnhanceYourCalm);
  EXPECT_LE(seconds_since_start(), 10 + 3 * kTick);
}

TEST_F(Http2Session, A_body_that_stops_half_way_is_refused_and_the_connection_goes_on) {
  const std::string head = head_of("/size");
  const auto frames =
      serve({{seconds(0), frame(kHeaders, kEndHeaders, 1, head) + frame(kData, 0, 1, "half")},
             {seconds(65), frame(kHeaders, kEndHeaders | kEndStream, 3, head)},
             {seconds(1), frame(kPing, kAck, 0, std::string(8, '\0'))}},
            true);
  EXPECT_EQ(count(frames, kHeaders), 2U);
  std::string text;
  for (const auto& one : frames)
    if (one.type == kData && one.stream == 1) text += one.payload;
  EXPECT_THAT(text, testing::HasSubstr("longer than is allowed"));
}

TEST_F(Http2Session, A_peer_with_an_open_stream_that_answers_no_ping_is_given_up) {
  const auto frames = serve({{seconds(0), frame(kHeaders, kEndHeaders, 1, head_of("/open"))}});
  EXPECT_EQ(count(frames, kPing), 1U);
  EXPECT_EQ(count(frames, kHeaders), 0U);
  EXPECT_GE(seconds_since_start(), 105);
  EXPECT_LE(seconds_since_start(), 105 + 3 * kTick);
}

TEST_F(Http2Session, An_open_stream_may_be_silent_while_its_peer_is_there) {
  Pieces pieces = {{seconds(0), frame(kHeaders, kEndHeaders, 1, head_of("/open"))}};
  for (int i = 0; i < 5; ++i)
    pieces.push_back({seconds(60), frame(kPing, kAck, 0, std::string(8, '\0'))});
  pieces.push_back({seconds(1), frame(kData, kEndStream, 1, "said at last")});
  pieces.push_back({seconds(1), frame(kPing, kAck, 0, std::string(8, '\0'))});
  const auto frames = serve(std::move(pieces), true);
  EXPECT_EQ(count(frames, kHeaders), 1U);
  EXPECT_EQ(count(frames, kGoaway), 0U);
}

TEST_F(Http2Session, A_peer_that_does_not_take_its_answer_loses_the_stream) {
  const auto frames =
      serve({{seconds(0), frame(kHeaders, kEndHeaders | kEndStream, 1, head_of("/open"))},
             {seconds(70), frame(kPing, kAck, 0, std::string(8, '\0'))}},
            true);
  EXPECT_EQ(count(frames, kHeaders), 1U);
  EXPECT_EQ(count(frames, kReset), 1U);
  std::size_t sent = 0;
  for (const auto& one : frames)
    sent += one.type == kData ? one.payload.size() : 0;
  EXPECT_EQ(sent, 65535U);  // the window that a peer has which says nothing of it
}

}  // namespace
}  // namespace strata::doors::http2
