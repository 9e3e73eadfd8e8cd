// One connection over a peer made for the test, with time moved by hand: what happens to peers that
// are slow, silent or say two things at once.
#include "doors/http/connection.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "doors/http/connection_testing.hpp"
#include "engines/sqlite/sqlite_records.hpp"

namespace strata::http {
namespace {

using std::chrono::seconds;

class Connection : public testing::Test {
 protected:
  Connection()
      : folder_(testing::TempDir() + "connection-" + random_.hex(8)),
        records_((std::filesystem::create_directories(folder_),
                  *engines::sqlite::SqliteRecords::open(folder_ + "/records.db", 1))),
        identity_(*records_, clock_, random_, "key", [](auto&&...) { return Status(); }) {
    EXPECT_TRUE(router_.add(door_));
    pipeline_.emplace(router_, identity_, bodies_, clock_, random_, metrics_, "http");
  }
  ~Connection() override { std::filesystem::remove_all(folder_); }

  std::string serve(std::vector<ScriptedTransport::Piece> pieces, bool closes = false) {
    ScriptedTransport peer(clock_, std::move(pieces), closes);
    const ConnectionContext context{*pipeline_,  pool_,       clock_,      stopping_, seconds(10),
                                    seconds(75), seconds(30), "localhost", false};
    LiveConnection live;
    sync_wait(serve_connection(peer, "peer", context, live));
    return peer.answer;
  }
  double seconds_since_start() const { return static_cast<double>(clock_.now().micros) / 1e6; }

  SystemRandom random_;
  ManualClock clock_{Instant{}};
  std::string folder_;
  metrics::Registry metrics_;
  BodyMemory bodies_{4000, metrics_};
  std::unique_ptr<engines::sqlite::SqliteRecords> records_;
  kernel::Identity identity_;
  SizeDoor door_;
  Router router_;
  std::optional<Pipeline> pipeline_;
  BlockingPool pool_{1};
  std::atomic<bool> stopping_{false};
};

constexpr std::string_view kHead = "POST /size HTTP/1.1\r\nHost: localhost\r\n";

std::string head(std::string_view fields) {
  return std::string(kHead) + std::string(fields) + "\r\n";
}

TEST_F(Connection, A_head_that_trickles_in_is_refused_after_its_deadline) {
  std::vector<ScriptedTransport::Piece> pieces;
  for (const char c : head("Content-Length: 0\r\n"))
    pieces.push_back({seconds(1), std::string(1, c)});
  const auto answer = serve(std::move(pieces));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_LE(seconds_since_start(), 12);
}

TEST_F(Connection, A_head_that_stops_half_way_is_refused_after_its_deadline) {
  const auto answer = serve({{seconds(0), "POST /size HTT"}});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_LE(seconds_since_start(), 11);
}

TEST_F(Connection, A_peer_that_says_nothing_is_dropped_without_an_answer) {
  EXPECT_EQ(serve({}), "");
  EXPECT_LE(seconds_since_start(), 76);
}

TEST_F(Connection, A_body_that_trickles_in_is_refused_after_the_time_of_its_route) {
  std::vector<ScriptedTransport::Piece> pieces = {{seconds(0), head("Content-Length: 500\r\n")}};
  for (int i = 0; i < 500; ++i)
    pieces.push_back({seconds(20), "x"});
  const auto answer = serve(std::move(pieces));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_LE(seconds_since_start(), 65);
}

TEST_F(Connection, A_body_that_stops_half_way_is_refused_when_nothing_came_for_long) {
  const auto answer = serve({{seconds(0), head("Content-Length: 500\r\n") + "half"}});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_LE(seconds_since_start(), 31);
}

TEST_F(Connection, What_is_left_of_a_refused_body_is_not_waited_for) {
  std::vector<ScriptedTransport::Piece> pieces = {
      {seconds(0), "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n"}};
  for (int i = 0; i < 900; ++i)
    pieces.push_back({seconds(1), "x"});
  const auto answer = serve(std::move(pieces));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 404 ")) << answer;
  EXPECT_LE(seconds_since_start(), 3);
}

TEST_F(Connection, A_slow_body_within_its_time_is_read_and_the_next_request_follows) {
  const auto answer = serve({{seconds(0), head("Content-Length: 4\r\n")},
                             {seconds(25), "sl"},
                             {seconds(25), "ow"},
                             {seconds(70), head("Transfer-Encoding: chunked\r\n")},
                             {seconds(1), "3\r\nabc\r\n0\r\n\r\n"}},
                            true);
  EXPECT_NE(answer.find("\r\n\r\n4HTTP/1.1 200 "), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n3")) << answer;
}

TEST_F(Connection, A_chunked_body_without_end_is_cut_at_the_limit) {
  std::vector<ScriptedTransport::Piece> pieces = {
      {seconds(0), head("Transfer-Encoding: chunked\r\n")}};
  for (int i = 0; i < 100; ++i)
    pieces.push_back({seconds(0), "64\r\n" + std::string(100, 'x') + "\r\n"});
  EXPECT_TRUE(serve(std::move(pieces)).starts_with("HTTP/1.1 413 "));
}

TEST_F(Connection, A_body_that_finds_no_memory_is_refused_and_keeps_none) {
  BodyHold others(bodies_);
  ASSERT_TRUE(others.grow(3500));
  const std::string request = head("Transfer-Encoding: chunked\r\n");
  const std::string chunk = "190\r\n" + std::string(400, 'x') + "\r\n";
  const auto answer =
      serve({{seconds(0), request + chunk}, {seconds(1), chunk + "0\r\n\r\n" + request}}, true);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
  EXPECT_NE(answer.find("\r\nRetry-After: 1\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << answer;
  EXPECT_EQ(bodies_.taken(), 3500);
  others.release();
  const auto again =
      serve({{seconds(0), request + chunk}, {seconds(1), chunk + "0\r\n\r\n"}}, true);
  EXPECT_TRUE(again.starts_with("HTTP/1.1 200 ")) << again;
  EXPECT_EQ(bodies_.taken(), 0);
}

TEST_F(Connection, What_is_announced_takes_no_memory_and_what_broke_off_gives_it_back) {
  BodyHold others(bodies_);
  ASSERT_TRUE(others.grow(3500));
  const auto answer = serve({{seconds(0), head("Content-Length: 1000\r\n") + "begun"}});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_EQ(bodies_.taken(), 3500);
}

TEST_F(Connection, Two_heads_of_the_same_name_where_one_counts_are_refused) {
  for (const std::string_view fields : {"Host: localhost\r\n", "Host: evil.example\r\n",
                                        "Content-Length: 1\r\nContent-Length: 2\r\n",
                                        "Authorization: Bearer a\r\nauthorization: Bearer b\r\n"}) {
    EXPECT_TRUE(serve({{seconds(0), head(fields)}}, true).starts_with("HTTP/1.1 400 ")) << fields;
  }
}

TEST_F(Connection, Extensions_of_a_chunk_and_trailers_without_end_are_cut_off) {
  for (const std::string start : {"1;", "1\r\nx\r\n0\r\nX: "}) {
    std::vector<ScriptedTransport::Piece> pieces = {
        {seconds(0), head("Transfer-Encoding: chunked\r\n") + start}};
    for (int i = 0; i < 100; ++i)
      pieces.push_back({seconds(0), std::string(1000, 'x')});
    EXPECT_TRUE(serve(std::move(pieces)).starts_with("HTTP/1.1 413 ")) << start;
  }
}

TEST_F(Connection, A_transfer_coding_that_is_not_understood_is_refused) {
  for (const std::string coding : {"xchunked", "chunked, identity", "gzip, chunked", "gzip", ""}) {
    const auto request = head("Transfer-Encoding: " + coding + "\r\n");
    const auto answer = serve({{seconds(0), request + request}}, true);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << coding << answer;
    EXPECT_EQ(answer.find("HTTP/1.1 4", 1), std::string::npos) << coding << answer;
  }
}

}  // namespace
}  // namespace strata::http
