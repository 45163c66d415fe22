// Perplexity of a text: the text is cut into windows of the context, each begins with the token that the model wants at
// the beginning, and every other token is predicted from those before it in its window.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/runtime.h"

namespace strata::cli {
namespace {

double negative_log_likelihood(std::span<const float> row, int32_t target) {
  const double highest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float logit : row) sum += std::exp(logit - highest);
  return highest + std::log(sum) - row[static_cast<size_t>(target)];
}

}  // namespace

Status score_command(const Settings& settings, const Arguments& arguments) {
  if (settings.file.empty()) return invalid_argument("score: no text (give --file TEXT)");
  ASSIGN_OR_RETURN(const std::string text, read_file(settings.file));
  ASSIGN_OR_RETURN(const LoadedModel loaded, load_model(settings, arguments[0]));
  ASSIGN_OR_RETURN(const Tokenizer* tokenizer, require_tokenizer(*loaded.model));
  const std::vector<TokenId> ids = tokenizer->encode(text, {false, false});
  if (ids.size() < 2) return invalid_argument(settings.file + ": fewer than two tokens");

  const auto vocab = static_cast<size_t>(loaded.runner->limits().vocab);
  const auto window = static_cast<size_t>(
      std::min<int64_t>(loaded.runner->limits().max_context,
                        static_cast<int64_t>(loaded.runner->limits().n_blocks) * loaded.runner->limits().block_tokens));
  const size_t head = tokenizer->bos() ? 1 : 0;
  if (window < head + 2)
    return invalid_argument("score: a context of " + std::to_string(window) + " tokens is too short");
  double nll = 0;
  int64_t counted = 0;
  Progress progress("score", static_cast<double>(ids.size()));
  for (size_t begin = 0; begin < ids.size(); begin += window - head) {
    std::vector<int32_t> part;
    if (head > 0) part.push_back(*tokenizer->bos());
    part.insert(part.end(), ids.begin() + static_cast<std::ptrdiff_t>(begin),
                ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), begin + window - head)));
    RETURN_IF_ERROR(run_sequence(*loaded.runner, part, [&](int64_t position, std::span<const float> logits) {
      for (size_t row = 0; row < logits.size() / vocab; ++row) {
        const size_t next = static_cast<size_t>(position) + row + 1;
        if (next >= part.size()) continue;
        nll += negative_log_likelihood(logits.subspan(row * vocab, vocab), part[next]);
        ++counted;
      }
    }));
    progress.update(static_cast<double>(std::min(ids.size(), begin + window)));
  }
  const double mean = nll / static_cast<double>(std::max<int64_t>(1, counted));
  std::printf("%s\n", nlohmann::json{{"perplexity", std::exp(mean)}, {"tokens", counted}, {"nll", nll}}.dump().c_str());
  return ok_status();
}

}  // namespace strata::cli
