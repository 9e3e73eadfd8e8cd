// The lake objects of one query, as files that the engine may read and write.
#include <filesystem>

#include "base/text.hpp"
#include "runtime/files.hpp"
#include "storage/warehouse/run.hpp"

namespace strata::storage::warehouse {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kReadSize = 256U << 10U;

class FileSource final : public ByteSource {
 public:
  FileSource(std::unique_ptr<File> file, BlockingPool& pool)
      : file_(std::move(file)),
        pool_(pool) {}
  Task<Result<std::string_view>> next() override {
    buffer_.resize(kReadSize);
    auto read = [this] {
      return file_->read_at(std::span(buffer_), offset_);
    };
    auto got = co_await pool_.run(read);
    if (!got) co_return std::move(got).error();
    offset_ += *got;
    co_return std::string_view(buffer_.data(), *got);
  }

 private:
  std::unique_ptr<File> file_;
  BlockingPool& pool_;
  std::string buffer_;
  std::uint64_t offset_ = 0;
};

// Why this key cannot be a path, or nothing. The engine sees keys as paths, so that patterns and
// partitions work.
std::string unfit(const std::string& key) {
  for (const auto& part : split(key, '/')) {
    if (part.empty()) return "has an empty part between slashes";
    if (part == "." || part == "..") return "has a part '" + part + "'";
    if (part.size() > 255) return "has a part longer than 255 bytes";
  }
  return key.contains('\0') ? "has a zero byte" : "";
}

// A call that names files gives them as the user knows them: our copies are our own affair.
void show_file_names(const std::string& folder, const Statement& statement,
                     std::vector<RewrittenSql::Change>& changes) {
  for (const auto& call : statement.file_names) {
    const std::string column = quote_sql_name(call.column);
    changes.push_back({call.begin, call.begin,
                       fmt::format("(SELECT * REPLACE (regexp_replace({0}, {1}, 's3://') AS {0}) "
                                   "FROM ",
                                   column, quote_sql_text("^.*" + folder + "/[0-9]+/"))});
    changes.push_back({call.end, call.end, ")"});
  }
}

std::string literal_prefix(const std::string& pattern) {
  return pattern.substr(0, pattern.find_first_of("*?["));
}

Status make_folder_of(const std::string& path) {
  std::error_code fault;
  fs::create_directories(fs::path(path).parent_path(), fault);
  if (!fault) return {};
  return Error(Code::kInvalidArgument,
               "two of the query's objects cannot lie side by side as files: " + fault.message());
}

}  // namespace

std::unique_ptr<ByteSource> file_source(std::unique_ptr<File> file, BlockingPool& pool) {
  return std::make_unique<FileSource>(std::move(file), pool);
}

Status remove_folder(const std::string& path) {
  std::error_code fault;
  fs::remove_all(path, fault);
  if (fault) return from_errno(fault.value(), "remove", "query folder");
  return {};
}

std::string Warehouse::Run::clean(std::string text, const std::string& data) const {
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  };
  replace(data + "/", "");
  for (const auto& [path, original] : shown)
    replace(path, original);
  if (!folder.empty()) replace(folder, "");
  return text;
}

// The keys that a path means now; the caller sees only what it may list.
Task<Result<std::vector<std::string>>> Warehouse::keys_of(std::shared_ptr<Run> run, LakePath path) {
  if (!has_pattern(path.key)) co_return std::vector<std::string>{path.key};
  const std::string name = "s3://" + path.bucket + "/" + path.key;
  auto listed = co_await ports_.objects.list(run->caller, path.bucket, literal_prefix(path.key),
                                             kMaxObjects + 1);
  if (!listed) co_return listed.error().wrap(name);
  if (listed->size() > kMaxObjects) {
    co_return Error(Code::kResourceExhausted,
                    fmt::format("more than {} objects begin like '{}'; name them more closely",
                                kMaxObjects, name));
  }
  std::vector<std::string> keys;
  for (const auto& object : *listed) {
    if (matches_pattern(path.key, object.key)) keys.push_back(object.key);
  }
  if (keys.empty()) co_return not_found("no object matches '" + name + "'");
  co_return keys;
}

// Puts the objects of one path into a folder of its own; the text that names them there.
Task<Result<std::string>> Warehouse::materialise_path(std::shared_ptr<Run> run,
                                                      std::size_t statement, LakePath path,
                                                      std::size_t number) {
  auto keys = co_await keys_of(run, path);
  if (!keys) co_return std::move(keys).error();
  const std::string root = run->folder + "/" + std::to_string(number) + "/";
  run->shown.emplace_back(root, "s3://");
  for (const auto& key : *keys) {
    const std::string name = "s3://" + path.bucket + "/" + key;
    if (const auto why = unfit(key); !why.empty()) {
      co_return invalid("", "SQL cannot read '" + name + "': its key " + why);
    }
    const std::string file = data_ + "/" + root + path.bucket + "/" + key;
    auto folder = [&] {
      return make_folder_of(file);
    };
    STRATA_CO_TRY(co_await ports_.pool.run(folder));
    auto object = co_await ports_.objects.materialise(run->caller, path.bucket, key, file);
    if (!object) co_return object.error().wrap(name);
    run->facts[statement].objects_read.push_back(std::move(*object));
  }
  co_return root + path.bucket + "/" + path.key;
}

// Where COPY ... TO writes before its files become objects; the text that names that place.
Task<Result<std::string>> Warehouse::prepare_output(std::shared_ptr<Run> run, std::size_t statement,
                                                    LakePath target, std::size_t number) {
  const std::string name = "s3://" + target.bucket + "/" + target.key;
  const std::string root = run->folder + "/out" + std::to_string(number) + "/";
  const std::string path = root + target.key.substr(target.key.rfind('/') + 1);
  const std::string why = path == root ? "ends with a slash" : unfit(target.key);
  if (!why.empty()) co_return invalid("", "SQL cannot write '" + name + "': its key " + why);
  // Asked before the work, so that a missing right or bucket is known before the statement has run.
  auto reachable = co_await ports_.objects.list(run->caller, target.bucket, target.key, 1);
  if (!reachable) co_return reachable.error().wrap("s3://" + target.bucket);
  auto folder = [&] {
    return make_folder_of(data_ + "/" + path);
  };
  STRATA_CO_TRY(co_await ports_.pool.run(folder));
  run->shown.emplace_back(path, name);
  run->outputs.push_back({statement, target, path});
  co_return path;
}

// Makes the query's folder with the objects that the script reads, and the texts that the engine
// gets. Every object is asked of the lake as the caller.
Task<Result<void>> Warehouse::materialise(std::shared_ptr<Run> run) {
  std::size_t number = 0;
  for (std::size_t index = 0; index < run->statements.size(); ++index) {
    const auto& statement = run->statements[index];
    std::vector<RewrittenSql::Change> changes;
    std::vector<LakePath> paths = statement.reads;
    if (statement.lake_target) paths.push_back(*statement.lake_target);
    for (std::size_t i = 0; i < paths.size(); ++i) {
      auto text = i < statement.reads.size()
                      ? co_await materialise_path(run, index, paths[i], number++)
                      : co_await prepare_output(run, index, paths[i], number++);
      if (!text) {
        Error error = std::move(text).error();
        error.field = place_in(run->request.sql, paths[i].begin);
        co_return error;
      }
      changes.push_back({paths[i].begin, paths[i].end, quote_sql_text(*text)});
    }
    show_file_names(run->folder, statement, changes);
    std::sort(changes.begin(), changes.end(),
              [](const auto& a, const auto& b) { return a.begin < b.begin; });
    run->texts.emplace_back(run->request.sql, statement.begin, statement.end, changes);
  }
  auto folder = [&] {
    return make_folder_of(data_ + "/" + run->folder + "/x");
  };
  STRATA_CO_TRY(co_await ports_.pool.run(folder));
  co_return Result<void>();
}

// COPY ... TO wrote files, or folders of them: they become objects once the script has committed.
Task<Result<void>> Warehouse::store_outputs(std::shared_ptr<Run> run) {
  for (const auto& output : run->outputs) {
    const std::string base = data_ + "/" + output.path;
    std::vector<std::pair<std::string, std::string>> files;  // path, key
    auto find = [&]() -> Status {
      std::error_code fault;
      if (!fs::is_directory(base, fault)) {
        files.emplace_back(base, output.target.key);
        return {};
      }
      for (const auto& entry : fs::recursive_directory_iterator(base, fault)) {
        if (!entry.is_regular_file()) continue;
        files.emplace_back(
            entry.path().string(),
            output.target.key + "/" + fs::relative(entry.path(), base).generic_string());
      }
      if (fault) return from_errno(fault.value(), "list", "written files");
      return {};
    };
    STRATA_CO_TRY(co_await ports_.pool.run(find));
    std::sort(files.begin(), files.end());
    for (const auto& [path, key] : files) {
      auto stored = co_await ports_.objects.store(run->caller, output.target.bucket, key, path);
      if (!stored) {
        co_return stored.error().wrap("the statement ran, but s3://" + output.target.bucket + "/" +
                                      key + " could not be written");
      }
      run->facts[output.statement].objects_written.push_back(std::move(*stored));
    }
  }
  co_return Result<void>();
}

}  // namespace strata::storage::warehouse
