#include "learn/train/adapter.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/hash.h"
#include "compute/graph/op.h"
#include "learn/data/shuffle.h"
#include "model/format/lora_writer.h"
#include "model/format/published_rows.h"

namespace strata {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kAllLinear = "all-linear";

std::string module_of(const std::string& tensor) {
  return tensor.ends_with(kWeight) ? tensor.substr(0, tensor.size() - kWeight.size()) : tensor;
}

std::string last_name(const std::string& tensor) {
  const std::string module = module_of(tensor);
  return module.substr(module.rfind('.') + 1);
}

// The outputs of these matmuls choose experts.
std::set<int32_t> routers(const Graph& graph) {
  std::set<int32_t> found;
  for (const Node& node : graph.nodes()) {
    if (node.kind == NodeKind::kOp && node.op->name == "route") found.insert(node.inputs[0].node);
  }
  return found;
}

bool ends_with_name(const std::string& module, const std::string& end) {
  return module == end || module.ends_with("." + end);
}

// The linear layers that the targets name, each once, with one of its sites.
Result<std::map<std::string, AdapterSite>> find_targets(const Graph& graph, const AdapterOptions& options) {
  std::map<std::string, AdapterSite> found;
  std::set<std::string> known, unused(options.targets.begin(), options.targets.end());
  const std::set<int32_t> choosing = routers(graph);
  for (AdapterSite& site : adapter_sites(graph)) {
    known.insert(last_name(site.tensor));
    for (const std::string& target : options.targets) {
      const bool is_meant = target == kAllLinear ? !site.is_head && !choosing.contains(site.node)
                                                 : ends_with_name(module_of(site.tensor), target);
      if (!is_meant) continue;
      unused.erase(target);
      found.emplace(site.tensor, site);
    }
  }
  if (unused.empty()) return found;
  std::string names(kAllLinear);
  for (const std::string& name : known) names += ", " + name;
  return invalid_argument("lora.targets: the model has no linear layer \"" + *unused.begin() + "\" (known: " + names +
                          ")");
}

void draw_uniform(Parameter& parameter, uint64_t seed) {
  const uint64_t stream = hash_bytes(std::as_bytes(std::span(parameter.name))).low;
  const double bound = 1 / std::sqrt(static_cast<double>(parameter.columns()));
  for (size_t i = 0; i < parameter.values().size(); ++i) {
    const double uniform = static_cast<double>(random_bits(seed, stream, i) >> 11) * 0x1p-53;
    parameter.values()[i] = static_cast<float>((2 * uniform - 1) * bound);
  }
}

// b [outputs, rank] with its rows in the published order.
Result<std::vector<float>> published_order(const Checkpoint& base, const std::string& weight, int64_t rank,
                                           std::span<const float> b) {
  const int64_t n = static_cast<int64_t>(b.size()) / rank;
  ASSIGN_OR_RETURN(const std::vector<int64_t> rows, published_rows(base, weight, n));
  std::vector<float> ordered(b.begin(), b.end());
  for (size_t i = 0; i < rows.size(); ++i)
    std::copy_n(b.begin() + static_cast<std::ptrdiff_t>(i) * rank, rank, ordered.begin() + rows[i] * rank);
  return ordered;
}

}  // namespace

Result<AdaptedModel> adapt_model(const Graph& graph, const Checkpoint& base, const AdapterOptions& options,
                                 uint64_t seed) {
  using Sites = std::map<std::string, AdapterSite>;
  ASSIGN_OR_RETURN(const Sites targets, find_targets(graph, options));
  AdaptedModel model;
  const double scale = options.alpha / static_cast<double>(options.rank);
  for (const auto& [tensor, site] : targets) {
    ASSIGN_OR_RETURN(const TensorInfo* info, base.require(tensor));
    const int64_t outputs = info->shape[site.is_transposed ? 1 : 0];
    draw_uniform(model.parameters.add("lora_a." + tensor, {options.rank, site.k}), seed);
    model.parameters.add("lora_b." + tensor, {outputs, options.rank});
    model.adapters.push_back({tensor, options.rank, scale});
  }
  model.graph = train_adapters(graph, model.adapters);
  return model;
}

Status save_adapter(const std::filesystem::path& folder, const std::vector<TrainedAdapter>& adapters,
                    const Checkpoint& base, const AdapterOptions& options,
                    const std::vector<std::span<const float>>& numbers) {
  LoraFiles files;
  files.base = base.path().string();
  files.rank = options.rank;
  files.alpha = options.alpha;
  std::set<std::string> targets;
  std::vector<std::vector<float>> ordered(adapters.size());
  for (size_t i = 0; i < adapters.size(); ++i) {
    const std::string& tensor = adapters[i].tensor;
    ASSIGN_OR_RETURN(ordered[i], published_order(base, tensor, options.rank, numbers[2 * i + 1]));
    files.factors.push_back({tensor, options.rank, numbers[2 * i], ordered[i]});
    targets.insert(last_name(tensor));
  }
  const bool all = std::find(options.targets.begin(), options.targets.end(), kAllLinear) != options.targets.end();
  files.targets = all ? std::vector<std::string>(targets.begin(), targets.end()) : options.targets;
  return write_lora_adapter(folder, files);
}

}  // namespace strata
