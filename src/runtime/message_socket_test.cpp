#include "runtime/message_socket.hpp"

#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/loop.hpp"
#include "runtime/scope.hpp"

namespace strata {
namespace {

TEST(MessageSocket, Carries_messages_larger_than_the_socket_buffer_in_order) {
  auto ends = MessageSocket::pair();
  ASSERT_TRUE(ends.ok());
  const std::string large(5U << 20U, 'x');
  std::jthread sender([&] {
    EXPECT_TRUE(ends->first.send('A', "").ok());
    EXPECT_TRUE(ends->first.send('B', large).ok());
    EXPECT_TRUE(ends->first.send('C', "end").ok());
  });
  EXPECT_EQ(ends->second.receive()->kind, 'A');
  EXPECT_EQ(ends->second.receive()->payload, large);
  EXPECT_EQ(ends->second.receive()->payload, "end");
}

TEST(MessageSocket, Passes_a_descriptor_along) {
  auto ends = MessageSocket::pair();
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  ASSERT_TRUE(ends->first.send('N', "", pipe[1]).ok());
  ::close(pipe[1]);
  const auto message = ends->second.receive();
  ASSERT_GE(message->descriptor, 0);
  EXPECT_EQ(::write(message->descriptor, "hi", 2), 2);
  ::close(message->descriptor);
  std::array<char, 8> got{};
  EXPECT_EQ(::read(pipe[0], got.data(), got.size()), 2);
  ::close(pipe[0]);
}

TEST(MessageSocket, Tells_when_the_other_end_is_gone) {
  auto ends = MessageSocket::pair();
  {
    const MessageSocket dropped = std::move(ends->first);
  }
  EXPECT_EQ(ends->second.receive().error().code, Code::kUnavailable);
  EXPECT_EQ(ends->second.send('A', "x").error().code, Code::kUnavailable);
}

TEST(MessageSocket, Tells_whether_the_other_end_had_read_all_that_it_was_sent) {
  for (const bool reads : {false, true}) {
    auto ends = MessageSocket::pair();
    ASSERT_TRUE(ends->second.send('A', "a request").ok());
    if (reads) {
      ASSERT_TRUE(ends->first.receive().ok());
    }
    {
      const MessageSocket dropped = std::move(ends->first);
    }
    const auto answer = ends->second.receive();
    EXPECT_EQ(answer.error().code, Code::kUnavailable);
    EXPECT_EQ(answer.error().effect, reads ? Effect::kMaybe : Effect::kNone);
  }
}

TEST(MessageSocket, The_end_of_a_peer_is_seen_behind_bytes_that_nobody_has_read) {
  auto ends = MessageSocket::pair();
  ASSERT_TRUE(ends->first.send('A', "unread").ok());
  EXPECT_FALSE(peer_has_gone(ends->second.descriptor()));
  {
    const MessageSocket dropped = std::move(ends->first);
  }
  EXPECT_TRUE(peer_has_gone(ends->second.descriptor()));
  EXPECT_EQ(ends->second.receive()->payload, "unread");
}

Task<void> collect(MessageSocket& socket, std::vector<std::string>& out) {
  while (true) {
    auto message = co_await socket.next();
    if (!message) co_return;
    out.push_back(message->payload);
  }
}

TEST(MessageSocket, Is_awaited_on_a_loop_without_blocking_it) {
  LoopGroup loops(1);  // outlives the sockets that wait on it
  auto ends = MessageSocket::pair();
  std::vector<std::string> got;
  TaskScope scope;
  scope.spawn(loops.at(0), collect(ends->second, got));
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(ends->first.send('M', std::string(9000, 'a')).ok());
  ends->first.shutdown();
  scope.join();
  EXPECT_EQ(got.size(), 100U);
}

}  // namespace
}  // namespace strata
