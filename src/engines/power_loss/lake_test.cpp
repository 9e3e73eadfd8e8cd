// The lake on a disk that loses what was not synced: everything that was acknowledged is there,
// nothing is there that nobody wrote, wholly. Seen to fail, within two seeds, with each of these
// STRATA_CUT_LIE: .pack, packs/ (content and names of packs), /incoming (content of large files),
// lake/files (names of large files), records.db-wal and records.db.

#include "storage/lake/lake.hpp"

#include <map>

#include "base/bytes.hpp"
#include "engines/files/file_blob_store.hpp"
#include "engines/power_loss/lives_testing.hpp"
#include "engines/power_loss/power_loss_vfs.hpp"
#include "engines/sqlite/sqlite_records.hpp"

namespace strata::engines::power_loss {
namespace {

using namespace storage::lake;  // NOLINT(google-build-using-namespace): the room under test

constexpr std::size_t kClients = 3;

// One life of the server's lower half.
struct House {
  explicit House(PowerLossFiles& the_disk, std::uint64_t seed)
      : disk(the_disk),
        vfs(the_disk),
        random(seed) {
    prepare(disk);
    auto opened = sqlite::SqliteRecords::open(kData + "/records.db", 2, vfs.name());
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    records = *std::move(opened);
    for (const auto steps : {Lake::migrations(), kernel::Audit::migrations(),
                             kernel::EventBus::migrations(), kernel::Lineage::migrations()}) {
      const auto migrated = records->migrate(steps);
      EXPECT_TRUE(migrated.ok()) << migrated.error().message;
    }
    audit.emplace(*records, clock);
    events.emplace(*records, clock);
    lineage.emplace(*records, clock);
    blobs.emplace(disk, random, *pool, kData + "/lake");
    blobs->set_pack_limit(100'000);
    EXPECT_TRUE(blobs->start().ok());
    lake.emplace(Lake::Ports{*records, *blobs, *pool, *audit, *events, *lineage, clock, random});
    caller.user_name = "ada";
    caller.project = ProjectId("default");
    caller.permissions.set();
  }
  ~House() {
    lake.reset();
    pool.reset();
  }

  PowerLossFiles& disk;
  PowerLossVfs vfs;
  SystemClock clock;
  SeededRandom random;
  std::unique_ptr<sqlite::SqliteRecords> records;
  std::optional<kernel::Audit> audit;
  std::optional<kernel::EventBus> events;
  std::optional<kernel::Lineage> lineage;
  std::optional<files::FileBlobStore> blobs;
  std::unique_ptr<BlockingPool> pool = std::make_unique<BlockingPool>(4);
  std::optional<Lake> lake;
  kernel::Caller caller;
};

struct Upload {
  std::string id, key, digest;
  std::vector<PartReference> parts;
};

// What outlives the disk's cuts: the memory of the lake's clients.
struct Memory {
  bool bucket = false;
  std::array<std::map<std::string, Place>, kClients> places;
  std::array<std::optional<Upload>, kClients> uploads;  // all of whose parts were acknowledged
};

std::string some_bytes(Dice& dice) {
  const std::size_t sizes[] = {0, 10, 3000, 40'000, 150'000, 300'000};
  return dice.bytes(sizes[dice.below(std::size(sizes))]);
}

// One of the things that clients do.
class Client {
 public:
  Client(House& house, Memory& memory, std::size_t number, Dice& dice)
      : house_(house),
        places_(memory.places[number]),
        upload_(memory.uploads[number]),
        dice_(dice),
        prefix_(std::to_string(number) + "/k") {}

  void step() {
    switch (dice_.below(12)) {
      case 0:
        return remove();
      case 1:
        return copy();
      case 2:
      case 3:
        return upload_ ? complete() : begin_upload();
      case 4:
        return create_only();
      case 5:
        return read();
      default:
        return put();
    }
  }

 private:
  ObjectName name(const std::string& key) { return *ObjectName::make("bucket", key); }
  std::string some_key() { return prefix_ + std::to_string(dice_.below(8)); }
  void note(const std::string& key, const std::string& value, bool answered) {
    if (answered && !house_.disk.is_off()) places_[key].acknowledge(value);
  }

  void put() {
    const auto key = some_key();
    const auto body = some_bytes(dice_);
    TextSource source(body);
    places_[key].intend(content_digest(body));
    const auto stored = sync_wait(house_.lake->put(house_.caller, name(key), source, {}));
    note(key, content_digest(body), stored.ok());
  }

  void create_only() {
    const auto key = some_key();
    const auto body = some_bytes(dice_);
    TextSource source(body);
    PutOptions options;
    options.when.if_none_match = "*";
    const auto* const certain = places_[key].certain();
    const bool free = certain != nullptr && *certain == kAbsent;
    const bool taken = certain != nullptr && *certain != kAbsent;
    if (!taken) places_[key].intend(content_digest(body));
    const auto stored =
        sync_wait(house_.lake->put(house_.caller, name(key), source, std::move(options)));
    if (house_.disk.is_off()) return;
    EXPECT_FALSE(taken && stored.ok()) << key;
    EXPECT_FALSE(free && !stored.ok()) << key;
    if (stored) places_[key].acknowledge(content_digest(body));
  }

  void remove() {
    const auto key = some_key();
    places_[key].intend(kAbsent);
    const auto gone = sync_wait(house_.lake->remove(house_.caller, name(key), {}));
    note(key, kAbsent, gone.ok());
  }

  void copy() {
    const auto from = some_key();
    const auto to = some_key();
    const auto* const certain = places_[from].certain();
    if (certain == nullptr || *certain == kAbsent) return;
    const std::string digest = *certain;
    places_[to].intend(digest);
    const auto copied = sync_wait(house_.lake->copy(house_.caller, name(from), name(to), {}));
    note(to, digest, copied.ok());
  }

  void begin_upload() {
    Upload upload;
    upload.key = some_key();
    const auto target = name(upload.key);
    const auto created = sync_wait(house_.lake->create_upload(house_.caller, target, {}));
    if (!created) return;
    upload.id = created->id;
    std::vector<std::string> bodies;
    if (dice_.one_in(8)) bodies.push_back(dice_.bytes(1000));
    while (!bodies.empty() && bodies.front().size() < Lake::kMinPart)
      bodies.front() += bodies.front();
    bodies.push_back(some_bytes(dice_));
    std::string whole;
    for (const auto& body : bodies) {
      const int number = static_cast<int>(upload.parts.size()) + 1;
      TextSource source(body);
      const auto part =
          sync_wait(house_.lake->put_part(house_.caller, target, upload.id, number, source, {}));
      if (!part) return;
      upload.parts.push_back({number, part->etag, {}});
      whole += body;
    }
    upload.digest = content_digest(whole);
    if (!house_.disk.is_off()) upload_ = std::move(upload);
  }

  // Perhaps in another life than the one that stored the parts.
  void complete() {
    const auto upload = *upload_;
    CompleteOptions options;
    options.parts = upload.parts;
    places_[upload.key].intend(upload.digest);
    const auto made = sync_wait(
        house_.lake->complete_upload(house_.caller, name(upload.key), upload.id, options));
    if (house_.disk.is_off()) {
      upload_.reset();  // nobody knows whether it is still there
      return;
    }
    EXPECT_TRUE(made.ok()) << made.error().message;
    places_[upload.key].acknowledge(upload.digest);
    upload_.reset();
  }

  void read() {
    const auto key = some_key();
    const auto* const certain = places_[key].certain();
    const auto found = digest_of(house_, key);
    EXPECT_TRUE(certain == nullptr || found == *certain) << key;
  }

 public:
  static std::string digest_of(House& house, const std::string& key) {
    auto object = sync_wait(house.lake->get(house.caller, *ObjectName::make("bucket", key), {}));
    if (!object && object.error().code == Code::kNotFound) return kAbsent;
    if (!object) return object.error().message;
    const auto info = object->info;
    const auto body = sync_wait(read_all(*house.lake->read(*std::move(object)), 1ULL << 30));
    if (!body) return body.error().message;
    const auto digest = content_digest(*body);
    EXPECT_EQ(body->size(), info.size) << key;
    EXPECT_TRUE(!info.part_sizes.empty() || digest == info.digest) << key;
    return digest;
  }

 private:
  House& house_;
  std::map<std::string, Place>& places_;
  std::optional<Upload>& upload_;
  Dice& dice_;
  const std::string prefix_;
};

void check(House& house, Memory& memory) {
  const auto listed = sync_wait(house.lake->list(house.caller, "bucket", {}));
  ASSERT_TRUE(listed.ok()) << listed.error().message;
  std::set<std::string> names;
  std::uint64_t bytes = 0;
  for (const auto& object : listed->objects) {
    names.insert(object.key);
    bytes += object.size;
  }
  const auto bucket = sync_wait(house.lake->bucket(house.caller, "bucket"));
  EXPECT_EQ(bucket->objects, names.size());
  EXPECT_EQ(bucket->bytes, bytes);
  for (const auto& places : memory.places) {
    for (const auto& [key, place] : places) {
      const auto found = Client::digest_of(house, key);
      EXPECT_TRUE(place.may_be(found)) << key << " holds " << found;
      EXPECT_EQ(names.erase(key) == 1, found != kAbsent) << key;
    }
  }
  EXPECT_TRUE(names.empty()) << "an object that nobody wrote: " << *names.begin();
}

void live(PowerLossFiles& disk, Dice& dice, Memory& memory) {
  House house(disk, dice.seed());
  if (!memory.bucket) {
    const auto made = sync_wait(house.lake->create_bucket(house.caller, "bucket"));
    if (!made && made.error().field != "bucket") FAIL() << made.error().message;
    if (disk.is_off()) return;
    memory.bucket = true;
  }
  check(house, memory);
  if (dice.one_in(2)) {
    EXPECT_TRUE(sync_wait(house.lake->tidy(true, {})).ok());
    check(house, memory);
  }
  work(disk, dice, kClients, 40,
       [&](std::size_t number, Dice& own) { Client(house, memory, number, own).step(); });
}

TEST(ThePowerLostLake, Keeps_what_it_acknowledged_and_shows_nothing_torn) {
  const auto first = number_of("STRATA_CUT_FIRST", 1);
  const auto seeds = number_of("STRATA_CUT_SEEDS", 20);
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE("STRATA_CUT_FIRST=" + std::to_string(seed));
    Memory memory;
    live_and_die(seed, 6, [&](PowerLossFiles& disk, Dice& dice) { live(disk, dice, memory); });
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace strata::engines::power_loss
