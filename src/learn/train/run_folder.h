// The folder of a run, locked while a process writes it. Files appear whole or not at all.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"

namespace strata {

class RunFolder {
 public:
  // Makes the folder where it is missing and clears away what a killed run left half written. kUnavailable: another
  // process has it, or it cannot be written.
  static Result<RunFolder> open(const std::filesystem::path& path);
  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&& other) noexcept;
  ~RunFolder();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }
  bool has(std::string_view name) const;

 private:
  RunFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::filesystem::path path_;
  int lock_ = -1;
};

Status write_text(const std::filesystem::path& path, std::string_view text);  // atomically

}  // namespace strata
