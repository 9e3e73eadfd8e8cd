#include <fmt/format.h>

#include "base/text.hpp"
#include "base/time.hpp"
#include "storage/lake/lake.hpp"
#include "storage/lake/rows.hpp"
#include "storage/lake/task_uses.hpp"

namespace strata::storage::lake {

using kernel::Permission;
using kernel::Reader;

namespace {

// Up to this size an answer is read where its record was found, without a further hop.
constexpr std::uint64_t kReadAtOnce = 64 * 1024;
// A name may be written anew between finding its blobs and opening them; then its new state is
// read.
constexpr int kOpenAttempts = 4;

// Only a strong tag and an exact time tell that no byte has changed.
bool still_the_same(std::string_view if_range, const ObjectInfo& info) {
  const auto named = trim(if_range);
  if (named.starts_with('"')) return named == fmt::format("\"{}\"", info.etag);
  const auto time = parse_http_date(named);
  return time && time->seconds() == info.modified.seconds();
}

Result<Window> window_of(const GetOptions& options, const ObjectInfo& info) {
  if (options.part) {
    const auto count = std::max<std::size_t>(info.part_sizes.size(), 1);
    const auto number = static_cast<std::size_t>(*options.part);
    if (*options.part < 1 || number > count) {
      return Error(Code::kOutOfRange,
                   fmt::format("part {} was asked, the object has {}", *options.part, count),
                   "part");
    }
    if (info.part_sizes.empty()) return Window{0, info.size};
    Window window{0, info.part_sizes[number - 1]};
    for (std::size_t i = 0; i + 1 < number; ++i)
      window.offset += info.part_sizes[i];
    return window;
  }
  if (options.range) return resolve(*options.range, info.size);
  return Window{0, info.size};
}

Result<std::vector<BlobSlice>> open_slices(BlobStore& blobs, const std::vector<BlobRef>& refs,
                                           Window window) {
  std::vector<BlobSlice> slices;
  std::uint64_t start = 0;
  const std::uint64_t end = window.offset + window.length;
  for (const auto& ref : refs) {
    const std::uint64_t from = std::max(start, window.offset);
    const std::uint64_t to = std::min(start + ref.size, end);
    if (from < to) {
      auto slice = blobs.open(ref);
      if (!slice) return std::move(slice).error();
      slice->offset += from - start;
      slice->length = to - from;
      slices.push_back(*std::move(slice));
    }
    start += ref.size;
  }
  return slices;
}

Status read_exactly(const BlobSlice& slice, std::uint64_t skip, std::span<char> out) {
  const auto got = slice.file->read_at(out, slice.offset + skip);
  if (!got) return got.error();
  if (*got == out.size()) return {};
  return Error(Code::kDataLoss, "a stored blob is shorter than its record says; run strata fsck");
}

// Reads the slices of an opened object on the pool, a piece at a time.
class SliceSource final : public ByteSource {
 public:
  SliceSource(BlockingPool& pool, OpenObject object) : pool_(pool), object_(std::move(object)) {}

  Task<Result<std::string_view>> next() override {
    if (!object_.bytes.empty()) {
      buffer_ = std::exchange(object_.bytes, {});
      co_return std::string_view(buffer_);
    }
    while (slice_ < object_.slices.size() && done_ == object_.slices[slice_].length) {
      object_.slices[slice_++].file.reset();
      done_ = 0;
    }
    if (slice_ == object_.slices.size()) co_return std::string_view();
    const auto& slice = object_.slices[slice_];
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, slice.length - done_)));
    const auto load = [&] {
      return read_exactly(slice, done_, buffer_);
    };
    STRATA_CO_TRY(co_await pool_.run(load));
    done_ += buffer_.size();
    co_return std::string_view(buffer_);
  }
  std::optional<std::uint64_t> length() const override { return object_.length; }

 private:
  static constexpr std::uint64_t kPiece = 256 * 1024;
  BlockingPool& pool_;
  OpenObject object_;
  std::string buffer_;
  std::size_t slice_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

std::optional<ByteRange> parse_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes=";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text = trim(text.substr(kUnit.size()));
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos)
    return std::nullopt;
  const auto first = text.substr(0, dash);
  const auto last = text.substr(dash + 1);
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    const auto value = to_int(digits);
    if (!value || *value < 0 || digits.front() == '+' || digits.front() == '-') return std::nullopt;
    return static_cast<std::uint64_t>(*value);
  };
  ByteRange range;
  if (!first.empty() && !(range.first = number(first))) return std::nullopt;
  if (!last.empty() && !(range.last = number(last))) return std::nullopt;
  if (first.empty() && last.empty()) return std::nullopt;
  if (range.first && range.last && *range.last < *range.first) return std::nullopt;
  return range;
}

Task<Result<OpenObject>> Lake::open_object(const Caller& caller, const ObjectName& name,
                                           GetOptions options, bool with_bytes) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  const auto look = [&](Reader& reader) -> Result<OpenObject> {
    const auto bucket = find_bucket(reader, caller, name.bucket());
    if (!bucket) return bucket.error();
    auto row = find_object(reader, *bucket, name.key());
    if (!row) return std::move(row).error();
    if (!*row) return no_such_key(name.key());
    STRATA_TRY(check_read(options.when, (*row)->info));
    GetOptions asked = options;
    if (asked.if_range && !still_the_same(*asked.if_range, (*row)->info)) asked.range.reset();
    const auto window = window_of(asked, (*row)->info);
    if (!window) return window.error();
    OpenObject out;
    out.partial = asked.range.has_value() || asked.part.has_value();
    out.offset = window->offset;
    out.length = window->length;
    out.info = std::move((*row)->info);
    if (!with_bytes) return out;
    auto slices = open_slices(ports_.blobs, (*row)->blobs, *window);
    if (!slices) {
      // Told apart from a missing key by the code, which open() gives to nothing else.
      return slices.error().code == Code::kNotFound
                 ? Error(Code::kUnavailable, slices.error().message)
                 : slices.error();
    }
    if (out.length <= kReadAtOnce) {
      out.bytes.resize(static_cast<std::size_t>(out.length));
      std::size_t at = 0;
      for (const auto& slice : *slices) {
        const auto part = std::span(out.bytes).subspan(at, static_cast<std::size_t>(slice.length));
        STRATA_TRY(read_exactly(slice, 0, part));
        at += part.size();
      }
    } else {
      out.slices = *std::move(slices);
    }
    return out;
  };
  for (int attempt = 1;; ++attempt) {
    auto opened = co_await ports_.records.read(look);
    if (opened || opened.error().code != Code::kUnavailable) co_return opened;
    if (attempt == kOpenAttempts) {
      co_return Error(Code::kDataLoss,
                      fmt::format("the bytes of '{}' are missing: {}; run strata fsck",
                                  name.to_string(), opened.error().message));
    }
  }
}

Task<Result<OpenObject>> Lake::get(const Caller& caller, const ObjectName& name,
                                   GetOptions options) {
  if (caller.task.empty()) return open_object(caller, name, std::move(options), true);
  return get_in_task(caller, name, std::move(options));
}

// Before the task sees a byte: what it made of the object must not outlive the knowledge of it.
Task<Result<OpenObject>> Lake::get_in_task(const Caller& caller, const ObjectName& name,
                                           GetOptions options) {
  auto opened = co_await open_object(caller, name, std::move(options), true);
  if (!opened) co_return opened;
  const auto source = lineage_ref(name, opened->info.digest);
  if (task_uses_->has(caller.task, source)) co_return opened;
  const auto report = [&](kernel::Writer& writer) {
    return ports_.lineage.report(writer, caller.project,
                                 {source, {"task", caller.task, ""}, "read", ports_.clock.now()});
  };
  STRATA_CO_TRY(co_await ports_.records.write(report));
  task_uses_->add(caller.task, source);
  co_return opened;
}

Task<Result<OpenObject>> Lake::head(const Caller& caller, const ObjectName& name,
                                    GetOptions options) {
  return open_object(caller, name, std::move(options), false);
}

std::unique_ptr<ByteSource> Lake::read(OpenObject object) {
  return std::make_unique<SliceSource>(ports_.pool, std::move(object));
}

Task<Result<ObjectInfo>> Lake::materialise(const Caller& caller, const ObjectName& name,
                                           std::string path) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  std::vector<BlobRef> blobs;
  const auto look = [&](Reader& reader) -> Result<ObjectInfo> {
    const auto bucket = find_bucket(reader, caller, name.bucket());
    if (!bucket) return bucket.error();
    auto row = find_object(reader, *bucket, name.key());
    if (!row) return std::move(row).error();
    if (!*row) return no_such_key(name.key());
    blobs = std::move((*row)->blobs);
    return std::move((*row)->info);
  };
  for (int attempt = 1;; ++attempt) {
    auto info = co_await ports_.records.read(look);
    if (!info) co_return info;
    const auto make = [&] {
      return ports_.blobs.materialise(blobs, path);
    };
    const auto made = co_await ports_.pool.run(make);
    if (made) co_return info;
    if (made.error().code != Code::kNotFound || attempt == kOpenAttempts) co_return made.error();
  }
}

}  // namespace strata::storage::lake
