// The lake objects of one query, as files that the engine may read and write.
#include <filesystem>
#include <set>

#include "base/bytes.hpp"
#include "base/digest.hpp"
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

constexpr std::size_t kMaxPart = 255;  // bytes of a file name

// Why this key cannot be a path, or nothing. The engine sees keys as paths, so that patterns and
// partitions work.
std::string unfit(const std::string& key) {
  for (const auto& part : split(key, '/')) {
    if (part.empty()) return "has an empty part between slashes";
    if (part == "." || part == "..") return "has a part '" + part + "'";
    if (part.size() > kMaxPart) return "has a part longer than 255 bytes";
  }
  return key.contains('\0') ? "has a zero byte" : "";
}

// A file name for a part of a key that cannot be one. It keeps what it begins and ends with, so
// that the engine still knows its format and most patterns still fit; `mark` makes it unique.
std::string marked(std::string_view part, const std::string& mark) {
  if (part.empty() || part == "." || part == "..") return mark;
  constexpr std::size_t kKept = 100;
  std::size_t head = part.find('.', 1);  // the first one: ".csv.gz" is one ending
  if (head == std::string_view::npos) head = part.size();
  std::size_t tail = head;
  if (part.size() + mark.size() > kMaxPart) {
    head = kKept;
    tail = part.size() - kKept;
  }
  // Never inside of a UTF-8 sequence.
  const auto inside = [&](std::size_t at) {
    return at < part.size() && (static_cast<unsigned char>(part[at]) & 0xC0U) == 0x80;
  };
  while (inside(head))
    --head;
  while (inside(tail))
    ++tail;
  return fmt::format("{}{}{}", part.substr(0, head), mark, part.substr(tail));
}

// The path of each key, all different and none below another; the key itself wherever it can be.
// Two objects of a query may lie side by side as "a" and "a/b", which files cannot.
std::vector<std::string> paths_of(const std::vector<std::string>& keys) {
  std::set<std::string, std::less<>> taken(keys.begin(), keys.end());
  for (const auto& key : keys) {
    for (auto at = key.find('/'); at != std::string::npos; at = key.find('/', at + 1))
      taken.insert(key.substr(0, at));
  }
  std::vector<std::string> paths;
  for (const auto& key : keys) {
    const auto below = taken.lower_bound(key + "/");
    const bool is_folder = below != taken.end() && below->starts_with(key + "/");
    if (!is_folder && unfit(key).empty()) {
      paths.push_back(key);
      continue;
    }
    std::string path;
    for (int attempt = 0; path.empty() || !taken.insert(path).second; ++attempt) {
      path.clear();
      const std::string mark =
          "~" + to_hex(sha256(fmt::format("{} {}", attempt, key))).substr(0, 16);
      const auto parts = split(key, '/');
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const bool last = i + 1 == parts.size();
        if (i > 0) path += '/';
        path += !unfit(parts[i]).empty() || (last && is_folder) ? marked(parts[i], mark) : parts[i];
      }
    }
    paths.push_back(std::move(path));
  }
  return paths;
}

// The text that the engine takes for this path alone.
std::string without_pattern(const std::string& path) {
  std::string out;
  for (const char c : path)
    out += c == '*' || c == '?' || c == '[' ? fmt::format("[{}]", c) : std::string(1, c);
  return out;
}

// A call that names files gives them as the user knows them: our copies are our own affair.
void show_file_names(const std::string& folder,
                     const std::vector<std::pair<std::string, std::string>>& renamed,
                     const Statement& statement, std::vector<RewrittenSql::Change>& changes) {
  for (const auto& call : statement.file_names) {
    const std::string column = quote_sql_name(call.column);
    std::string shown = fmt::format("regexp_replace({}, {}, 's3://')", column,
                                    quote_sql_text("^.*" + folder + "/[0-9]+/"));
    if (!renamed.empty()) {
      std::string cases;
      for (const auto& [path, name] : renamed)
        cases += fmt::format(" WHEN {} THEN {}", quote_sql_text(path), quote_sql_text(name));
      shown = fmt::format("CASE {0}{1} ELSE {0} END", shown, cases);
    }
    changes.push_back(
        {call.begin, call.begin, fmt::format("(SELECT * REPLACE ({} AS {}) FROM ", shown, column)});
    changes.push_back({call.end, call.end, ")"});
  }
}

std::string literal_prefix(const std::string& pattern) {
  return pattern.substr(0, pattern.find_first_of("*?["));
}

Status make_folder_of(const std::string& path) {
  std::error_code fault;
  fs::create_directories(fs::path(path).parent_path(), fault);
  if (fault) return from_errno(fault.value(), "create", "query folder");
  return {};
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

// The keys that a path means now; the caller sees only what it may list. A key with brackets is
// legal: where there is such an object it is meant, and no pattern.
Task<Result<Warehouse::Keys>> Warehouse::keys_of(std::shared_ptr<Run> run, LakePath path) {
  if (!has_pattern(path.key)) co_return Keys{{path.key}, false};
  if (path.key.find_first_of("*?") == std::string::npos) {
    const auto same = co_await ports_.objects.list(run->caller, path.bucket, path.key, 1);
    if (same && !same->empty() && same->front().key == path.key) co_return Keys{{path.key}, false};
  }
  const std::string name = "s3://" + path.bucket + "/" + path.key;
  auto listed = co_await ports_.objects.list(run->caller, path.bucket, literal_prefix(path.key),
                                             kMaxObjects + 1);
  if (!listed) co_return listed.error().wrap(name);
  if (listed->size() > kMaxObjects) {
    co_return Error(Code::kResourceExhausted,
                    fmt::format("more than {} objects begin like '{}'; name them more closely",
                                kMaxObjects, name));
  }
  Keys keys{{}, true};
  for (const auto& object : *listed) {
    // An empty object "a/" stands for a folder with clients that show some: nothing to read.
    if (object.size == 0 && object.key.ends_with('/')) continue;
    if (matches_pattern(path.key, object.key)) keys.all.push_back(object.key);
  }
  if (keys.all.empty()) co_return not_found("no object matches '" + name + "'");
  co_return keys;
}

const LocalFile* Warehouse::Run::local_file(const LakePath& path) const {
  const std::string name = "s3://" + path.bucket + "/" + path.key;
  const auto found = std::ranges::find(request.local, name, &LocalFile::name);
  return found == request.local.end() ? nullptr : &*found;
}

QueryFacts Warehouse::Run::told() const {
  QueryFacts out{head.columns, done.rows, {}, {}, {}};
  if (!facts.empty()) out.objects_read = facts.back().objects_read;
  for (const auto& effect : done.effects) {
    if (static_cast<std::size_t>(effect.statement) + 1 != statements.size()) continue;
    out.tables_read = effect.reads;
    for (const auto& [table, from] : effect.writes)
      out.tables_written.push_back({table.schema, table.name, table.version});
  }
  return out;
}

// A file of the server's own in the query's folder, where alone the engine can read it.
Task<Result<std::string>> Warehouse::bring(std::shared_ptr<Run> run, std::size_t statement,
                                           const LocalFile& file) {
  const std::string path =
      run->folder + "/own/" + file.name.substr(std::string_view("s3://").size());
  auto link = [&]() -> Status {
    const std::string to = data_ + "/" + path;
    STRATA_TRY(make_folder_of(to));
    SystemFiles files;
    return files.exists(to) ? Status() : files.link(file.path, to);
  };
  STRATA_CO_TRY(co_await ports_.pool.run(link));
  auto& sources = run->facts[statement].sources;
  if (file.source && std::ranges::find(sources, *file.source) == sources.end())
    sources.push_back(*file.source);
  run->shown.emplace_back(path, file.name);
  co_return without_pattern(path);
}

// Puts the objects of one path into a folder of its own; the text that names them there.
Task<Result<std::string>> Warehouse::materialise_path(std::shared_ptr<Run> run,
                                                      std::size_t statement, LakePath path,
                                                      std::size_t number) {
  if (const auto* file = run->local_file(path)) co_return co_await bring(run, statement, *file);
  auto keys = co_await keys_of(run, path);
  if (!keys) co_return std::move(keys).error();
  const std::string root = run->folder + "/" + std::to_string(number) + "/";
  const auto paths = paths_of(keys->all);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string& key = keys->all[i];
    const std::string name = "s3://" + path.bucket + "/" + key;
    if (paths[i] != key) {
      const bool found = !keys->by_pattern || matches_pattern(path.key, paths[i]);
      if (!found || key.contains('\0')) {
        const std::string why = unfit(key);
        co_return invalid("",
                          "SQL cannot read '" + name + "' by this pattern: its key " +
                              (why.empty() ? "is also the beginning of another object's" : why));
      }
      run->renamed.emplace_back("s3://" + path.bucket + "/" + paths[i], name);
      run->shown.emplace_back(root + path.bucket + "/" + paths[i], name);
    }
    const std::string file = data_ + "/" + root + path.bucket + "/" + paths[i];
    auto folder = [&] {
      return make_folder_of(file);
    };
    STRATA_CO_TRY(co_await ports_.pool.run(folder));
    auto object = co_await ports_.objects.materialise(run->caller, path.bucket, key, file);
    if (!object) co_return object.error().wrap(name);
    run->facts[statement].objects_read.push_back(std::move(*object));
  }
  run->shown.emplace_back(root, "s3://");
  co_return root + path.bucket + "/" + (keys->by_pattern ? path.key : without_pattern(paths[0]));
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
    show_file_names(run->folder, run->renamed, statement, changes);
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
Result<std::vector<Warehouse::WrittenFile>> Warehouse::written_files(const Run& run) const {
  std::vector<WrittenFile> files;
  for (const auto& output : run.outputs) {
    const std::string base = data_ + "/" + output.path;
    const std::string& bucket = output.target.bucket;
    const std::string& key = output.target.key;
    std::error_code fault;
    if (!fs::is_directory(base, fault)) {
      files.push_back({output.statement, bucket, key, base});
      continue;
    }
    const auto first = static_cast<std::ptrdiff_t>(files.size());
    for (const auto& entry : fs::recursive_directory_iterator(base, fault)) {
      if (!entry.is_regular_file()) continue;
      const std::string below = fs::relative(entry.path(), base).generic_string();
      files.push_back({output.statement, bucket, key + "/" + below, entry.path().string()});
    }
    if (fault) return from_errno(fault.value(), "list", "written files");
    std::sort(files.begin() + first, files.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
  }
  return files;
}

// Each object is told of in the commit that makes it, and all that the query did in that of the
// last one: whatever dies in between, none is there without its sources.
Task<Result<void>> Warehouse::store_outputs(std::shared_ptr<Run> run) {
  auto find = [&] {
    return written_files(*run);
  };
  auto files = co_await ports_.pool.run(find);
  if (!files) co_return std::move(files).error();
  measure(*run);
  QueryOutcome outcome = outcome_of(*run);
  outcome.info.state = "finished";
  const RecordPorts ports{ports_.audit, ports_.events, ports_.lineage};
  for (const auto& file : *files) {
    const bool last = &file == &files->back();
    const bool first = !std::exchange(outcome.statements[file.statement].wrote_objects, true);
    const ObjectAccess::Also also = [&](kernel::Writer& writer, const LakeObject& made) -> Status {
      STRATA_TRY(commit_object(writer, ports, outcome, file.statement, made, first));
      return last ? commit_outcome(writer, ports, outcome) : Status();
    };
    auto stored =
        co_await ports_.objects.store(run->caller, file.bucket, file.key, file.path, also);
    if (!stored) {
      co_return stored.error().wrap("the statement ran, but s3://" + file.bucket + "/" + file.key +
                                    " could not be written");
    }
    run->facts[file.statement].wrote_objects = true;
  }
  co_return Result<void>();
}

}  // namespace strata::storage::warehouse
