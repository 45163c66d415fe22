#include "base/control_groups.h"

#include <fstream>
#include <string>

namespace strata {

std::vector<std::filesystem::path> control_groups(const std::filesystem::path& root, std::string_view controller) {
  namespace fs = std::filesystem;
  const std::string wanted = "," + std::string(controller) + ",";
  std::vector<fs::path> folders;
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // "0::/a/b", or "4:cpu,cpuacct:/a/b" of version 1
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(wanted) == controllers.npos) continue;
    const fs::path base = v2 ? root / "sys/fs/cgroup" : root / "sys/fs/cgroup" / controller;
    fs::path group = fs::path(line.substr(second + 1)).relative_path();
    for (;; group = group.parent_path()) {
      folders.push_back(base / group);
      if (group.empty()) break;
    }
  }
  return folders;
}

}  // namespace strata
