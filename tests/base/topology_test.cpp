#include "base/topology.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

namespace strata {
namespace {

namespace fs = std::filesystem;

// A root folder with the files in which a system describes its processors.
class DescribedMachine {
 public:
  DescribedMachine() : root_(fs::temp_directory_path() / ("topology_" + std::to_string(::getpid()))) {
    fs::remove_all(root_);
  }
  ~DescribedMachine() { fs::remove_all(root_); }
  DescribedMachine(const DescribedMachine&) = delete;
  DescribedMachine& operator=(const DescribedMachine&) = delete;

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  void processor(int cpu, int package, int core) {
    const std::string folder = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    write(folder + "physical_package_id", std::to_string(package));
    write(folder + "core_id", std::to_string(core));
  }
  Topology read(int n_allowed) const {
    std::vector<int> allowed(static_cast<size_t>(n_allowed));
    std::iota(allowed.begin(), allowed.end(), 0);
    return read_topology(allowed, root_);
  }
  const fs::path& root() const { return root_; }

 private:
  fs::path root_;
};

// Two packages, a node each, four cores of two hardware threads: 0-3 and 8-11, 4-7 and 12-15.
void describe_two_sockets(DescribedMachine& machine) {
  machine.write("sys/devices/system/cpu/online", "0-15");
  for (int cpu = 0; cpu < 16; ++cpu) machine.processor(cpu, cpu / 4 % 2, cpu % 4);
  machine.write("sys/devices/system/node/online", "0-1");
  machine.write("sys/devices/system/node/node0/cpulist", "0-3,8-11");
  machine.write("sys/devices/system/node/node1/cpulist", "4-7,12-15");
}

std::vector<int> workers_of_groups(const std::vector<WorkerPlace>& places) {
  std::vector<int> count;
  for (const WorkerPlace& place : places) {
    count.resize(std::max(count.size(), static_cast<size_t>(place.group) + 1));
    ++count[static_cast<size_t>(place.group)];
  }
  return count;
}

TEST(Topology, OneCoreOfTwoHardwareThreadsUsesBoth) {
  DescribedMachine machine;
  machine.write("sys/devices/system/cpu/online", "0-1");
  machine.processor(0, 0, 0);
  machine.processor(1, 0, 0);
  const Topology topology = machine.read(2);
  EXPECT_EQ(topology.n_cores(), 1);
  EXPECT_EQ(default_threads(topology), 2);
  const std::vector<WorkerPlace> places = place_workers(topology, 2, Numa::kDistribute);
  ASSERT_EQ(places.size(), 2u);
  EXPECT_TRUE(places[1].cpus.empty());
  EXPECT_EQ(describe(topology, places), "2 threads on 1 core (2 processors), 1 NUMA node");
}

TEST(Topology, TwoCoresUseAThreadEach) {
  DescribedMachine machine;
  machine.write("sys/devices/system/cpu/online", "0-1");
  machine.processor(0, 0, 0);
  machine.processor(1, 0, 1);
  EXPECT_EQ(default_threads(machine.read(2)), 2);
  EXPECT_EQ(default_threads(machine.read(1)), 1);  // the affinity mask has one
}

TEST(Topology, CoresOfTwoPackagesWithTheSameNumberAreTwo) {
  DescribedMachine machine;
  describe_two_sockets(machine);
  const Topology topology = machine.read(16);
  EXPECT_EQ(topology.n_cores(), 8);
  EXPECT_EQ(topology.n_nodes(), 2);
  EXPECT_EQ(default_threads(topology), 8);
}

TEST(Topology, WorkersAreSpreadOverNodesOrKeptOnFew) {
  DescribedMachine machine;
  describe_two_sockets(machine);
  const Topology topology = machine.read(16);
  const std::vector<WorkerPlace> spread = place_workers(topology, 6, Numa::kDistribute);
  EXPECT_EQ(workers_of_groups(spread), (std::vector<int>{3, 3}));
  EXPECT_EQ(spread[0].cpus, (std::vector<int>{0, 1, 2, 3, 8, 9, 10, 11}));
  EXPECT_EQ(spread[5].cpus, (std::vector<int>{4, 5, 6, 7, 12, 13, 14, 15}));
  EXPECT_EQ(describe(topology, spread), "6 threads on 8 cores (16 processors), 2 NUMA nodes, bound 3 + 3");
  EXPECT_EQ(workers_of_groups(place_workers(topology, 6, Numa::kIsolate)), (std::vector<int>{6}));
  EXPECT_EQ(workers_of_groups(place_workers(topology, 11, Numa::kIsolate)), (std::vector<int>{8, 3}));
  EXPECT_EQ(workers_of_groups(place_workers(topology, 40, Numa::kIsolate)), (std::vector<int>{24, 16}));
  const std::vector<WorkerPlace> off = place_workers(topology, 6, Numa::kOff);
  EXPECT_EQ(workers_of_groups(off), (std::vector<int>{6}));
  EXPECT_TRUE(off[0].cpus.empty());
}

TEST(Topology, NodesOfDifferentSizeGetWorkersByTheirCores) {
  Topology topology;
  for (int cpu = 0; cpu < 8; ++cpu) topology.processors.push_back({cpu, cpu, cpu < 6 ? 0 : 1});
  EXPECT_EQ(workers_of_groups(place_workers(topology, 8, Numa::kDistribute)), (std::vector<int>{6, 2}));
  EXPECT_EQ(workers_of_groups(place_workers(topology, 1, Numa::kDistribute)), (std::vector<int>{1}));
}

TEST(Topology, ProcessorsThatAreOfflineDoNotCount) {
  DescribedMachine machine;  // hybrid: cores 0 and 1 with two hardware threads, 2 and 3 with one; one of them offline
  machine.write("sys/devices/system/cpu/online", "0-4");
  for (const auto& [cpu, core] : {std::pair(0, 0), {1, 0}, {2, 4}, {3, 4}, {4, 8}, {5, 9}})
    machine.processor(cpu, 0, core);
  const Topology topology = machine.read(6);
  EXPECT_EQ(topology.processors.size(), 5u);
  EXPECT_EQ(default_threads(topology), 3);
}

TEST(Topology, TheLeastQuotaOfTheGroupsAboveCounts) {
  DescribedMachine machine;
  machine.write("sys/devices/system/cpu/online", "0-7");
  for (int cpu = 0; cpu < 8; ++cpu) machine.processor(cpu, 0, cpu);
  machine.write("proc/self/cgroup", "0::/pods/strata");
  machine.write("sys/fs/cgroup/pods/strata/cpu.max", "max 100000");
  EXPECT_EQ(default_threads(machine.read(8)), 8);
  machine.write("sys/fs/cgroup/pods/cpu.max", "350000 100000");
  EXPECT_DOUBLE_EQ(machine.read(8).quota, 3.5);
  EXPECT_EQ(default_threads(machine.read(8)), 3);
  machine.write("sys/fs/cgroup/pods/strata/cpu.max", "50000 100000");
  EXPECT_DOUBLE_EQ(machine.read(8).quota, 0.5);
  EXPECT_EQ(default_threads(machine.read(8)), 1);
}

TEST(Topology, TheQuotaOfControlGroupsVersionOne) {
  DescribedMachine machine;
  machine.write("proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/a");
  machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "200000");
  machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000");
  EXPECT_DOUBLE_EQ(machine.read(8).quota, 2);
  machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1");
  EXPECT_DOUBLE_EQ(machine.read(8).quota, 0);
}

TEST(Topology, ASystemThatSaysNothingHasACorePerProcessor) {
  const DescribedMachine machine;
  const Topology topology = machine.read(4);
  EXPECT_EQ(topology.n_cores(), 4);
  EXPECT_EQ(topology.n_nodes(), 1);
  EXPECT_DOUBLE_EQ(topology.quota, 0);
}

TEST(Topology, MalformedFilesAreNoProcessors) {
  DescribedMachine machine;
  machine.write("sys/devices/system/cpu/online", "0-1,x,-3,5-2,99999999999999999999,4-");
  machine.write("sys/devices/system/node/online", "0-z");
  machine.write("proc/self/cgroup", "no colon\n0:\n0::/../..");
  machine.write("sys/fs/cgroup/cpu.max", "1e9 0");
  const Topology topology = machine.read(8);
  EXPECT_EQ(topology.processors.size(), 2u);
  EXPECT_DOUBLE_EQ(topology.quota, 0);
}

TEST(Topology, OfThisMachineIsNotEmpty) {
  const std::vector<int> allowed = allowed_processors();
  ASSERT_FALSE(allowed.empty());
  EXPECT_GE(default_threads(read_topology(allowed)), 1);
}

TEST(Topology, NamesOfNumaPolicies) {
  EXPECT_EQ(*numa_from_name("isolate"), Numa::kIsolate);
  EXPECT_FALSE(numa_from_name("some").ok());
}

}  // namespace
}  // namespace strata
