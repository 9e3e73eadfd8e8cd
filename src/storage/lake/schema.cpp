#include <array>

#include "storage/lake/lake.hpp"

namespace strata::storage::lake {

namespace {

// Keys are blobs: they compare as bytes, so the primary key is the listing order of the S3 API.
// What is wide stands last, where a scan does not touch it. lake_files and lake_packs count who
// names a blob; bytes nobody names are given back.
constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE lake_buckets (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL,
  owner TEXT NOT NULL,
  created INTEGER NOT NULL,
  objects INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX lake_buckets_by_project ON lake_buckets (project, name);
CREATE TABLE lake_objects (
  bucket INTEGER NOT NULL REFERENCES lake_buckets (id),
  key BLOB NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  digest TEXT NOT NULL,
  modified INTEGER NOT NULL,
  owner TEXT NOT NULL,
  facts TEXT NOT NULL,
  tags TEXT NOT NULL,
  blobs TEXT NOT NULL,
  PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE lake_uploads (
  id TEXT PRIMARY KEY,
  bucket INTEGER NOT NULL REFERENCES lake_buckets (id),
  key BLOB NOT NULL,
  created INTEGER NOT NULL,
  completed INTEGER NOT NULL DEFAULT 0,
  owner TEXT NOT NULL,
  checksum TEXT NOT NULL,
  checksum_named INTEGER NOT NULL,
  full_object INTEGER NOT NULL,
  facts TEXT NOT NULL,
  tags TEXT NOT NULL,
  answer TEXT NOT NULL DEFAULT ''
);
CREATE INDEX lake_uploads_by_key ON lake_uploads (bucket, completed, key, id);
CREATE TABLE lake_parts (
  upload TEXT NOT NULL REFERENCES lake_uploads (id),
  number INTEGER NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  digest TEXT NOT NULL,
  checksum TEXT NOT NULL,
  modified INTEGER NOT NULL,
  blobs TEXT NOT NULL,
  PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE TABLE lake_files (
  id INTEGER PRIMARY KEY,
  refs INTEGER NOT NULL
);
CREATE TABLE lake_packs (
  pack INTEGER PRIMARY KEY,
  blobs INTEGER NOT NULL,
  bytes INTEGER NOT NULL
);
)sql";

constexpr std::array<kernel::Migration, 1> kMigrations = {kernel::Migration{"lake", 1, kVersion1}};

}  // namespace

std::span<const kernel::Migration> Lake::migrations() {
  return kMigrations;
}

}  // namespace strata::storage::lake
