#pragma once

// What the model store keeps and is asked for.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::platform::models {

using tracking::KeyValue;
using tracking::Page;

struct Alias {
  std::string name;
  std::int64_t version = 0;
};

struct ModelFile {
  std::string path;  // within the model's directory
  std::uint64_t size = 0;
  std::string sha256;  // 64 hexadecimal digits
};

// An immutable version of a registered model.
struct Version {
  std::string name;
  std::int64_t version = 0;
  std::string description;
  std::string source;        // as the client gave it
  std::string download_uri;  // where its files lie
  std::string run_id;
  std::string run_link;
  std::string model_id;  // the logged model that it is, if any
  std::string owner;
  std::string team;
  std::string stage = "None";
  std::string status = "READY";
  std::string status_message;
  std::string digest;  // "sha256:..." of what the model is; see room README
  std::string
      package_digest;  // "sha256:..." of all bytes; both empty when no files of ours belong to it
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::vector<KeyValue> tags;
  std::vector<std::string> aliases;
};

struct Model {
  std::string name;
  std::string description;
  std::string owner;
  std::string team;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::vector<KeyValue> tags;
  std::vector<Alias> aliases;
  std::vector<Version> latest;  // the newest version of each stage
};

// One change of an alias; versions are absent where it did not exist before or was removed.
struct AliasMove {
  std::string alias;
  std::optional<std::int64_t> from;
  std::optional<std::int64_t> to;
  std::string digest;
  std::string actor;  // who wanted it
  Instant time;
  std::string approved_by;   // the second person, where the alias was protected
  std::int64_t request = 0;  // that was approved; 0 without one
  Json override_of;          // {reason, questions} when it moved although questions were bad
};

// What a version is made of, for ever: its files, signature, locked dependencies, runtime and
// hardware needs. docs/reference/packages.md has every member.
struct Manifest {
  std::string digest;  // "sha256:..." of `text`
  std::string text;    // canonical JSON
};

// What a package brought from elsewhere must turn out to be.
struct ImportClaim {
  std::string package_digest;
  std::vector<ModelFile> files;
  std::string description;
};

struct VersionDraft {
  std::string name;
  std::string source;
  std::string run_id;
  std::string run_link;
  std::string model_id;
  std::string description;
  std::vector<KeyValue> tags;
};

struct ModelSearch {
  std::string filter;
  std::vector<std::string> order_by;
  std::int64_t max_results = 100;
  std::string page_token;
};

// What a models:/ address stands for just now, with everything needed to load it.
struct Resolved {
  std::string name;          // registered name, or the logged model's id
  std::int64_t version = 0;  // 0 for a logged model that is not registered
  std::string digest;
  std::string package_digest;
  std::string run_id;
  std::string model_id;
  std::string owner;
  std::string root;              // path of the directory in the artifact store
  std::vector<ModelFile> files;  // by path
  std::string moved_by;          // who let the alias name it; empty without an alias
};

inline constexpr std::int64_t kMaxModelsPerPage = 1000;
inline constexpr std::int64_t kMaxVersionsPerPage = 200'000;
inline constexpr std::size_t kMaxModelFiles = 10'000;
inline constexpr std::int64_t kMaxOpenImports = 100;  // of a project

}  // namespace strata::platform::models
