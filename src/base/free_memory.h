// How much memory this process can still take without driving anything out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace strata {

// What the system calls available, within the limits of the control groups; nullopt: it does not say.
std::optional<uint64_t> free_memory(const std::filesystem::path& root = "/");

}  // namespace strata
