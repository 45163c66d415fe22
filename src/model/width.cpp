#include "model/width.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "compute/graph/passes/select_width.h"

namespace strata {
namespace {

// What a graph refers to of a tensor, ascending.
struct Kept {
  std::vector<int64_t> rows, columns;
  bool operator==(const Kept&) const = default;
};
using KeptOf = std::map<std::string, Kept>;  // by tensor

void add_range(std::vector<int64_t>& kept, int64_t begin, int64_t end, int64_t step) {
  for (int64_t i = begin; i < end; i += step) kept.push_back(i);
}

void sort_once(std::vector<int64_t>& kept) {
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
}

KeptOf kept_by(const Graph& graph) {
  KeptOf kept;
  for (const Node& node : graph.nodes()) {
    for (const WeightPart& part : node.weight.parts) {
      Kept& of_tensor = kept[part.tensor];
      add_range(of_tensor.rows, part.row_begin, part.row_end, part.row_step);
      add_range(of_tensor.columns, part.col_begin, part.col_end, part.col_step);
    }
  }
  for (auto& [name, of_tensor] : kept) {
    sort_once(of_tensor.rows);
    sort_once(of_tensor.columns);
  }
  return kept;
}

// Of a tensor that was kept whole and had this shape.
std::vector<int64_t> shape_of(const Kept& kept, std::vector<int64_t> shape) {
  if (shape.empty()) return shape;
  shape.back() = static_cast<int64_t>(kept.columns.size());
  if (shape.size() == 1) return shape;
  int64_t matrices = 1;
  for (size_t i = 0; i + 2 < shape.size(); ++i) matrices *= shape[i];
  shape[shape.size() - 2] = static_cast<int64_t>(kept.rows.size()) / std::max<int64_t>(1, matrices);
  return shape;
}

bool is_run(const std::vector<int64_t>& kept) {
  return kept.back() - kept.front() + 1 == static_cast<int64_t>(kept.size());
}

// Neighbours of `kept`, as pairs of begin and end.
std::vector<std::pair<int64_t, int64_t>> runs_of(const std::vector<int64_t>& kept) {
  std::vector<std::pair<int64_t, int64_t>> runs;
  for (const int64_t i : kept) {
    if (runs.empty() || runs.back().second != i) runs.emplace_back(i, i);
    ++runs.back().second;
  }
  return runs;
}

// The kept part of a tensor, in the file where it lies there in one piece, else in `memory`.
TensorInfo keep(const TensorInfo& tensor, const Kept& kept, std::vector<std::byte>& memory) {
  TensorInfo narrow = tensor;
  narrow.shape = shape_of(kept, tensor.shape);
  const int64_t columns = tensor.shape.back();
  const size_t row = row_bytes(tensor.type, columns);
  const bool whole_rows = static_cast<int64_t>(kept.columns.size()) == columns;
  if (whole_rows && tensor.made == nullptr && is_run(kept.rows)) {
    narrow.data = tensor.data.subspan(static_cast<size_t>(kept.rows.front()) * row, kept.rows.size() * row);
    return narrow;
  }
  const auto runs = runs_of(kept.columns);
  memory.resize(kept.rows.size() * row_bytes(tensor.type, static_cast<int64_t>(kept.columns.size())));
  std::vector<std::byte> buffer;
  std::byte* out = memory.data();
  for (const int64_t i : kept.rows) {
    const std::span<const std::byte> from = tensor.rows(i, i + 1, buffer);
    for (const auto& [begin, end] : runs) {
      const size_t at = begin == 0 ? 0 : row_bytes(tensor.type, begin), size = row_bytes(tensor.type, end - begin);
      std::memcpy(out, from.data() + at, size);
      out += size;
    }
  }
  narrow.made = nullptr;
  narrow.data = memory;
  return narrow;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

}  // namespace

Result<Graph> graph_at_width(const Graph& graph, const NestedWidths& widths, int64_t width) {
  RETURN_IF_ERROR(widths.check(width));
  if (widths.shared == 1) return select_width(graph, widths.full, width);
  ASSIGN_OR_RETURN(const Graph experts, select_width(graph, widths.full, width));
  return select_width(experts, widths.shared * widths.full, widths.shared * width);
}

Result<Checkpoint> checkpoint_at_width(Checkpoint checkpoint, int64_t width) {
  const auto in_path = [&](const Status& status) { return status.with_context(checkpoint.path().string()); };
  ASSIGN_OR_RETURN(const BuiltModel built, build_model(checkpoint));
  const NestedWidths& widths = built.config.widths;
  const Result<Graph> narrow = graph_at_width(built.graph, widths, width);
  if (!narrow.ok()) return in_path(narrow.status());
  const KeptOf whole = kept_by(built.graph);
  std::vector<TensorInfo> changed;
  std::vector<std::vector<std::byte>> memory;
  for (const auto& [name, kept] : kept_by(*narrow)) {
    if (whole.at(name) != kept) changed.push_back(keep(*checkpoint.find(name), kept, memory.emplace_back()));
  }
  checkpoint.change(ConfigView(widths.config_at(checkpoint.config().json(), width), "config.json"), std::move(changed),
                    std::move(memory));
  if (const Result<BuiltModel> ordinary = build_model(checkpoint); !ordinary.ok())
    return ordinary.status().with_context("width " + std::to_string(width) + " is no model by itself");
  return checkpoint;
}

Status check_widths(const BuiltModel& built, const ConfigView& config, const std::vector<WantedTensor>& shapes) {
  const KeptOf whole = kept_by(built.graph);
  for (const int64_t width : built.config.widths.narrow) {
    ASSIGN_OR_RETURN(const Graph narrow, graph_at_width(built.graph, built.config.widths, width));
    ASSIGN_OR_RETURN(const BuiltModel ordinary,
                     build_new_model(ConfigView(built.config.widths.config_at(config.json(), width), "config.json")));
    const KeptOf kept = kept_by(narrow);
    for (const WantedTensor& wanted : ordinary.wanted) {
      const auto tensor =
          std::find_if(shapes.begin(), shapes.end(), [&](const auto& t) { return t.name == wanted.name; });
      const auto part = kept.find(wanted.name);
      if (tensor == shapes.end() || part == kept.end()) continue;  // stored in another form
      const bool is_whole = whole.at(wanted.name) == part->second;
      const std::vector<int64_t> shape = is_whole ? tensor->shape : shape_of(part->second, tensor->shape);
      if (shape == wanted.shape) continue;
      return invalid_argument("widths: at " + std::to_string(width) + " " + wanted.name + " would be " +
                              shape_text(shape) + ", a model of that " + built.config.widths.field + " wants " +
                              shape_text(wanted.shape) + " (train this architecture without widths)");
    }
  }
  return ok_status();
}

}  // namespace strata
