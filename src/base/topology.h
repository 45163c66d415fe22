// What the system says of the processors this process may use, and where to put compute threads on them.
//
// Threads are bound to the processors of a NUMA node, never to a single one: when another process takes a processor,
// the system can move the thread to a free one. On a machine of one node nothing is bound at all.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace strata {

// A hardware thread that is online and that the affinity mask of this process allows.
struct Processor {
  int cpu = 0;   // the system's number
  int core = 0;  // processors of one core are its hardware threads; numbered through all packages
  int node = 0;  // whose memory is near
};

struct Topology {
  std::vector<Processor> processors;  // by ascending cpu
  double quota = 0;  // processors' worth of time that control groups allow; 0: no limit

  int n_cores() const;
  int n_nodes() const;
};

// Reads /sys and /proc below `root`. `allowed` are the numbers of the affinity mask. Where the system says nothing,
// every allowed processor is a core of node 0.
Topology read_topology(const std::vector<int>& allowed, const std::filesystem::path& root = "/");
std::vector<int> allowed_processors();  // of this process; at least one

// One thread per core: a core's second hardware thread shares its arithmetic, and all of a step waits for the slower
// half. A single core gets all its hardware threads, since one thread alone leaves it idle while it waits for memory.
// Threads beyond a quota would be stopped for a part of each period, with the others waiting for them.
int default_threads(const Topology& topology);

// How threads are spread over NUMA nodes.
enum class Numa {
  kDistribute,  // evenly, so that all memory channels are used
  kIsolate,     // as few nodes as hold them, hardware threads included
  kOff,         // as the system likes
};
Result<Numa> numa_from_name(std::string_view name);  // distribute, isolate, off

struct WorkerPlace {
  int group = 0;          // workers of a group are neighbours and share a node
  std::vector<int> cpus;  // that its thread may run on; empty: any
};

// Places for `n_threads` workers, also where there are fewer processors. Which core of its node a thread runs on is the
// system's choice, which prefers idle cores.
std::vector<WorkerPlace> place_workers(const Topology& topology, int n_threads, Numa numa);

// For the log: "2 threads on 2 cores (4 processors), 1 NUMA node".
std::string describe(const Topology& topology, const std::vector<WorkerPlace>& places);

}  // namespace strata
