#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <nghttp2/nghttp2.h>

#include "doors/http/connection.hpp"
#include "doors/http2/stream.hpp"
#include "runtime/scope.hpp"

namespace strata::doors::http2 {

// One connection: nghttp2 for its frames, one coroutine that reads, one that writes and one for
// each stream, all on the connection's loop.
class Session {
 public:
  static constexpr std::size_t kMaxStreams = 128;
  // Streams whose handlers have not ended. A client may begin the next stream as soon as it has
  // seen the end of one, before the handler of that ends; who only resets streams is bounded.
  static constexpr std::size_t kMaxHandled = 2 * kMaxStreams;
  static constexpr std::size_t kMaxHead = 32 * 1024;
  static constexpr std::int32_t kStreamWindow = 256 * 1024;
  static constexpr std::int32_t kConnectionWindow = 1024 * 1024;

  Session(http::Transport& transport, std::string peer, const http::ConnectionContext& context);
  ~Session();
  Session(const Session&) = delete;

  Task<void> run(std::string begun);
  // Lets what was begun finish and takes nothing new.
  void drain();

 private:
  struct Callbacks;  // what nghttp2 calls

  void feed(std::string_view bytes);
  Task<void> write_all();
  Task<void> handle(std::shared_ptr<Stream> stream);
  Status complete(Stream& stream) const;
  Task<void> answer(Stream& stream, http::Response& response);
  bool submit(Stream& stream, const http::Response& response, bool with_body);
  void submit_trailers(Stream& stream);
  Task<void> send_piece(Stream& stream, std::string_view piece, bool last);
  Task<void> send_file(Stream& stream, http::FileSlice& slice);
  Task<void> send_source(Stream& stream, ByteSource& source);
  void reset(const Stream& stream, std::uint32_t code);
  void tick();
  void say_last_word();
  // Asks a peer that has been silent whether it is still there, and breaks with one that is not.
  void look_for_peer(SteadyTime now);
  // Counts a frame that costs the peer less than us.
  void count_cheap_frame();

  http::Transport& transport_;
  const std::string peer_;
  const http::ConnectionContext& context_;
  Loop& loop_;
  TaskScope scope_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, std::shared_ptr<Stream>> streams_;  // open ones
  std::size_t handled_ = 0;                                  // whose handlers have not ended
  Gate work_;                                                // something may be to be written
  Gate ended_;                                               // a coroutine has ended
  bool writes_ = false;
  bool dead_ = false;
  bool finished_ = false;  // all is said; only the peer's end is waited for
  bool drains_ = false;
  bool last_word_ = false;
  SteadyTime head_began_{};  // of the head that is not complete; zero when there is none
  SteadyTime active_at_;     // when there was a stream last
  SteadyTime heard_at_;      // when the peer sent something last
  bool asked_ = false;       // whether it is there, since then
  SteadyTime finished_at_{};
  SteadyTime drains_since_{};
  double cheap_left_;
  SteadyTime cheap_at_;
  std::shared_ptr<Loop::Timer> timer_;
};

}  // namespace strata::doors::http2
