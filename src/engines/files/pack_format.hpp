#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/files.hpp"
#include "storage/lake/blob_store.hpp"

namespace strata::engines::files {

// Format of a pack, version 1. All numbers are little-endian.
//   file:   "strata pack 1\n\0\0", then records one after another
//   record: magic u32 | CRC-32C u32 of all that follows | owner length u32 | payload length u32 |
//   owner | payload
// What a crash left torn between records is skipped: a reader looks for the next magic whose
// checksum holds.
inline constexpr std::string_view kPackHeader{"strata pack 1\n\0\0", 16};

std::string pack_record(std::string_view owner, std::string_view payload);

// Calls `visit` for each whole record. Blocks; reads the pack once. Errors: kDataLoss when it is no
// pack of this version.
Status scan_pack(File& file, std::uint64_t pack, const storage::lake::BlobStore::Visit& visit);

}  // namespace strata::engines::files
