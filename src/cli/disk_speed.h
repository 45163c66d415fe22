// How fast a disk gives what it holds: the ceiling of models that are bigger than memory.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/status.h"

namespace strata::cli {

// Bytes per second when the first `bytes` of a file (of at least 2 MiB) are read past the page cache, in order, 2 MiB
// at a time, 32 under way: as weights are streamed, with nothing computed meanwhile. The better of two passes.
Result<double> disk_read_speed(const std::filesystem::path& file, uint64_t bytes);

// The same for a folder, over a file of 1 GiB that is written there and removed again.
Result<double> disk_read_speed_of_folder(const std::filesystem::path& folder);

}  // namespace strata::cli
