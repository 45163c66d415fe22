// The one description of a model: a list of nodes in the order of computation, each an op on the values before it.
// Graphs are built by architectures (model/arch), rewritten by passes (graph/passes, graph in, graph out) and turned
// into a plan (graph/plan). docs/ARCHITECTURE.md states the rules ("The graph").
//
// A Graph is a plain value; building it is single-threaded. Building with wrong shapes is a bug and fails a CHECK:
// shapes that come from files are compared with the configuration before they enter a graph.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compute/graph/attributes.h"
#include "compute/graph/dim.h"
#include "compute/graph/weight_ref.h"

namespace strata {

struct OpDef;

// One output of one node.
struct Value {
  int32_t node = -1;
  int32_t output = 0;
  bool valid() const { return node >= 0; }
  bool operator==(const Value&) const = default;
  auto operator<=>(const Value&) const = default;
};

enum class NodeKind : uint8_t {
  kWeight,  // a reference into the checkpoint
  kInput,   // given anew with every step (Batch)
  kState,   // memory that outlives a step, e.g. a paged cache; written only by ops that return it
  kOp,
};

struct Node {
  NodeKind kind = NodeKind::kOp;
  const OpDef* op = nullptr;  // kOp
  std::string name;           // weights, inputs and states: unique; ops: empty
  std::vector<Value> inputs;
  Attributes attributes;  // of the op, or of the state (cache shape)
  std::vector<TensorType> outputs;
  WeightRef weight;       // kWeight
  bool streamed = false;  // kWeight, set by schedule_weights: read from disk for each step
  int segment = 0;        // set by cut
  int chain = -1;         // set by fuse: row-wise nodes of one chain run row by row without a barrier
};

struct NamedValue {
  std::string name;
  Value value;
};

class Graph {
 public:
  Value add_weight(std::string name, TensorType type, WeightRef ref);
  Value add_input(std::string name, TensorType type);  // the existing one when there is one of this name
  Value add_state(std::string name, DType dtype, Attributes shape);
  // Checks inputs and attributes (CHECK) and returns output 0; further outputs are {node, 1}, ...
  Value add_op(std::string_view op, std::vector<Value> inputs, Attributes attributes = {});
  // Appends a copy of a node of another graph with other inputs.
  Value add_copy(const Node& node, std::vector<Value> inputs);

  void add_output(std::string name, Value value) { outputs_.push_back({std::move(name), value}); }
  // Names a value inside the graph ("layer.3": the residual stream after layer 3) without keeping it alive: cut finds
  // its borders by these names, and keep_taps() turns them into outputs.
  void add_tap(std::string name, Value value) { taps_.push_back({std::move(name), value}); }

  const std::vector<Node>& nodes() const { return nodes_; }
  std::vector<Node>& nodes() { return nodes_; }
  const Node& node(Value value) const { return nodes_[static_cast<size_t>(value.node)]; }
  // What a value is in memory: views have the memory of what they view.
  Value behind_views(Value value) const;
  const TensorType& type(Value value) const { return node(value).outputs[static_cast<size_t>(value.output)]; }
  const std::vector<NamedValue>& outputs() const { return outputs_; }
  std::vector<NamedValue>& outputs() { return outputs_; }
  Value find_output(std::string_view name) const;  // invalid when absent
  const std::vector<NamedValue>& taps() const { return taps_; }
  Value find_tap(std::string_view name) const;             // invalid when absent
  Value find(NodeKind kind, std::string_view name) const;  // invalid when absent
  // For every value, the nodes that read it, in order: users[node] lists node indices.
  std::vector<std::vector<int32_t>> users() const;

 private:
  std::vector<Node> nodes_;
  std::vector<NamedValue> outputs_;
  std::vector<NamedValue> taps_;
};

// Rebuilds a graph node by node. `visit` may add nodes to the new graph and return the value that takes the place of
// output 0 (an invalid Value: copy the node as it is). Nodes that nothing reads are dropped afterwards by prune().
class Rewriter {
 public:
  explicit Rewriter(const Graph& from) : from_(from), outputs_of_(from.nodes().size()) {}

  const Graph& from() const { return from_; }
  Graph& to() { return to_; }
  Value map(Value old) const;  // the new value of an old one
  std::vector<Value> map(std::span<const Value> olds) const;
  void replace(Value old, Value now);  // for nodes with several outputs
  Value copy(int32_t node);            // copies an old node with mapped inputs

  // visit(rewriter, old node index) -> the replacement of output 0, or an invalid Value to copy the node.
  Graph run(const std::function<Value(Rewriter&, int32_t)>& visit);

 private:
  const Graph& from_;
  Graph to_;
  std::vector<std::vector<Value>> outputs_of_;
};

// Drops nodes that no output needs. Writes of states and collectives stay only when something reads them.
Graph prune(const Graph& graph);

// Readable text, one node a line:  %12 f32[T, 64] = rms_norm(%10, %11; eps=1e-06)
std::string to_text(const Graph& graph);
// Reads what to_text wrote (types of ops are computed again and must agree). kInvalidArgument names the line.
Result<Graph> parse_graph(std::string_view text);
// Graphviz.
std::string to_dot(const Graph& graph);

}  // namespace strata
