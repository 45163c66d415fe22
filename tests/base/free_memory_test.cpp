#include "base/free_memory.h"

#include <gtest/gtest.h>

#include <fstream>

namespace strata {
namespace {

namespace fs = std::filesystem;

class FreeMemory : public testing::Test {
 protected:
  FreeMemory() : root_(fs::temp_directory_path() / ("free_memory_" + std::to_string(::getpid()))) {
    fs::remove_all(root_);
  }
  ~FreeMemory() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  fs::path root_;
};

TEST_F(FreeMemory, WhatTheSystemCallsAvailable) {
  EXPECT_EQ(free_memory(root_), std::nullopt);
  write("proc/meminfo", "MemTotal:       16000 kB\nMemFree:         1000 kB\nMemAvailable:    9000 kB");
  EXPECT_EQ(free_memory(root_), 9000u * 1024);
  EXPECT_GT(free_memory().value_or(0), 0u);  // of this machine
}

TEST_F(FreeMemory, WithinTheLimitsOfTheGroupsAbove) {
  write("proc/meminfo", "MemAvailable:    9000 kB");
  write("proc/self/cgroup", "0::/pods/strata");
  write("sys/fs/cgroup/pods/strata/memory.max", "max");
  write("sys/fs/cgroup/pods/strata/memory.current", "1000");
  EXPECT_EQ(free_memory(root_), 9000u * 1024);
  write("sys/fs/cgroup/pods/memory.max", "500000");
  write("sys/fs/cgroup/pods/memory.current", "200000");
  EXPECT_EQ(free_memory(root_), 300000u);
  write("sys/fs/cgroup/pods/memory.current", "600000");
  EXPECT_EQ(free_memory(root_), 0u);
}

TEST_F(FreeMemory, WithinTheLimitOfVersionOne) {
  write("proc/meminfo", "MemAvailable:    9000 kB");
  write("proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/a");
  write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "800000");
  write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "100000");
  EXPECT_EQ(free_memory(root_), 700000u);
}

}  // namespace
}  // namespace strata
