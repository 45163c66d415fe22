#include "cli/commands.h"

namespace strata::cli {
namespace {

constexpr Command kCommands[] = {
    {"run", "MODEL", "generate text, or chat on a terminal", 1, 1, run_command},
    {"serve", "MODEL...", "serve models over HTTP: completions, chats, embeddings, reranking", 1, 64, serve_command},
    {"tokenize", "MODEL", "text to token ids", 1, 1, tokenize_command},
    {"detokenize", "MODEL IDS", "token ids to text", 2, 2, detokenize_command},
    {"logits", "MODEL", "logits after each of some tokens, as JSON", 1, 1, logits_command},
    {"score", "MODEL", "perplexity of a text", 1, 1, score_command},
    {"inspect", "MODEL", "architecture, shapes, types and memory", 1, 1, inspect_command},
    {"graph", "MODEL", "the graph after a pass", 1, 1, graph_command},
    {"imatrix", "MODEL", "measure over a text which weights matter, for quantize", 1, 1, imatrix_command},
    {"quantize", "IN OUT", "write a model with another weight type", 2, 2, quantize_command},
    {"train", "RECIPE", "train a model from text as a recipe says (docs/guides/training.md)", 1, 1, train_command},
    {"bench", "MODEL | machine | serve URL", "measure a model, the machine or a server", 1, 2, bench_command},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

}  // namespace strata::cli
