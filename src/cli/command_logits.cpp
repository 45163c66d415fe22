#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/commands.h"
#include "cli/runtime.h"
#include "engine/embedding_request.h"
#include "engine/model_embedder.h"

namespace strata::cli {
namespace {

// The `top` highest logits of a row (all when 0), highest first, ties to the lower id.
nlohmann::json row_json(std::span<const float> row, int top) {
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t n = top == 0 ? row.size() : std::min(row.size(), static_cast<size_t>(top));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    [&](int32_t a, int32_t b) {
                      const float x = row[static_cast<size_t>(a)];
                      const float y = row[static_cast<size_t>(b)];
                      return x != y ? x > y : a < b;
                    });
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < n; ++i) list.push_back({order[i], row[static_cast<size_t>(order[i])]});
  return list;
}

// {"cls", "mean", "last"} of the final hidden states, and "pooler" and "score" where the model has them.
Status print_encoded(const Settings& settings, const Model& model, const std::vector<int32_t>& ids) {
  std::vector<int32_t> types;
  if (!settings.token_types.empty()) {
    ASSIGN_OR_RETURN(types, parse_ids(settings.token_types, "--token-types"));
  }
  ASSIGN_OR_RETURN(const CpuKernels* kernels, choose_kernels(settings));
  ASSIGN_OR_RETURN(const std::vector<WorkerPlace> places, compute_places(settings));
  ThreadPool pool(places);
  EmbedderOptions options;
  options.context = settings.context;
  options.packed_cache = packed_cache_options(settings);
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelEmbedder> embedder, ModelEmbedder::make(model, *kernels, pool, options));
  const TextTokens text{ids, types};
  RETURN_IF_ERROR(check_text(text, embedder->limits()));
  RETURN_IF_ERROR(embedder->run({&text, 1}));
  nlohmann::ordered_json result;
  for (const auto& [name, output] : {std::pair("cls", TextOutput::kFirst), std::pair("mean", TextOutput::kMean),
                                     std::pair("last", TextOutput::kLast), std::pair("pooler", TextOutput::kPooler),
                                     std::pair("score", TextOutput::kScore)}) {
    const std::span<const float> row = embedder->rows(output);
    if (row.empty()) continue;
    const std::vector<float> numbers(row.begin(), row.end());
    if (output == TextOutput::kScore && numbers.size() == 1) {
      result[name] = numbers.front();
    } else {
      result[name] = numbers;
    }
  }
  std::printf("%s\n", result.dump().c_str());
  return ok_status();
}

}  // namespace

Status logits_command(const Settings& settings, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids, parse_ids(settings.tokens, "--tokens"));
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, Model::load(arguments[0], settings.width));
  if (model->config().kind != ModelKind::kGenerates) return print_encoded(settings, *model, ids);
  ASSIGN_OR_RETURN(const LoadedModel loaded, load_model(settings, std::move(model)));
  ASSIGN_OR_RETURN(const AdapterRef adapter, chosen_adapter(settings, *loaded.model, *loaded.runner));
  const auto vocab = static_cast<size_t>(loaded.runner->limits().vocab);
  nlohmann::json positions = nlohmann::json::array();
  const auto add = [&](int64_t, std::span<const float> logits) {
    for (size_t row = 0; row < logits.size() / vocab; ++row)
      positions.push_back(row_json(logits.subspan(row * vocab, vocab), settings.top));
  };
  RETURN_IF_ERROR(run_sequence(*loaded.runner, ids, add, adapter));
  std::printf("%s\n", nlohmann::json{{"positions", positions}}.dump().c_str());
  return ok_status();
}

}  // namespace strata::cli
