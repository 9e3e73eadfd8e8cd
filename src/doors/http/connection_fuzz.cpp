#include <cstddef>
#include <cstdint>

#include "doors/http/connection_testing.hpp"
#include "engines/sqlite/sqlite_records.hpp"

namespace {

using namespace strata;
using namespace strata::http;

// A server of one public route; nothing of it is kept from one connection to the next.
class World {
 public:
  World() { static_cast<void>(router_.add(door_).ok()); }

  std::string serve(std::string_view bytes, std::size_t step) {
    std::vector<ScriptedTransport::Piece> pieces;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size())))
      pieces.push_back({std::chrono::milliseconds(0), std::string(bytes.substr(0, step))});
    ManualClock clock{Instant{}};
    SeededRandom random{1};
    ScriptedTransport peer(clock, std::move(pieces), true);
    Pipeline pipeline(router_, identity_, bodies_, clock, random, metrics_, "http");
    const std::atomic<bool> stopping{false};
    const ConnectionContext context{pipeline,
                                    pool_,
                                    clock,
                                    stopping,
                                    std::chrono::seconds(10),
                                    std::chrono::seconds(75),
                                    std::chrono::seconds(30),
                                    "localhost",
                                    false};
    LiveConnection live;
    sync_wait(serve_connection(peer, "peer", context, live));
    return peer.answer;
  }

 private:
  ManualClock clock_{Instant{}};
  SystemRandom random_;
  metrics::Registry metrics_;
  BodyMemory bodies_{1 << 20, metrics_};
  std::unique_ptr<engines::sqlite::SqliteRecords> records_ =
      *engines::sqlite::SqliteRecords::open(":memory:", 1);
  kernel::Identity identity_{*records_, clock_, random_, "key", [](auto&&...) {
                               return Status();
                             }};
  SizeDoor door_;
  Router router_;
  BlockingPool pool_{1};
};

// Without a last refusal of a head: one that breaks off is seen to be wrong a little earlier or
// later.
std::string answered(std::string answer) {
  const std::size_t last = answer.rfind("HTTP/1.1 4");
  if (last != std::string::npos && answer.find("X-Request-Id", last) == std::string::npos)
    answer.resize(last);
  return answer;
}

}  // namespace

// The first byte says into what pieces the rest is cut: a stream of bytes means the same requests,
// and gets the same answers, however the network cuts it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static World world;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = world.serve(bytes, std::max<std::size_t>(bytes.size(), 1));
  const std::string cut = world.serve(bytes, 1 + data[0] % 32U);
  if (answered(whole) != answered(cut)) __builtin_trap();
  if (!whole.empty() && !whole.starts_with("HTTP/1.1 ")) __builtin_trap();
  return 0;
}
