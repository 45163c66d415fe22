#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/runtime.h"
#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/plan/cache_shape.h"

namespace strata::cli {
namespace {

struct TypeCount {
  int64_t tensors = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;
};

std::map<std::string, TypeCount> count_types(const Checkpoint& checkpoint) {
  std::map<std::string, TypeCount> counts;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    TypeCount& count = counts[std::string(name(tensor.type))];
    int64_t parameters = 1;
    for (const int64_t n : tensor.shape) parameters *= n;
    ++count.tensors;
    count.parameters += parameters;
    count.bytes += static_cast<int64_t>(tensor.stored_bytes());
  }
  return counts;
}

const char* kind_name(ModelKind kind) {
  if (kind == ModelKind::kGenerates) return "generates";
  return kind == ModelKind::kEmbeds ? "embeds" : "ranks";
}

const char* pooling_name(Pooling pooling) {
  if (pooling == Pooling::kMean) return "mean";
  return pooling == Pooling::kFirst ? "cls" : "last";
}

// Cache bytes of one token, from the states of the lowered graph.
int64_t cache_bytes_per_token(const Graph& graph, DType cache_type) {
  int64_t bytes = 0;
  const Graph lowered = lower_attention_paged(graph, cache_type);
  for (const Node& node : lowered.nodes()) {
    if (node.kind == NodeKind::kState) bytes += static_cast<int64_t>(cache_shape(node).block_bytes()) / kBlockTokens;
  }
  return bytes;
}

}  // namespace

Status inspect_command(const Settings& settings, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, Model::load(arguments[0]));
  const ModelConfig& config = model->config();
  ASSIGN_OR_RETURN(const CpuKernels* kernels, choose_kernels(settings));
  ASSIGN_OR_RETURN(const DType type_of_cache, cache_type(settings, model->graph(), *kernels));
  const int64_t per_token = cache_bytes_per_token(model->graph(), type_of_cache);
  nlohmann::ordered_json types = nlohmann::ordered_json::object();
  int64_t parameters = 0;
  for (const auto& [type, count] : count_types(model->checkpoint())) {
    types[type] = {{"tensors", count.tensors}, {"parameters", count.parameters}, {"bytes", count.bytes}};
    parameters += count.parameters;
  }
  nlohmann::ordered_json summary{{"name", model->name()},
                                 {"architecture", config.architecture},
                                 {"parameters", parameters},
                                 {"weight_bytes", model->checkpoint().weight_bytes()},
                                 {"vocab", config.vocab},
                                 {"hidden", config.hidden},
                                 {"n_layers", config.n_layers},
                                 {"n_experts", config.n_experts},
                                 {"n_experts_used", config.n_experts_used},
                                 {"max_context", config.max_context},
                                 {"cache_bytes_per_token", per_token},
                                 {"kind", kind_name(config.kind)},
                                 {"pooling", pooling_name(config.pooling)},
                                 {"normalize", config.normalize},
                                 {"embedding_dim", config.embedding_dim},
                                 {"max_input", config.max_input},
                                 {"n_labels", config.n_labels},
                                 {"tokenizer", model->tokenizer() != nullptr},
                                 {"chat_template", model->chat_template() != nullptr},
                                 {"types", types}};
  if (!model->checkpoint().packing().empty()) summary["packing"] = model->checkpoint().packing();
  if (settings.json) {
    std::printf("%s\n", summary.dump().c_str());
    return ok_status();
  }
  for (const auto& [key, value] : summary.items()) {
    if (key != "types")
      std::printf("%s\n",
                  fmt::format("{:<24}{}", key, value.is_string() ? value.get<std::string>() : value.dump()).c_str());
  }
  std::printf("%s\n", fmt::format("\n{:<8}{:>10}{:>16}{:>16}", "type", "tensors", "parameters", "bytes").c_str());
  for (const auto& [type, count] : types.items()) {
    std::printf("%s\n", fmt::format("{:<8}{:>10}{:>16}{:>16}", type, count["tensors"].dump(),
                                    count["parameters"].dump(), count["bytes"].dump())
                            .c_str());
  }
  return ok_status();
}

}  // namespace strata::cli
