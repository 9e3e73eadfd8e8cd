#include <atomic>
#include <csignal>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/files.hpp"
#include "runtime/http_client.hpp"
#include "runtime/loop.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/scope.hpp"
#include "runtime/signal.hpp"

namespace strata {
namespace {

Task<int> add(int a, int b) {
  co_return a + b;
}

Task<int> deep(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await deep(depth - 1);
}

TEST(Task, Runs_only_when_awaited_and_yields_its_value) {
  EXPECT_EQ(sync_wait(add(2, 3)), 5);
  EXPECT_EQ(sync_wait(deep(10'000)), 10'000);
}

Task<std::pair<Loop*, Loop*>> around_the_pool(BlockingPool& pool, std::thread::id& worker) {
  Loop* before = Loop::current();
  const auto work = [&] {
    return worker = std::this_thread::get_id();
  };
  co_await pool.run(work);
  co_return std::pair(before, Loop::current());
}

TEST(BlockingPool, Comes_back_to_the_loop_that_asked) {
  LoopGroup loops(2);
  BlockingPool pool(2);
  TaskScope scope;
  std::thread::id worker;
  std::pair<Loop*, Loop*> seen{};
  const auto body = [](BlockingPool& p, std::thread::id& w,
                       std::pair<Loop*, Loop*>& out) -> Task<void> {
    out = co_await around_the_pool(p, w);
  };
  scope.spawn(loops.at(1), body(pool, worker, seen));
  scope.join();
  EXPECT_EQ(seen.first, &loops.at(1));
  EXPECT_EQ(seen.second, &loops.at(1));
  EXPECT_NE(worker, std::this_thread::get_id());
}

TEST(Loop, The_token_of_a_timer_may_outlive_its_loop) {
  std::shared_ptr<Loop::Timer> far, cancelled;
  {
    LoopGroup loops(1);
    far = loops.at(0).call_after(std::chrono::hours(1), [] {});
    cancelled = loops.at(0).call_after(std::chrono::hours(1), [] {});
    Loop::cancel(cancelled);
  }
  Loop::cancel(far);
}

TEST(Signal, Wakes_every_waiter_on_its_own_loop) {
  LoopGroup loops(2);
  Signal signal;
  std::atomic<int> woken{0};
  std::atomic<int> waiting{0};
  {
    TaskScope scope;
    const auto body = [](Signal& s, std::atomic<int>& w, std::atomic<int>& n) -> Task<void> {
      ++w;
      co_await s.wait(std::chrono::hours(1));
      ++n;
    };
    for (int i = 0; i < 6; ++i)
      scope.spawn(loops.next(), body(signal, waiting, woken));
    while (woken.load() < 6)
      signal.notify_all();
  }
  EXPECT_EQ(woken.load(), 6);
}

TEST(Signal, Gives_up_after_its_limit) {
  LoopGroup loops(1);
  Signal signal;
  TaskScope scope;
  bool done = false;
  const auto body = [](Signal& s, bool& d) -> Task<void> {
    co_await s.wait(std::chrono::milliseconds(5));
    d = true;
  };
  scope.spawn(loops.at(0), body(signal, done));
  scope.join();
  EXPECT_TRUE(done);
}

TEST(Random, Makes_distinct_ids_that_sort_by_time) {
  SeededRandom random(1);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i)
    seen.insert(random.uuid7(Instant::from_millis(1000 + i)));
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_LT(random.uuid7(Instant::from_millis(5)), random.uuid7(Instant::from_millis(6)));
  EXPECT_EQ(random.alphanumeric(40).size(), 40U);
}

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "files_" + SystemRandom().hex(6);
    ASSERT_TRUE(files_.make_dirs(dir_ + "/a/b").ok());
  }
  SystemFiles files_;
  std::string dir_;
};

TEST_F(FilesTest, Replace_sets_the_whole_content) {
  ASSERT_TRUE(files_.replace(dir_ + "/x", "one", 0600).ok());
  ASSERT_TRUE(files_.replace(dir_ + "/x", "two", 0600).ok());
  EXPECT_EQ(files_.read_all(dir_ + "/x").value(), "two");
  EXPECT_EQ(files_.list(dir_).value(), (std::vector<std::string>{"a", "x"}));
}

TEST_F(FilesTest, Of_several_replacements_at_the_same_time_one_stands) {
  constexpr int kThreads = 4;
  std::atomic<int> failed{0};
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < kThreads; ++i) {
      writers.emplace_back([&, content = std::string(1000, static_cast<char>('a' + i))] {
        for (int round = 0; round < 50; ++round)
          if (!files_.replace(dir_ + "/x", content)) ++failed;
      });
    }
  }
  EXPECT_EQ(failed, 0);
  const auto content = files_.read_all(dir_ + "/x").value();
  EXPECT_EQ(content, std::string(1000, content.at(0)));
  EXPECT_EQ(files_.list(dir_).value(), (std::vector<std::string>{"a", "x"}));
}

TEST_F(FilesTest, Publish_moves_a_finished_file_to_its_name) {
  auto file = files_.create(dir_ + "/a/t");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->append("body").ok());
  ASSERT_TRUE((*file)->sync().ok());
  ASSERT_TRUE(files_.publish(dir_ + "/a/t", dir_ + "/a/b/final").ok());
  EXPECT_EQ(files_.read_all(dir_ + "/a/b/final").value(), "body");
  EXPECT_FALSE(files_.exists(dir_ + "/a/t"));
}

TEST_F(FilesTest, Errors_name_the_path_and_the_cause) {
  const auto missing = files_.open(dir_ + "/none");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_NE(missing.error().message.find("/none"), std::string::npos);
  EXPECT_EQ(files_.create(dir_ + "/a").error().code, Code::kAlreadyExists);
}

TEST_F(FilesTest, A_lock_is_held_once) {
  auto first = FileLock::acquire(dir_ + "/lock");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(FileLock::acquire(dir_ + "/lock").error().code, Code::kConflict);
}

using testing::HasSubstr;

// Takes one connection, reads a request's head and lets `act` do the rest.
class FakeServer {
 public:
  explicit FakeServer(std::function<void(int)> act) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, generic, size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this, act = std::move(act)] {
      const int peer = ::accept(listener_, nullptr, nullptr);
      std::string head;
      char next = 0;
      while (!head.ends_with("\r\n\r\n") && ::read(peer, &next, 1) == 1)
        head += next;
      act(peer);
      ::close(peer);
    });
  }
  ~FakeServer() {
    thread_.join();
    ::close(listener_);
  }

  Result<std::string> ask(std::chrono::milliseconds timeout = std::chrono::seconds(30),
                          std::chrono::milliseconds total = {}, std::stop_token stop = {}) const {
    ClientRequest request;
    request.url = "http://127.0.0.1:" + std::to_string(port_) + "/";
    request.timeout = timeout;
    request.total = total;
    request.stop = std::move(stop);
    std::string body;
    const auto done = http_exchange(request, [&](const ClientAnswer&, std::string_view piece) {
      body += piece;
      return true;
    });
    if (!done) return done.error();
    return body;
  }

 private:
  int listener_;
  int port_ = 0;
  std::jthread thread_;
};

void say(int peer, std::string_view text) {
  EXPECT_EQ(::write(peer, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(HttpClient, A_connection_closed_without_an_answer_is_an_error) {
  const FakeServer server([](int) {});
  const auto answer = server.ask();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("without an answer"));
}

TEST(HttpClient, Half_a_head_and_half_a_body_are_errors) {
  for (const std::string_view half :
       {"HTTP/1.1 200 OK\r\nConte", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!"}) {
    const FakeServer server([&](int peer) { say(peer, half); });
    const auto answer = server.ask();
    ASSERT_FALSE(answer.ok()) << half;
    EXPECT_THAT(answer.error().message, HasSubstr("mid-answer"));
  }
}

TEST(HttpClient, A_body_without_a_length_ends_with_the_connection) {
  const FakeServer server([](int peer) { say(peer, "HTTP/1.1 200 OK\r\n\r\nall of it"); });
  EXPECT_EQ(*server.ask(), "all of it");
}

TEST(HttpClient, A_reset_connection_is_an_error) {
  const FakeServer server([](int peer) {
    const linger at_once{1, 0};  // so that close() resets
    ::setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  });
  const auto answer = server.ask();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("reset"));
}

TEST(HttpClient, A_silent_server_is_an_error_after_the_time_limit) {
  const FakeServer server([](int peer) {
    char end = 0;
    EXPECT_EQ(::read(peer, &end, 1), 0);  // until the client gives up
  });
  const auto answer = server.ask(std::chrono::milliseconds(50));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded);
}

TEST(HttpClient, A_server_that_only_trickles_is_an_error_after_the_limit_for_the_whole) {
  const FakeServer server([](int peer) {
    say(peer, "HTTP/1.1 200 OK\r\n");
    const timespec step{.tv_sec = 0, .tv_nsec = 5'000'000};
    while (::send(peer, "X: y\r\n", 6, MSG_NOSIGNAL) == 6)  // progress, until the client gives up
      ::nanosleep(&step, nullptr);
  });
  const auto answer = server.ask(std::chrono::seconds(20), std::chrono::milliseconds(60));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded);
}

TEST(HttpClient, A_stop_ends_the_wait_for_an_answer) {
  std::stop_source stop;
  const FakeServer server([&](int peer) {
    stop.request_stop();
    char end = 0;
    EXPECT_EQ(::read(peer, &end, 1), 0);  // until the client gives up
  });
  const auto answer = server.ask(std::chrono::seconds(60), {}, stop.get_token());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
}

TEST(HttpClient, A_signal_does_not_end_the_wait_for_an_answer) {
  static std::atomic<bool> handled;
  handled = false;
  struct sigaction note{};
  note.sa_handler = [](int) {
    handled = true;
  };  // without SA_RESTART
  struct sigaction before{};
  ASSERT_EQ(::sigaction(SIGUSR1, &note, &before), 0);
  const pthread_t asking = ::pthread_self();
  const FakeServer server([&](int peer) {
    ::pthread_kill(asking, SIGUSR1);
    while (!handled)
      std::this_thread::yield();
    say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  });
  const auto answer = server.ask();
  ::sigaction(SIGUSR1, &before, nullptr);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(*answer, "hi");
}

}  // namespace
}  // namespace strata
