// Files for the tests of this folder: a temporary directory, and GGUF and safetensors files put together byte by byte,
// so that a test can break any one of them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace strata::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "strata-format-XXXXXX").string();
    const char* made = ::mkdtemp(pattern.data());
    EXPECT_NE(made, nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return file;
  }

 private:
  std::filesystem::path path_;
};

// Little-endian bytes, appended piece by piece.
class Bytes {
 public:
  template <class T>
  Bytes& put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& u32(uint32_t value) { return put(value); }
  Bytes& u64(uint64_t value) { return put(value); }
  Bytes& raw(std::string_view text) {
    text_.append(text);
    return *this;
  }
  Bytes& string(std::string_view text) { return u64(text.size()).raw(text); }
  Bytes& zeros(size_t count) {
    text_.append(count, '\0');
    return *this;
  }
  Bytes& align(size_t alignment) { return zeros((alignment - text_.size() % alignment) % alignment); }

  // GGUF: the header; a tensor's description.
  Bytes& gguf(uint64_t n_tensors, uint64_t n_keys, uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(n_tensors).u64(n_keys);
  }
  Bytes& tensor(std::string_view name, std::initializer_list<uint64_t> dimensions, uint32_t type, uint64_t offset) {
    string(name).u32(static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t size : dimensions) u64(size);
    return u32(type).u64(offset);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// A safetensors file with this JSON header and so many bytes of data.
inline std::string safetensors(std::string_view header, size_t data_bytes) {
  return Bytes().u64(header.size()).raw(header).zeros(data_bytes).text();
}

}  // namespace strata::test
