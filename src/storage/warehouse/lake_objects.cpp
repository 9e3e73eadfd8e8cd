#include "storage/warehouse/lake_objects.hpp"

#include "storage/warehouse/run.hpp"

namespace strata::storage::warehouse {

namespace {

constexpr std::size_t kPage = 1000;

std::string content_type_of(const std::string& key) {
  if (key.ends_with(".csv")) return "text/csv";
  if (key.ends_with(".json") || key.ends_with(".jsonl") || key.ends_with(".ndjson"))
    return "application/json";
  if (key.ends_with(".parquet")) return "application/vnd.apache.parquet";
  return "application/octet-stream";
}

}  // namespace

Task<Result<std::vector<LakeObject>>> LakeObjects::list(const kernel::Caller& caller,
                                                        const std::string& bucket,
                                                        const std::string& prefix,
                                                        std::size_t limit) {
  std::vector<LakeObject> out;
  lake::ListOptions options;
  options.prefix = prefix;
  while (out.size() < limit) {
    options.limit = std::min(kPage, limit - out.size());
    auto page = co_await lake_.list(caller, bucket, options);
    if (!page) co_return std::move(page).error();
    for (auto& info : page->objects)
      out.push_back({bucket, std::move(info.key), info.size, std::move(info.digest)});
    if (!page->truncated) break;
    options.after = page->next;
  }
  co_return out;
}

Task<Result<LakeObject>> LakeObjects::materialise(const kernel::Caller& caller,
                                                  const std::string& bucket, const std::string& key,
                                                  const std::string& path) {
  const auto name = lake::ObjectName::make(bucket, key);
  if (!name) co_return name.error();
  auto info = co_await lake_.materialise(caller, *name, path);
  if (!info) co_return std::move(info).error();
  co_return LakeObject{bucket, key, info->size, std::move(info->digest)};
}

Task<Result<LakeObject>> LakeObjects::store(const kernel::Caller& caller, const std::string& bucket,
                                            const std::string& key, const std::string& path,
                                            const Also& also) {
  const auto name = lake::ObjectName::make(bucket, key);
  if (!name) co_return name.error();
  auto open = [&] {
    return SystemFiles().open(path);
  };
  auto file = co_await pool_.run(open);
  if (!file) co_return std::move(file).error();
  const auto source = file_source(std::move(*file), pool_);
  lake::PutOptions options;
  options.facts.content_type = content_type_of(key);
  options.also = [&](kernel::Writer& writer, const lake::ObjectInfo& made) {
    return also(writer, {bucket, key, made.size, made.digest});
  };
  auto info = co_await lake_.put(caller, *name, *source, std::move(options));
  if (!info) co_return std::move(info).error();
  co_return LakeObject{bucket, key, info->size, std::move(info->digest)};
}

}  // namespace strata::storage::warehouse
