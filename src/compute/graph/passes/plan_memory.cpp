#include "compute/graph/passes/plan_memory.h"

#include <algorithm>
#include <limits>
#include <map>

#include "compute/graph/op.h"

namespace strata {
namespace {

constexpr size_t kAlignment = 64;
constexpr int kForever = std::numeric_limits<int>::max();  // the last wave of outputs

struct Buffer {
  size_t bytes = 0;
  int first_wave = 0;  // life, both ends included
  int last_wave = 0;
  size_t offset = 0;
};

class Planner {
 public:
  Planner(const Graph& graph, const Schedule& schedule, const SymbolValues& maxima)
      : graph_(graph), schedule_(schedule), maxima_(maxima), users_(graph.users()) {
    for (const NamedValue& output : graph.outputs()) is_output_[output.value] = true;
  }

  MemoryPlan run() {
    const auto& nodes = graph_.nodes();
    buffer_of_.resize(nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      buffer_of_[i].assign(nodes[i].outputs.size(), -1);
      if (nodes[i].kind == NodeKind::kOp && !nodes[i].op->keeps_state) assign(static_cast<int32_t>(i));
    }
    place();
    MemoryPlan plan;
    plan.offset.resize(nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (const int buffer : buffer_of_[i]) {
        plan.offset[i].push_back(buffer < 0 ? MemoryPlan::kNowhere : buffers_[static_cast<size_t>(buffer)].offset);
      }
    }
    plan.bytes = arena_;
    plan.bytes_unshared = unshared_;
    plan.bytes_inside = most_inside();
    return plan;
  }

 private:
  // The last wave that reads a value, counting reads through views of it.
  int last_use(Value value) const {
    int last = schedule_.wave_of_node[static_cast<size_t>(value.node)];
    if (is_output_.count(value)) return kForever;
    for (const int32_t user : users_[static_cast<size_t>(value.node)]) {
      const Node& node = graph_.nodes()[static_cast<size_t>(user)];
      if (std::find(node.inputs.begin(), node.inputs.end(), value) == node.inputs.end()) continue;
      last = std::max(last, node.op->view ? last_use({user, 0}) : schedule_.wave_of_node[static_cast<size_t>(user)]);
    }
    return last;
  }

  void assign(int32_t index) {
    const Node& node = graph_.nodes()[static_cast<size_t>(index)];
    auto& mine = buffer_of_[static_cast<size_t>(index)];
    if (node.op->view) {
      const Value base = node.inputs[0];
      mine[0] = buffer_of_[static_cast<size_t>(base.node)][static_cast<size_t>(base.output)];
      if (mine[0] >= 0) extend(mine[0], last_use({index, 0}));
      return;
    }
    const int wave = schedule_.wave_of_node[static_cast<size_t>(index)];
    for (size_t output = 0; output < node.outputs.size(); ++output) {
      const Value value{index, static_cast<int32_t>(output)};
      const size_t bytes = (node.outputs[output].bytes(maxima_) + kAlignment - 1) / kAlignment * kAlignment;
      unshared_ += bytes;
      if (output == 0 && node.op->in_place >= 0) {
        const int buffer = reusable(index, node.inputs[static_cast<size_t>(node.op->in_place)], bytes);
        if (buffer >= 0) {
          mine[0] = buffer;
          extend(buffer, last_use(value));
          continue;
        }
      }
      mine[output] = static_cast<int>(buffers_.size());
      buffers_.push_back({bytes, wave, last_use(value), 0});
    }
  }

  void extend(int buffer, int last) {
    Buffer& b = buffers_[static_cast<size_t>(buffer)];
    b.last_wave = std::max(b.last_wave, last);
  }

  // The buffer of `input` when node `index` is the only one left to read it in its wave, else -1.
  int reusable(int32_t index, Value input, size_t bytes) const {
    const int buffer = buffer_of_[static_cast<size_t>(input.node)][static_cast<size_t>(input.output)];
    if (buffer < 0 || buffers_[static_cast<size_t>(buffer)].bytes < bytes) return -1;
    const Node& node = graph_.nodes()[static_cast<size_t>(index)];
    const int wave = schedule_.wave_of_node[static_cast<size_t>(index)];
    for (size_t other = 0; other < buffer_of_.size(); ++other) {  // all values that live in this buffer
      for (size_t output = 0; output < buffer_of_[other].size(); ++output) {
        if (buffer_of_[other][output] != buffer) continue;
        if (!only_earlier_readers({static_cast<int32_t>(other), static_cast<int32_t>(output)}, index, wave, node.chain))
          return -1;
      }
    }
    return buffer;
  }

  bool only_earlier_readers(Value value, int32_t index, int wave, int chain) const {
    if (is_output_.count(value)) return false;
    for (const int32_t user : users_[static_cast<size_t>(value.node)]) {
      const Node& node = graph_.nodes()[static_cast<size_t>(user)];
      if (user == index || node.op->view) continue;  // values seen through views are asked for themselves
      if (std::find(node.inputs.begin(), node.inputs.end(), value) == node.inputs.end()) continue;
      const int at = schedule_.wave_of_node[static_cast<size_t>(user)];
      const bool earlier_in_chain = chain >= 0 && node.chain == chain && user < index;
      if (at >= wave && !earlier_in_chain) return false;
    }
    return value.node < index;
  }

  // Largest first, each at the lowest offset that is free during its life.
  void place() {
    std::vector<size_t> order(buffers_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return buffers_[a].bytes > buffers_[b].bytes; });
    std::vector<size_t> placed;  // by offset
    for (const size_t i : order) {
      Buffer& buffer = buffers_[i];
      size_t offset = 0;
      for (const size_t p : placed) {
        const Buffer& other = buffers_[p];
        if (other.last_wave < buffer.first_wave || buffer.last_wave < other.first_wave) continue;
        if (offset + buffer.bytes <= other.offset) break;
        offset = std::max(offset, other.offset + other.bytes);
      }
      buffer.offset = offset;
      arena_ = std::max(arena_, offset + buffer.bytes);
      placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                     [&](size_t a, size_t b) { return buffers_[a].offset < buffers_[b].offset; }),
                    i);
    }
  }

  size_t most_inside() const {
    std::vector<size_t> at(schedule_.waves.size() + 1, 0);
    for (const Buffer& buffer : buffers_) {
      if (buffer.last_wave == kForever) continue;
      for (int wave = buffer.first_wave; wave <= buffer.last_wave; ++wave)
        at[static_cast<size_t>(wave)] += buffer.bytes;
    }
    return *std::max_element(at.begin(), at.end());
  }

  const Graph& graph_;
  const Schedule& schedule_;
  const SymbolValues& maxima_;
  std::vector<std::vector<int32_t>> users_;
  std::map<Value, bool> is_output_;
  std::vector<std::vector<int>> buffer_of_;
  std::vector<Buffer> buffers_;
  size_t arena_ = 0;
  size_t unshared_ = 0;
};

}  // namespace

MemoryPlan plan_memory(const Graph& graph, const Schedule& schedule, const SymbolValues& maxima) {
  return Planner(graph, schedule, maxima).run();
}

}  // namespace strata
