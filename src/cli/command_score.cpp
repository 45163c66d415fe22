// Perplexity of a text: the text is cut into windows of the context, each begins with the token that the model wants at
// the beginning, and every other token is predicted from those before it in its window. With --against also how far the
// probabilities are from another model's, and how often that would accept this one's tokens.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numbers>

#include "base/read_file.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/runtime.h"
#include "engine/divergence.h"

namespace strata::cli {
namespace {

double negative_log_likelihood(std::span<const float> row, int32_t target) {
  const double highest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float logit : row) sum += std::exp(logit - highest);
  return highest + std::log(sum) - row[static_cast<size_t>(target)];
}

// Most logits of the other model that are kept at a time: they bound the window.
constexpr int64_t kKeptLogits = int64_t{1} << 27;

struct Score {
  double nll = 0;
  int64_t counted = 0;
  double divergence = 0;  // summed over the counted positions, with the two below
  double most = 0;
  double overlap = 0;
  int64_t agreed = 0;  // positions with the same most likely token
};

size_t most_likely(std::span<const float> row) {
  return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

void compare(Score& score, std::span<const float> reference, std::span<const float> row) {
  const double apart = divergence(reference, row);
  score.divergence += apart;
  score.most = std::max(score.most, apart);
  score.overlap += overlap(reference, row);
  score.agreed += most_likely(reference) == most_likely(row);
}

// One window. `against` may be null.
Status score_window(ModelRunner& runner, const AdapterRef& adapter, ModelRunner* against,
                    const std::vector<int32_t>& part, Score& score) {
  const auto vocab = static_cast<size_t>(runner.limits().vocab);
  std::vector<float> reference;
  if (against != nullptr) {
    RETURN_IF_ERROR(run_sequence(*against, part, [&](int64_t, std::span<const float> logits) {
      reference.insert(reference.end(), logits.begin(), logits.end());
    }));
  }
  const auto add = [&](int64_t position, std::span<const float> logits) {
    for (size_t row = 0; row < logits.size() / vocab; ++row) {
      const size_t at = static_cast<size_t>(position) + row;
      if (at + 1 >= part.size()) continue;
      const std::span<const float> here = logits.subspan(row * vocab, vocab);
      score.nll += negative_log_likelihood(here, part[at + 1]);
      ++score.counted;
      if (against != nullptr) compare(score, std::span(reference).subspan(at * vocab, vocab), here);
    }
  };
  return run_sequence(runner, part, add, adapter);
}

// The model of --against, with a cache of fp32; without the option an empty one.
Result<LoadedModel> load_against(const Settings& settings, const LoadedModel& scored) {
  if (settings.against.empty()) return LoadedModel{};
  Settings whole = settings;
  whole.width = 0;
  ASSIGN_OR_RETURN(LoadedModel other, load_model(whole, settings.against,
                                                 [](RunnerOptions& options) { options.cache_type = DType::kF32; }));
  if (other.runner->limits().vocab == scored.runner->limits().vocab) return other;
  return invalid_argument("--against: a vocabulary of " + std::to_string(other.runner->limits().vocab) +
                          " tokens, the scored model has " + std::to_string(scored.runner->limits().vocab));
}

nlohmann::ordered_json summary(const Score& score, size_t bytes, bool compared) {
  const auto n = static_cast<double>(std::max<int64_t>(1, score.counted));
  nlohmann::ordered_json json{{"perplexity", std::exp(score.nll / n)}, {"tokens", score.counted}, {"nll", score.nll}};
  json["bits_per_byte"] = score.nll / std::numbers::ln2 / static_cast<double>(bytes);
  if (!compared) return json;
  json["divergence"] = score.divergence / n;
  json["most_divergence"] = score.most;
  json["acceptance"] = score.overlap / n;
  json["same_choice"] = static_cast<double>(score.agreed) / n;
  return json;
}

}  // namespace

Status score_command(const Settings& settings, const Arguments& arguments) {
  if (settings.file.empty()) return invalid_argument("score: no text (give --file TEXT)");
  ASSIGN_OR_RETURN(const std::string text, read_file(settings.file));
  ASSIGN_OR_RETURN(const LoadedModel loaded, load_model(settings, arguments[0]));
  ASSIGN_OR_RETURN(const Tokenizer* tokenizer, require_tokenizer(*loaded.model));
  ASSIGN_OR_RETURN(const AdapterRef adapter, chosen_adapter(settings, *loaded.model, *loaded.runner));
  const std::vector<TokenId> ids = tokenizer->encode(text, {false, false});
  if (ids.size() < 2) return invalid_argument(settings.file + ": fewer than two tokens");

  ASSIGN_OR_RETURN(const LoadedModel against, load_against(settings, loaded));
  const RunnerLimits& limits = loaded.runner->limits();
  int64_t longest = std::min<int64_t>(limits.max_context, int64_t{limits.n_blocks} * limits.block_tokens);
  if (against.runner != nullptr) longest = std::min(longest, std::max<int64_t>(16, kKeptLogits / limits.vocab));
  const auto window = static_cast<size_t>(longest);
  const size_t head = tokenizer->bos() ? 1 : 0;
  if (window < head + 2)
    return invalid_argument("score: a context of " + std::to_string(window) + " tokens is too short");
  Score score;
  Progress progress("score", static_cast<double>(ids.size()));
  for (size_t begin = 0; begin < ids.size(); begin += window - head) {
    std::vector<int32_t> part;
    if (head > 0) part.push_back(*tokenizer->bos());
    part.insert(part.end(), ids.begin() + static_cast<std::ptrdiff_t>(begin),
                ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), begin + window - head)));
    RETURN_IF_ERROR(score_window(*loaded.runner, adapter, against.runner.get(), part, score));
    progress.update(static_cast<double>(std::min(ids.size(), begin + window)));
  }
  std::printf("%s\n", summary(score, text.size(), against.runner != nullptr).dump().c_str());
  return ok_status();
}

}  // namespace strata::cli
