// Importance of columns, measured over a text: the text is cut into windows as for score, and the squares of what every
// matrix is multiplied with are summed.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/read_file.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/runtime.h"
#include "engine/importance_collector.h"

namespace strata::cli {
namespace {

constexpr int64_t kWindow = 512;  // unless --ctx says otherwise
constexpr int64_t kStep = 128;    // tokens whose matmul inputs are in memory at a time

void keep_inputs(RunnerOptions& options) {
  options.keep_matmul_inputs = true;
  options.max_batch_tokens = std::min(options.max_batch_tokens, kStep);
  options.max_outputs = options.max_batch_tokens;
}

}  // namespace

Status imatrix_command(const Settings& settings, const Arguments& arguments) {
  if (settings.file.empty()) return invalid_argument("imatrix: no text (give --file TEXT)");
  if (settings.output.empty()) return invalid_argument("imatrix: no file to write (give -o FILE)");
  ASSIGN_OR_RETURN(const std::string text, read_file(settings.file));
  ASSIGN_OR_RETURN(const LoadedModel loaded, load_model(settings, arguments[0], keep_inputs));
  ASSIGN_OR_RETURN(const Tokenizer* tokenizer, require_tokenizer(*loaded.model));
  ASSIGN_OR_RETURN(ImportanceCollector collector, ImportanceCollector::make(*loaded.model));
  const std::vector<TokenId> ids = tokenizer->encode(text, {false, false});
  if (ids.empty()) return invalid_argument(settings.file + ": no tokens");

  const size_t head = tokenizer->bos() ? 1 : 0;
  const int64_t longest = settings.context > 0 ? settings.context : kWindow;
  const auto window = static_cast<size_t>(std::min<int64_t>(loaded.runner->limits().max_context, longest));
  if (window <= head)
    return invalid_argument("imatrix: a context of " + std::to_string(window) + " tokens is too short");
  int64_t chunks = 0;
  Progress progress("imatrix", static_cast<double>(ids.size()));
  for (size_t begin = 0; begin < ids.size(); begin += window - head, ++chunks) {
    std::vector<int32_t> part;
    if (head > 0) part.push_back(*tokenizer->bos());
    const size_t end = std::min(ids.size(), begin + window - head);
    part.insert(part.end(), ids.begin() + static_cast<std::ptrdiff_t>(begin),
                ids.begin() + static_cast<std::ptrdiff_t>(end));
    RETURN_IF_ERROR(
        run_sequence(*loaded.runner, part, [&](int64_t, std::span<const float>) { collector.add(*loaded.runner); }));
    progress.update(static_cast<double>(end));
  }
  Importance importance = collector.importance();
  importance.texts = {settings.file};
  importance.chunks = chunks;
  importance.chunk_tokens = static_cast<int64_t>(window);
  RETURN_IF_ERROR(write_importance(importance, settings.output));
  std::printf("%s\n",
              nlohmann::ordered_json{{"tensors", importance.tensors.size()}, {"tokens", ids.size()}, {"chunks", chunks}}
                  .dump()
                  .c_str());
  return ok_status();
}

}  // namespace strata::cli
