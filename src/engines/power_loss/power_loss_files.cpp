#include "engines/power_loss/power_loss_files.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <utility>

namespace strata::engines::power_loss {

namespace {

// One change of a file since its last sync.
struct Change {
  std::uint64_t offset = 0;  // or the new length
  std::string bytes;
  bool resize = false;
};

void apply(std::string& content, const Change& change, std::size_t kept) {
  if (change.resize) {
    content.resize(change.offset);
    return;
  }
  content.resize(std::max<std::size_t>(content.size(), change.offset + kept));
  content.replace(change.offset, kept, change.bytes, 0, kept);
}

std::string folder_name(const std::string& path) {
  const std::size_t at = path.rfind('/');
  return at == 0 ? "/" : path.substr(0, at);
}

std::string last_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Error missing(const std::string& path) {
  return not_found("no such file: " + path);
}

}  // namespace

// A file or a directory.
struct PowerLossFiles::Node {
  bool directory = false;
  std::string content, synced;
  std::vector<Change> changes;  // from `synced` to `content`
  std::map<std::string, std::shared_ptr<Node>> names;
  // What a name stood for since the last sync of the directory, the synced state first; null: gone.
  std::map<std::string, std::vector<std::shared_ptr<Node>>> history;
};

namespace {

using Node = PowerLossFiles::Node;

// Makes the disk that a cut leaves.
class Survival {
 public:
  Survival(std::uint64_t seed, PowerLossFiles::Cut how)
      : dice_(seed),
        kill_(how == PowerLossFiles::Cut::kKill) {
    // One in four cuts each loses all that is unsynced, or keeps all; the rest are mixtures.
    const auto kind = dice_() % 4;
    if (kind == 0) fixed_ = false;
    if (kind == 1) fixed_ = true;
  }

  std::shared_ptr<Node> of(const std::shared_ptr<Node>& node) {
    if (!node) return nullptr;
    auto& copy = copies_[node.get()];
    if (copy) return copy;
    copy = std::make_shared<Node>();
    const auto made = copy;
    made->directory = node->directory;
    if (kill_) {
      as_written(*node, *made);
    } else if (node->directory) {
      for (const auto& [name, target] : node->names) {
        const auto past = node->history.find(name);
        const auto kept = past == node->history.end() ? target : state(past->second);
        if (kept) made->names[name] = of(kept);
      }
      for (const auto& [name, states] : node->history) {
        if (node->names.contains(name)) continue;
        if (const auto kept = state(states)) made->names[name] = of(kept);
      }
    } else {
      made->content = node->synced;
      for (const auto& change : node->changes)
        change_or_not(made->content, change);
      made->synced = made->content;
    }
    return made;
  }

 private:
  void as_written(const Node& node, Node& copy) {
    copy.content = node.content;
    copy.synced = node.synced;
    copy.changes = node.changes;
    for (const auto& [name, target] : node.names)
      copy.names[name] = of(target);
    for (const auto& [name, states] : node.history) {
      for (const auto& one : states)
        copy.history[name].push_back(of(one));
    }
  }

  std::shared_ptr<Node> state(const std::vector<std::shared_ptr<Node>>& states) {
    if (fixed_) return *fixed_ ? states.back() : states.front();
    return states[dice_() % states.size()];
  }

  void change_or_not(std::string& content, const Change& change) {
    const auto fate = fixed_ ? (*fixed_ ? 1U : 0U) : dice_() % 3;
    if (fate == 0) return;
    std::size_t kept = change.bytes.size();
    if (fate == 2 && kept > 0) kept = dice_() % kept;
    apply(content, change, kept);
  }

  std::mt19937_64 dice_;
  const bool kill_;
  std::optional<bool> fixed_;
  std::map<const Node*, std::shared_ptr<Node>> copies_;
};

}  // namespace

class PowerLossFiles::Handle final : public Pages {
 public:
  Handle(PowerLossFiles& disk, std::string path, std::shared_ptr<Node> node)
      : disk_(disk),
        path_(std::move(path)),
        node_(std::move(node)) {}

  Result<std::size_t> read_at(std::span<char> out, std::uint64_t offset) override {
    const std::lock_guard lock(disk_.mutex_);
    if (offset >= node_->content.size()) return std::size_t{0};
    const auto got = std::min<std::size_t>(out.size(), node_->content.size() - offset);
    std::copy_n(node_->content.data() + offset, got, out.data());
    return got;
  }
  Status append(std::string_view bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    return change({node_->content.size(), std::string(bytes), false});
  }
  Status write_at(std::string_view bytes, std::uint64_t offset) override {
    const std::lock_guard lock(disk_.mutex_);
    return change({offset, std::string(bytes), false});
  }
  Status resize(std::uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    return change({size, {}, true});
  }
  Status sync() override {
    const std::lock_guard lock(disk_.mutex_);
    if (!disk_.syncs(path_)) return {};
    for (const auto& one : node_->changes)
      apply(node_->synced, one, one.bytes.size());
    node_->changes.clear();
    return {};
  }
  Result<std::uint64_t> size() override {
    const std::lock_guard lock(disk_.mutex_);
    return std::uint64_t{node_->content.size()};
  }
  int descriptor() const override { return -1; }

 private:
  Status change(Change one) {
    apply(node_->content, one, one.bytes.size());
    node_->changes.push_back(std::move(one));
    disk_.count();
    return {};
  }

  PowerLossFiles& disk_;
  const std::string path_;
  std::shared_ptr<Node> node_;
};

PowerLossFiles::PowerLossFiles(std::uint64_t seed) : seed_(seed), root_(std::make_shared<Node>()) {
  root_->directory = true;
}
PowerLossFiles::PowerLossFiles(std::uint64_t seed, std::shared_ptr<Node> root)
    : seed_(seed),
      root_(std::move(root)) {}
PowerLossFiles::~PowerLossFiles() = default;

void PowerLossFiles::cut_after(std::uint64_t operations, Cut how, Count what) {
  const std::lock_guard lock(mutex_);
  left_ = operations;
  how_ = how;
  counted_ = what;
}

void PowerLossFiles::cut(Cut how) {
  const std::lock_guard lock(mutex_);
  how_ = how;
  if (!off_) cut_locked();
}

void PowerLossFiles::lie_about(std::string what) {
  const std::lock_guard lock(mutex_);
  lie_ = std::move(what);
}

std::unique_ptr<PowerLossFiles> PowerLossFiles::after() {
  const std::lock_guard lock(mutex_);
  auto next = std::unique_ptr<PowerLossFiles>(
      new PowerLossFiles(seed_ * 6364136223846793005ULL + 1, std::move(survivors_)));
  next->lie_ = lie_;
  return next;
}

// Called after a change, which may still survive, and before a sync, which then does not count.
void PowerLossFiles::count(bool of_names) {
  if (left_ == 0 || (counted_ == Count::kNames && !of_names)) return;
  if (--left_ == 0 && !off_) cut_locked();
}

// Whether a sync that is asked for now counts.
bool PowerLossFiles::syncs(const std::string& path) {
  count();
  return lie_.empty() || !(path.ends_with(lie_) || path.contains(lie_ + "/"));
}

void PowerLossFiles::cut_locked() {
  survivors_ = Survival(seed_, how_).of(root_);
  off_ = true;
}

std::shared_ptr<PowerLossFiles::Node> PowerLossFiles::find(const std::string& path) const {
  auto node = root_;
  std::size_t at = 1;
  while (node && at < path.size()) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto found = node->names.find(path.substr(at, end - at));
    node = found == node->names.end() ? nullptr : found->second;
    at = end + 1;
  }
  return node;
}

Result<std::shared_ptr<PowerLossFiles::Node>> PowerLossFiles::folder_of(
    const std::string& path) const {
  auto folder = find(folder_name(path));
  if (!folder || !folder->directory) return missing(folder_name(path));
  return folder;
}

// Lets the last part of `path` stand for `node`, or for nothing.
void PowerLossFiles::name(Node& folder, const std::string& path, std::shared_ptr<Node> node) {
  const auto text = last_name(path);
  const auto found = folder.names.find(text);
  auto& states = folder.history[text];
  if (states.empty()) states.push_back(found == folder.names.end() ? nullptr : found->second);
  states.push_back(node);
  if (node) {
    folder.names[text] = std::move(node);
  } else if (found != folder.names.end()) {
    folder.names.erase(found);
  }
}

Result<std::shared_ptr<PowerLossFiles::Node>> PowerLossFiles::make_file(const std::string& path,
                                                                        bool may_exist) {
  if (auto node = find(path)) {
    if (may_exist) return node;
    return Error(Code::kAlreadyExists, path + " exists");
  }
  auto folder = folder_of(path);
  if (!folder) return folder;
  auto node = std::make_shared<Node>();
  name(**folder, path, node);
  count(true);
  return node;
}

Result<std::unique_ptr<PowerLossFiles::Pages>> PowerLossFiles::open_pages(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (path.empty()) {
    return std::unique_ptr<Pages>(std::make_unique<Handle>(*this, path, std::make_shared<Node>()));
  }
  auto node = make_file(path, true);
  if (!node) return std::move(node).error();
  return std::unique_ptr<Pages>(std::make_unique<Handle>(*this, path, *std::move(node)));
}

Status PowerLossFiles::sync_names(const std::string& dir) {
  const std::lock_guard lock(mutex_);
  const auto folder = find(dir);
  if (!folder) return missing(dir);
  if (syncs(dir + "/")) folder->history.clear();
  return {};
}

Result<std::unique_ptr<File>> PowerLossFiles::open(const std::string& path) {
  const std::lock_guard lock(mutex_);
  auto node = find(path);
  if (!node) return missing(path);
  return std::unique_ptr<File>(std::make_unique<Handle>(*this, path, std::move(node)));
}

Result<std::unique_ptr<File>> PowerLossFiles::create(const std::string& path, unsigned /*mode*/) {
  const std::lock_guard lock(mutex_);
  auto node = make_file(path, false);
  if (!node) return std::move(node).error();
  return std::unique_ptr<File>(std::make_unique<Handle>(*this, path, *std::move(node)));
}

Result<std::unique_ptr<File>> PowerLossFiles::append_to(const std::string& path) {
  auto pages = open_pages(path);
  if (!pages) return std::move(pages).error();
  return std::unique_ptr<File>(*std::move(pages));
}

// One step: of its two directories a cut may find either, or both, without it.
Status PowerLossFiles::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  auto node = find(from);
  if (!node) return missing(from);
  auto source = folder_of(from);
  auto target = folder_of(to);
  if (!source) return std::move(source).error();
  if (!target) return std::move(target).error();
  name(**source, from, nullptr);
  name(**target, to, std::move(node));
  count(true);
  return {};
}

Status PowerLossFiles::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!find(path)) return {};
  const auto folder = folder_of(path);
  name(**folder, path, nullptr);
  count(true);
  return {};
}

Status PowerLossFiles::make_dir(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (find(path)) return Error(Code::kAlreadyExists, path + " exists");
  const auto folder = folder_of(path);
  if (!folder) return folder.error();
  auto node = std::make_shared<Node>();
  node->directory = true;
  name(**folder, path, std::move(node));
  count(true);
  return {};
}

Result<std::string> PowerLossFiles::read_all(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto node = find(path);
  if (!node) return missing(path);
  return node->content;
}

Result<std::vector<std::string>> PowerLossFiles::list(const std::string& dir) {
  const std::lock_guard lock(mutex_);
  const auto node = find(dir);
  if (!node || !node->directory) return missing(dir);
  std::vector<std::string> names;
  for (const auto& [text, target] : node->names)
    names.push_back(text);
  return names;
}

bool PowerLossFiles::exists(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return find(path) != nullptr;
}

Status PowerLossFiles::link(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  auto node = find(from);
  if (!node) return missing(from);
  if (find(to)) return Error(Code::kAlreadyExists, to + " exists");
  auto folder = folder_of(to);
  if (!folder) return std::move(folder).error();
  name(**folder, to, std::move(node));
  count(true);
  return {};
}

}  // namespace strata::engines::power_loss
