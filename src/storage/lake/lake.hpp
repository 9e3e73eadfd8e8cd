#pragma once

#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "runtime/byte_source.hpp"
#include "runtime/clock.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "storage/lake/objects.hpp"

namespace strata::storage::lake {

using kernel::Caller;

// The object store. Bytes lie in a BlobStore, names in records; an object exists from the moment
// its record commits.
//
// Promises: an acknowledged put, copy, delete or completed upload survives power loss; a reader
// sees one whole version, never a mix; of N conditional writers to one key exactly one wins.
// Listing is ordered by UTF-8 bytes and costs O(page). What a task reads and writes stands in the
// lineage graph. Owns: buckets (their names are unique over
// all projects), objects, uploads, and the space of their blobs. Each change publishes
// "object.created" or "object.removed" and reports the object to the lineage graph, in the same
// commit. Threads: all methods from any loop. Cost: one record commit per write, shared by all
// writers in flight; no lock. Errors of all methods: kPermissionDenied when the caller lacks
// lake:read or lake:write, or the bucket is another project's; kNotFound with field "bucket", "key"
// or "upload_id"; kConflict with field "path" for what the guard refuses. A door
// maps (code, field) to its protocol's own words.
class Lake {
 public:
  static constexpr std::uint64_t kMinPart = 5ULL << 20;  // all but the last
  static constexpr int kMaxParts = 10'000;

  struct Ports {
    kernel::Records& records;
    BlobStore& blobs;
    BlockingPool& pool;
    kernel::Audit& audit;
    kernel::EventBus& events;
    kernel::Lineage& lineage;
    const Clock& clock;
    Random& random;
  };
  explicit Lake(Ports ports);
  ~Lake();
  // Set before the first call of any other method.
  void set_guard(Guard guard) { guard_ = std::move(guard); }
  static std::span<const kernel::Migration> migrations();

  struct Checked {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
    std::uint64_t orphans = 0;  // files that no record names; a server removes them by itself
  };
  struct CheckListener {
    std::function<void(std::string)> found;  // one sentence for each thing that is wrong
    std::function<void(std::uint64_t done, std::uint64_t all)> progress;  // bytes
  };
  // Reads every object and compares it with its digest. For records and blobs that no server
  // changes meanwhile; itself it changes nothing. Blocks. Errors: what cannot be read at all.
  static Result<Checked> check(kernel::Records& records, BlobStore& store,
                               const CheckListener& listener);

  // Errors: kInvalidArgument (not a name by the S3 rules), kAlreadyExists (yours: field "bucket",
  // else "owner").
  Task<Result<BucketInfo>> create_bucket(const Caller& caller, std::string name);
  // Unfinished uploads go with it. Errors: kConflict when it holds objects.
  Task<Status> delete_bucket(const Caller& caller, std::string name);
  Task<Result<BucketInfo>> bucket(const Caller& caller, std::string name);
  Task<Result<std::vector<BucketInfo>>> buckets(const Caller& caller);  // by name

  // Stores `body`, reading it once and hashing as it goes; nothing is visible unless all of it
  // arrived and was as expected. Errors: kPreconditionFailed (`when` does not hold at commit),
  // kInvalidArgument (no place in the tree), kChecksumMismatch, kNoSpace, and what the body
  // reports. Spec: Amazon S3 API, PutObject.
  Task<Result<ObjectInfo>> put(const Caller& caller, const ObjectName& name, ByteSource& body,
                               PutOptions options);
  // Errors: kNotModified, kPreconditionFailed, kOutOfRange (field "range" or "part").
  Task<Result<OpenObject>> get(const Caller& caller, const ObjectName& name, GetOptions options);
  // As get(), without opening the bytes.
  Task<Result<OpenObject>> head(const Caller& caller, const ObjectName& name, GetOptions options);
  // The bytes of an opened object piece by piece.
  std::unique_ptr<ByteSource> read(OpenObject object);
  // Makes the object's bytes the new local file `path`, by hard link where that can be. Errors: as
  // get().
  Task<Result<ObjectInfo>> materialise(const Caller& caller, const ObjectName& name,
                                       std::string path);

  Task<Result<Listing>> list(const Caller& caller, std::string bucket, ListOptions options);
  // True when there was one. Removing what is not there succeeds. Errors: kPreconditionFailed.
  Task<Result<bool>> remove(const Caller& caller, const ObjectName& name, Conditions when);
  // All in one commit; the outcome of each, in their order. One that is refused holds back no
  // other.
  Task<Result<std::vector<Status>>> remove_many(const Caller& caller, std::string bucket,
                                                std::vector<Removal> removals);
  // Copies without moving the bytes of large blobs. Errors: as get() of the source and put() of the
  // target.
  Task<Result<ObjectInfo>> copy(const Caller& caller, const ObjectName& source,
                                const ObjectName& target, CopyOptions options);
  Task<Result<Pairs>> tags(const Caller& caller, const ObjectName& name);
  Task<Status> set_tags(const Caller& caller, const ObjectName& name, Pairs tags);

  Task<Result<UploadInfo>> create_upload(const Caller& caller, const ObjectName& name,
                                         UploadOptions options);
  // A part stored again replaces the former. Errors: as put(), kInvalidArgument (field
  // "part_number").
  Task<Result<PartInfo>> put_part(const Caller& caller, const ObjectName& name, std::string upload,
                                  int number, ByteSource& body, Expected expected);
  // Moves no byte: the object is the list of its parts. Asked again after it succeeded, it succeeds
  // with the same answer. Errors: kInvalidArgument with field "parts" (unknown or changed),
  // "parts.order" or "parts.size"; as put().
  Task<Result<ObjectInfo>> complete_upload(const Caller& caller, const ObjectName& name,
                                           std::string upload, CompleteOptions options);
  Task<Status> abort_upload(const Caller& caller, const ObjectName& name, std::string upload);
  struct Parts {
    UploadInfo upload;
    std::vector<PartInfo> parts;
    bool truncated = false;
  };
  Task<Result<Parts>> parts(const Caller& caller, const ObjectName& name, std::string upload,
                            int after, std::size_t limit);
  struct Uploads {
    std::vector<UploadInfo> uploads;
    std::vector<std::string> prefixes;
    bool truncated = false;
    std::string next_key, next_id;
  };
  Task<Result<Uploads>> uploads(const Caller& caller, std::string bucket, ListOptions options,
                                std::string after_id);

  // Gives dead space back until stopped: leftovers of a crash once, then emptied and mostly dead
  // packs. Await on a loop.
  Task<void> keep_tidy(std::stop_token stop);
  // One round of it, with or without the leftovers; the number of packs and files given back.
  Task<Result<std::size_t>> tidy(bool leftovers, std::stop_token stop);

 private:
  struct Received;
  struct Stored;
  Task<Result<Received>> receive(ByteSource& body, Expected expected,
                                 std::vector<ChecksumKind> kinds, std::string owner);
  Task<Result<OpenObject>> open_object(const Caller& caller, const ObjectName& name,
                                       GetOptions options, bool with_bytes);
  Result<ObjectInfo> commit_object(kernel::Writer& writer, const Caller& caller,
                                   const ObjectName& name, Stored stored, const Conditions& when);
  Result<bool> remove_object(kernel::Writer& writer, const Caller& caller, std::int64_t bucket,
                             const ObjectName& name, const Conditions& when);
  Result<ObjectInfo> assemble(kernel::Writer& writer, const Caller& caller, const ObjectName& name,
                              const std::string& upload, const CompleteOptions& options);
  Task<Result<bool>> carry_over(const std::vector<BlobRef>& from, std::string owner,
                                Received& copied, std::vector<BlobRef>& to);
  Task<Result<OpenObject>> get_in_task(const Caller& caller, const ObjectName& name,
                                       GetOptions options);
  void give_back(kernel::Writer& writer, std::vector<BlobRef> freed);
  Task<Status> compact(std::uint64_t pack, std::stop_token stop);

  Ports ports_;
  std::unique_ptr<class TaskUses> task_uses_;
  Guard guard_ = [](auto&&...) {
    return Status();
  };
  Signal stop_tidying_;
};

}  // namespace strata::storage::lake
