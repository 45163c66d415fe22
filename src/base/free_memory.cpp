#include "base/free_memory.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "base/control_groups.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> read_bytes(const fs::path& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;  // "max" too
}

std::optional<uint64_t> available_to_all(const fs::path& root) {
  std::ifstream in(root / "proc/meminfo");
  for (std::string name, unit; in >> name;) {
    uint64_t kib = 0;
    if (name == "MemAvailable:" && in >> kib) return kib * 1024;
    std::getline(in, unit);
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> free_memory(const fs::path& root) {
  std::optional<uint64_t> least = available_to_all(root);
  for (const fs::path& group : control_groups(root, "memory")) {
    std::optional<uint64_t> limit = read_bytes(group / "memory.max");
    std::optional<uint64_t> used = read_bytes(group / "memory.current");
    if (!limit) limit = read_bytes(group / "memory.limit_in_bytes");
    if (!used) used = read_bytes(group / "memory.usage_in_bytes");
    if (!limit || !used) continue;
    const uint64_t left = *limit - std::min(*limit, *used);
    least = std::min(least.value_or(left), left);
  }
  return least;
}

}  // namespace strata
