#include "base/topology.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "base/check.h"
#include "base/control_groups.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::optional<int64_t> read_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// "0-3,8" as the system writes sets of processors; what is malformed is left out.
std::set<int> parse_list(std::string_view text) {
  constexpr int64_t kMost = 1 << 16;
  std::set<int> out;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view range = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t dash = range.find('-');
    const std::optional<int64_t> first = read_number(range);
    const std::optional<int64_t> last = dash == range.npos ? first : read_number(range.substr(dash + 1));
    if (!first || !last || *first < 0 || *last >= kMost) continue;
    for (int64_t i = *first; i <= *last; ++i) out.insert(static_cast<int>(i));
  }
  return out;
}

std::map<int, int> nodes_of_processors(const fs::path& root) {
  std::map<int, int> node_of;
  for (const int node : parse_list(first_line(root / "sys/devices/system/node/online"))) {
    for (const int cpu : parse_list(first_line(root / fmt::format("sys/devices/system/node/node{}/cpulist", node))))
      node_of[cpu] = node;
  }
  return node_of;
}

// The quota of one control group, in processors; 0: none.
double quota_of(const fs::path& folder) {
  const std::string v2 = first_line(folder / "cpu.max");  // "max 100000" or "150000 100000"
  if (const size_t space = v2.find(' '); space != v2.npos) {
    const auto quota = read_number(v2);
    const auto period = read_number(std::string_view(v2).substr(space + 1));
    if (quota && period && *quota > 0 && *period > 0) return static_cast<double>(*quota) / static_cast<double>(*period);
  }
  const auto quota = read_number(first_line(folder / "cpu.cfs_quota_us"));
  const auto period = read_number(first_line(folder / "cpu.cfs_period_us"));
  if (quota && period && *quota > 0 && *period > 0) return static_cast<double>(*quota) / static_cast<double>(*period);
  return 0;
}

// The least quota of this process's control group and those above it.
double read_quota(const fs::path& root) {
  double least = 0;
  for (const fs::path& group : control_groups(root, "cpu")) {
    const double quota = quota_of(group);
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
  }
  return least;
}

int count_cores(const std::vector<Processor>& processors) {
  std::set<int> cores;
  for (const Processor& p : processors) cores.insert(p.core);
  return static_cast<int>(cores.size());
}

using Nodes = std::map<int, std::vector<Processor>>;

// The next worker goes where it has most cores for itself.
std::map<int, int> distribute(const Nodes& nodes, int n_threads) {
  std::map<int, int> count;
  const auto load = [&](const Nodes::value_type& node) {
    return static_cast<double>(count[node.first] + 1) / count_cores(node.second);
  };
  for (int i = 0; i < n_threads; ++i) {
    const auto least = std::min_element(nodes.begin(), nodes.end(),
                                        [&](const auto& a, const auto& b) { return load(a) < load(b); });
    ++count[least->first];
  }
  return count;
}

// The largest nodes are filled first.
std::map<int, int> isolate(const Nodes& nodes, int n_threads) {
  std::vector<std::pair<int, int>> order;  // processors, node
  for (const auto& [node, processors] : nodes) order.emplace_back(static_cast<int>(processors.size()), node);
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::map<int, int> count;
  while (n_threads > 0) {
    for (const auto& [size, node] : order) {
      const int here = std::min(n_threads, size);
      count[node] += here;
      n_threads -= here;
    }
  }
  return count;
}

}  // namespace

int Topology::n_cores() const { return count_cores(processors); }

int Topology::n_nodes() const {
  std::set<int> nodes;
  for (const Processor& p : processors) nodes.insert(p.node);
  return static_cast<int>(nodes.size());
}

Topology read_topology(const std::vector<int>& allowed, const fs::path& root) {
  Topology topology;
  const std::map<int, int> node_of = nodes_of_processors(root);
  const std::set<int> online = parse_list(first_line(root / "sys/devices/system/cpu/online"));
  std::map<std::pair<int64_t, int64_t>, int> core_of;  // by package and the package's number
  for (const int cpu : allowed) {
    if (!online.empty() && !online.contains(cpu)) continue;
    const fs::path folder = root / fmt::format("sys/devices/system/cpu/cpu{}/topology", cpu);
    const auto package = read_number(first_line(folder / "physical_package_id"));
    const auto core = read_number(first_line(folder / "core_id"));
    const std::pair<int64_t, int64_t> key(core ? package.value_or(0) : -1, core.value_or(cpu));
    const int number = core_of.emplace(key, static_cast<int>(core_of.size())).first->second;
    const auto node = node_of.find(cpu);
    topology.processors.push_back({cpu, number, node == node_of.end() ? 0 : node->second});
  }
  topology.quota = read_quota(root);
  return topology;
}

std::vector<int> allowed_processors() {
  std::vector<int> cpus;
  for (int room = 1024; room <= (1 << 16) && cpus.empty(); room *= 2) {  // until the set is large enough for the machine
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(room));
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(room));
    CPU_ZERO_S(bytes, set);
    if (sched_getaffinity(0, bytes, set) == 0) {
      for (int cpu = 0; cpu < room; ++cpu) {
        if (CPU_ISSET_S(static_cast<size_t>(cpu), bytes, set)) cpus.push_back(cpu);
      }
    }
    CPU_FREE(set);
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

int default_threads(const Topology& topology) {
  const int cores = topology.n_cores();
  const int threads = cores > 1 ? cores : static_cast<int>(topology.processors.size());
  const int most = topology.quota > 0 ? static_cast<int>(std::floor(topology.quota)) : threads;
  return std::max(1, std::min(threads, most));
}

Result<Numa> numa_from_name(std::string_view name) {
  if (name == "distribute") return Numa::kDistribute;
  if (name == "isolate") return Numa::kIsolate;
  if (name == "off") return Numa::kOff;
  return invalid_argument("--numa: expected distribute, isolate or off, got \"" + std::string(name) + "\"");
}

std::vector<WorkerPlace> place_workers(const Topology& topology, int n_threads, Numa numa) {
  CHECK_GE(n_threads, 1);
  Nodes nodes;
  for (const Processor& p : topology.processors) nodes[p.node].push_back(p);
  if (nodes.size() < 2 || numa == Numa::kOff) return std::vector<WorkerPlace>(static_cast<size_t>(n_threads));

  std::map<int, int> count = numa == Numa::kIsolate ? isolate(nodes, n_threads) : distribute(nodes, n_threads);
  std::vector<WorkerPlace> places;
  int group = 0;
  for (const auto& [node, processors] : nodes) {
    if (count[node] == 0) continue;
    WorkerPlace place{group++, {}};
    for (const Processor& p : processors) place.cpus.push_back(p.cpu);
    places.insert(places.end(), static_cast<size_t>(count[node]), place);
  }
  return places;
}

std::string describe(const Topology& topology, const std::vector<WorkerPlace>& places) {
  const auto count = [](size_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); };
  std::string text = count(places.size(), "thread") + " on " + count(static_cast<size_t>(topology.n_cores()), "core") +
                     " (" + count(topology.processors.size(), "processor");
  if (topology.quota > 0) text += fmt::format(", quota {:.2f}", topology.quota);
  text += "), " + count(static_cast<size_t>(topology.n_nodes()), "NUMA node");
  std::map<int, int> bound;
  for (const WorkerPlace& place : places) {
    if (!place.cpus.empty()) ++bound[place.group];
  }
  for (const auto& [group, workers] : bound) text += fmt::format("{} {}", group == 0 ? ", bound" : " +", workers);
  return text;
}

}  // namespace strata
