#include <cstddef>
#include <cstdint>
#include <set>

#include "doors/http/connection_testing.hpp"
#include "doors/http2/http2.hpp"
#include "doors/http2/session_testing.hpp"
#include "engines/sqlite/sqlite_records.hpp"
#include "runtime/scope.hpp"

namespace {

using namespace strata;
using namespace strata::doors::http2;
using std::chrono::seconds;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// A server of one public route.
class World {
 public:
  World() { static_cast<void>(router_.add(door_).ok()); }

  std::string serve(std::string_view bytes, std::size_t step) {
    std::vector<PacedTransport::Piece> pieces = {{seconds(0), std::string(kPreface)}};
    for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size())))
      pieces.push_back({seconds(0), std::string(bytes.substr(0, step))});
    ManualClock clock{Instant{1'000'000}};
    PacedTransport peer(clock, std::move(pieces), true);
    http::Pipeline pipeline(router_, identity_, bodies_, clock, random_, metrics_, "http");
    const std::atomic<bool> stopping{false};
    const http::ConnectionContext context{pipeline,    pool_,       clock,
                                          stopping,    seconds(10), seconds(75),
                                          seconds(30), "localhost", false};
    http::LiveConnection live;
    TaskScope scope;
    scope.spawn(loops_.at(0), doors::http2::serve(peer, "peer", context, {}, live));
    scope.join();
    return peer.answer;
  }

 private:
  ManualClock clock_{Instant{}};
  SystemRandom random_;
  metrics::Registry metrics_;
  http::BodyMemory bodies_{1 << 20, metrics_};
  std::unique_ptr<engines::sqlite::SqliteRecords> records_ =
      *engines::sqlite::SqliteRecords::open(":memory:", 1);
  kernel::Identity identity_{*records_, clock_, random_, "key", [](auto&&...) {
                               return Status();
                             }};
  http::SizeDoor door_;
  http::Router router_;
  BlockingPool pool_{1};
  LoopGroup loops_{1};
};

}  // namespace

// The first byte says into what pieces the rest is cut; the preface goes before. Whatever comes,
// the connection ends with its peer, and what it sent are whole frames, the first one its settings,
// with nothing of a stream behind its end.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint8_t kData = 0, kHeaders = 1, kSettings = 4, kEndStream = 1;
  constexpr std::size_t kLargest = 16384;
  if (size == 0) return 0;
  static World world;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  bool whole = false;
  const auto frames = frames_in(world.serve(bytes, 1 + data[0] * 16U), whole);
  require(whole && !frames.empty() && frames.front().type == kSettings);
  std::set<std::uint32_t> ended;
  for (const auto& one : frames) {
    require(one.payload.size() <= kLargest);
    if (one.type != kData && one.type != kHeaders) continue;
    require(one.stream % 2 == 1 && !ended.contains(one.stream));
    if ((one.flags & kEndStream) != 0) ended.insert(one.stream);
  }
  return 0;
}
