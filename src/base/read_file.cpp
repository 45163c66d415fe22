#include "base/read_file.h"

#include <fstream>
#include <iterator>

namespace strata {

Result<std::string> read_file(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return not_found(path.string() + ": is a folder");
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found(path.string() + ": cannot be read");
  return std::string{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace strata
