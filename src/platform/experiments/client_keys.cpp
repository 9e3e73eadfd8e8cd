#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "platform/experiments/flags.hpp"

namespace strata::platform::experiments {

using kernel::Caller;
using kernel::Writer;

namespace {

constexpr std::size_t kMaxName = 100;
constexpr std::size_t kKeyLength = 20;

}  // namespace

Task<Result<ClientKey>> Flags::create_key(const Caller& caller, std::string name, bool remote) {
  if (name.empty() || name.size() > kMaxName || !is_utf8(name))
    co_return invalid("name",
                      fmt::format("name: say in 1 to {} bytes who will use the key", kMaxName));
  ClientKey made{.id = ports_.random.hex(8),
                 .key = "sdk-" + ports_.random.alphanumeric(kKeyLength),
                 .name = std::move(name),
                 .project = caller.project,
                 .remote = remote,
                 .created_by = caller.user_name,
                 .created = ports_.clock.now(),
                 .revoked = {}};
  auto job = [&](Writer& writer) -> Status {
    const auto count =
        writer.first("SELECT COUNT(*) FROM flag_keys WHERE project = ? AND revoked_us IS NULL",
                     {caller.project.str()});
    if (!count) return count.error();
    if ((*count)->integer(0) >= static_cast<std::int64_t>(kMaxKeys))
      return Error(Code::kQuotaExceeded,
                   fmt::format("a project has at most {} client keys; revoke one first", kMaxKeys));
    STRATA_TRY(writer.execute(
        "INSERT INTO flag_keys (id, key, name, project, remote, created_by, created_us) VALUES (?, "
        "?, ?, ?, ?, ?, ?)",
        {made.id, made.key, made.name, made.project.str(), made.remote, made.created_by,
         made.created.micros}));
    STRATA_TRY(ports_.audit.record(writer, caller, "flag_key.create", "flag_key:" + made.id,
                                   Json::object({{"name", made.name}})));
    writer.after_commit([this, made] {
      const std::lock_guard lock(mutex_);
      keys_.emplace(made.key, made);
    });
    return {};
  };
  STRATA_CO_TRY(co_await ports_.records.write(job));
  co_return made;
}

Task<Result<ClientKey>> Flags::revoke_key(const Caller& caller, std::string id) {
  std::optional<ClientKey> found;
  for (const ClientKey& key : keys(caller.project)) {
    if (key.id == id) found = key;
  }
  if (!found)
    co_return not_found(
        fmt::format("there is no client key with the id '{}' in this project; "
                    "strata flag key list has them",
                    printable(id, 40)));
  if (found->revoked) co_return *std::move(found);
  found->revoked = ports_.clock.now();
  auto job = [&](Writer& writer) -> Status {
    STRATA_TRY(writer.execute("UPDATE flag_keys SET revoked_us = ? WHERE id = ?",
                              {found->revoked->micros, found->id}));
    STRATA_TRY(ports_.audit.record(writer, caller, "flag_key.revoke", "flag_key:" + found->id,
                                   Json::object({{"name", found->name}})));
    writer.after_commit([this, revoked = *found] {
      {
        const std::lock_guard lock(mutex_);
        keys_.insert_or_assign(revoked.key, revoked);
      }
      changed_.notify_all();
    });
    return {};
  };
  STRATA_CO_TRY(co_await ports_.records.write(job));
  co_return *std::move(found);
}

std::vector<ClientKey> Flags::keys(const ProjectId& project) const {
  std::vector<ClientKey> out;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [text, key] : keys_) {
      if (key.project == project) out.push_back(key);
    }
  }
  std::ranges::sort(out, [](const ClientKey& a, const ClientKey& b) {
    return std::pair(a.created.micros, a.id) < std::pair(b.created.micros, b.id);
  });
  return out;
}

Result<ClientKey> Flags::key(std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const auto at = keys_.find(key);
  if (at == keys_.end() || at->second.revoked)
    return not_found(
        "the client key is unknown or revoked; strata flag key list has those that "
        "hold");
  return at->second;
}

}  // namespace strata::platform::experiments
