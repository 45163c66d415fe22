#include "cli/runtime.h"

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <numeric>

#include "base/log.h"
#include "engine/cache_type.h"

namespace strata::cli {

Result<const CpuKernels*> choose_kernels(const Settings& settings) {
  const CpuKernels* kernels = settings.cpu_isa.empty() ? find_cpu_kernels() : find_cpu_kernels(settings.cpu_isa);
  if (kernels != nullptr) return kernels;
  return invalid_argument("--cpu-isa: no kernels named \"" + settings.cpu_isa + "\" on this processor (there are " +
                          supported_isa_names() + ")");
}

Result<std::vector<WorkerPlace>> compute_places(const Settings& settings, LogLevel level) {
  ASSIGN_OR_RETURN(const Numa numa, numa_from_name(settings.numa));
  const Topology topology = read_topology(allowed_processors());
  const int n_threads = settings.threads > 0 ? settings.threads : default_threads(topology);
  std::vector<WorkerPlace> places = place_workers(topology, n_threads, numa);
  const std::string text = "compute: " + describe(topology, places);
  level == LogLevel::kInfo ? log_info(text) : log_debug(text);
  return places;
}

Result<DType> cache_type(const Settings& settings, const Graph& graph, const CpuKernels& kernels) {
  if (settings.cache_type == "auto") return suitable_cache_type(graph, kernels);
  if (settings.cache_type == "F32") return DType::kF32;
  if (settings.cache_type == "F16") return DType::kF16;
  if (settings.cache_type == "BF16") return DType::kBF16;
  if (settings.cache_type == "Q8") return DType::kQ8_0;
  if (settings.cache_type == "Q4") return DType::kQ4_0;
  return invalid_argument("--cache-type: expected auto, F32, F16, BF16, Q8 or Q4, got \"" + settings.cache_type + "\"");
}

PackedCacheOptions packed_cache_options(const Settings& settings) {
  PackedCacheOptions options;
  options.max_bytes = settings.packed_cache_bytes;
  if (settings.packed_cache == "off") return options;
  if (!settings.packed_cache.empty()) {
    options.folder = settings.packed_cache;
    return options;
  }
  const char* caches = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (caches != nullptr && *caches == '/') {
    options.folder = std::filesystem::path(caches) / "strata";
  } else if (home != nullptr && *home == '/') {
    options.folder = std::filesystem::path(home) / ".cache" / "strata";
  }
  options.min_bytes = uint64_t{64} << 20;
  return options;
}

Result<RunnerOptions> runner_options(const Settings& settings, const Graph& graph, const CpuKernels& kernels) {
  RunnerOptions options;
  ASSIGN_OR_RETURN(options.cache_type, cache_type(settings, graph, kernels));
  options.context = settings.context;
  options.max_batch_tokens = settings.max_batch_tokens;
  options.kv_bytes = settings.kv_bytes;
  options.packed_cache = packed_cache_options(settings);
  options.weights_memory = settings.weights_memory;
  options.max_adapter_rank = adapter_rank(settings);
  if (settings.width > 0 && options.max_adapter_rank > 0)
    return invalid_argument("--width: adapters are of whole models (leave out --width, or the adapters)");
  return options;
}

Result<LoadedModel> load_model(const Settings& settings, const std::string& path, void (*adjust)(RunnerOptions&)) {
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, Model::load(path, settings.width));
  return load_model(settings, std::move(model), adjust);
}

Result<LoadedModel> load_model(const Settings& settings, std::unique_ptr<Model> model, void (*adjust)(RunnerOptions&)) {
  LoadedModel loaded;
  ASSIGN_OR_RETURN(loaded.kernels, choose_kernels(settings));
  ASSIGN_OR_RETURN(RunnerOptions options, runner_options(settings, model->graph(), *loaded.kernels));
  if (adjust != nullptr) adjust(options);
  ASSIGN_OR_RETURN(const std::vector<WorkerPlace> places, compute_places(settings));
  loaded.pool = std::make_unique<ThreadPool>(places);
  loaded.model = std::move(model);
  ASSIGN_OR_RETURN(loaded.runner, ModelRunner::make(*loaded.model, *loaded.kernels, *loaded.pool, options));
  log_debug(loaded.model->name() + ": " + std::string(loaded.kernels->name) + " kernels, " +
            std::to_string(loaded.pool->n_threads()) + " threads; " + loaded.runner->plan().summary());
  return loaded;
}

Result<const Tokenizer*> require_tokenizer(const Model& model) {
  if (model.tokenizer() != nullptr) return model.tokenizer();
  return model.tokenizer_status();
}

std::string read_standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

Result<std::vector<int32_t>> parse_ids(const std::string& text, const std::string& what) {
  std::vector<int32_t> ids;
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ' || text[at] == '[' || text[at] == ']' || text[at] == '\n') {
      ++at;
      continue;
    }
    const size_t end = std::min(text.find_first_of(", ]\n", at), text.size());
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, id);
    if (error != std::errc() || stop != text.data() + end) {
      return invalid_argument(what + ": expected token ids separated by commas, got \"" + text.substr(at, end - at) +
                              "\"");
    }
    ids.push_back(id);
    at = end + 1;
  }
  if (ids.empty()) return invalid_argument(what + ": no token ids");
  return ids;
}

Status run_sequence(ModelRunner& runner, const std::vector<int32_t>& ids,
                    const std::function<void(int64_t, std::span<const float>)>& visit, const AdapterRef& adapter) {
  const RunnerLimits& limits = runner.limits();
  const auto n = static_cast<int64_t>(ids.size());
  if (n > limits.max_context) {
    return invalid_argument("the text has " + std::to_string(n) + " tokens, the context holds " +
                            std::to_string(limits.max_context));
  }
  const int64_t n_blocks = (n + limits.block_tokens - 1) / limits.block_tokens;
  if (n_blocks > limits.n_blocks) {
    return invalid_argument("the text needs " + std::to_string(n_blocks) + " cache blocks, --kv-bytes gives " +
                            std::to_string(limits.n_blocks));
  }
  for (const int32_t id : ids) {
    if (id < 0 || id >= limits.vocab) {
      return invalid_argument("token id " + std::to_string(id) + " is outside the vocabulary of " +
                              std::to_string(limits.vocab));
    }
  }
  std::vector<int32_t> table(static_cast<size_t>(n_blocks));
  std::iota(table.begin(), table.end(), 0);
  for (const int32_t block : table) runner.clear_block(block);
  // All tokens rotate as the length of the whole asks for.
  const std::vector<int32_t> long_rope(limits.short_context > 0 && n > limits.short_context ? ids.size() : 0, 1);
  const int64_t chunk = std::min<int64_t>(limits.max_batch_tokens, limits.max_outputs);
  const AdapterWeights* const weights[] = {adapter.get()};
  const std::vector<int32_t> slots_of_adapter(adapter == nullptr ? 0 : static_cast<size_t>(chunk), 0);
  for (int64_t begin = 0; begin < n; begin += chunk) {
    const int64_t end = std::min(n, begin + chunk);
    std::vector<int32_t> positions(static_cast<size_t>(end - begin));
    std::iota(positions.begin(), positions.end(), static_cast<int32_t>(begin));
    const std::vector<int64_t> slots(positions.begin(), positions.end());  // the table is the identity
    std::vector<int32_t> rows(positions.size());
    std::iota(rows.begin(), rows.end(), 0);
    const int32_t query_begin[] = {0, static_cast<int32_t>(end - begin)};
    const int32_t context[] = {static_cast<int32_t>(end)};
    Batch batch;
    batch.ids = std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    batch.positions = positions;
    batch.slots = slots;
    batch.query_begin = query_begin;
    batch.context_len = context;
    batch.block_table = table;
    batch.block_table_stride = n_blocks;
    batch.output_rows = rows;
    if (adapter != nullptr) {
      batch.adapters = std::span(slots_of_adapter).first(positions.size());
      batch.adapter_weights = weights;
    }
    batch.long_rope = std::span(long_rope).first(long_rope.empty() ? 0 : positions.size());
    ASSIGN_OR_RETURN(const std::span<const float> logits, runner.run(batch));
    visit(begin, logits);
  }
  return ok_status();
}

}  // namespace strata::cli
