// Every option of every command, in one table (options.cpp): it drives the flags, the keys of --config FILE.yaml, the
// STRATA_* environment and docs/options.md. Precedence: flag > environment > file > default.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace strata::cli {

struct Settings {
  // Compute
  int threads = 0;  // 0: see default_threads()
  std::string numa = "distribute";
  std::string cpu_isa;  // empty: the best this processor has
  std::string cache_type = "auto";
  uint64_t kv_bytes = uint64_t{1} << 30;
  int64_t context = 0;  // 0: the model's
  int max_batch_tokens = 512;
  int prefill_chunk = 0;     // 0: the whole step
  std::string packed_cache;  // empty: the user's cache folder
  uint64_t packed_cache_bytes = uint64_t{64} << 30;
  uint64_t weights_memory = 0;  // 0: all there is
  int target_itl_ms = 0;        // 0: follows the decodes' own time
  int max_queue_ms = 60000;     // 0: any
  int max_ttft_ms = 0;          // 0: any
  int max_waiting = 4096;
  std::string adapter;  // [NAME=]FOLDER, several separated by commas
  int max_adapters = 0;
  int64_t max_adapter_rank = 64;
  int64_t width = 0;  // 0: the whole model
  // Server
  std::string host = "127.0.0.1";
  int port = 8080;
  std::string api_key;
  std::string served_model_name;
  // Generation
  std::string prompt;
  int n_tokens = 128;
  double temperature = 0.8;
  int top_k = 0;
  double top_p = 1;
  double min_p = 0;
  uint64_t seed = 0;
  // Input and output
  bool json = false;
  bool special = true;
  std::string text;
  std::string file;
  std::string against;
  std::string tokens;
  std::string token_types;
  int top = 0;
  std::string after;
  bool dot = false;
  std::string type;
  std::string output;
  std::string imatrix;
  // train
  std::string out;
  bool resume = false;
  uint64_t memory = 0;  // 0: all there is
  // bench
  std::string prefill_sizes = "128,512,2048";
  std::string decode_batches = "1,4,8,16,32";
  std::string contexts = "0,2048";
  int repeat = 3;
  bool profile = false;
  int random_adapters = 0;
  int requests = 32;
  int concurrency = 8;
  double rate = 0;
  int prompt_words = 128;
  int system_words = 0;
  int priority = 0;
  double ttft_limit_ms = 0;
  double e2e_limit_ms = 0;
  std::string bound;
  std::string trace;
  double time_scale = 1;
  int longest_prompt = 0;
  int longest_answer = 0;
  // All
  std::string config;
  bool verbose = false;
};

// One row of the table.
struct Option {
  std::string_view flags;  // as CLI11 takes them: "-p,--prompt"; a switch has no value
  std::string_view key;  // in the file ("kv_bytes") and, in capitals after STRATA_, in the environment; empty: neither
  std::string_view value;  // what stands for the value in help texts; empty: a switch
  std::string_view help;
  std::string_view commands;  // blank-separated names of the commands that take it
  Status (*set)(Settings&, std::string_view text);
  std::string (*show)(const Settings&);  // the default, for help and docs
  bool repeats = false;                  // given several times, the values are joined by commas
};
std::span<const Option> options();

struct Command {
  std::string_view name;
  std::string_view arguments;  // "MODEL", "MODEL...", "IN OUT"
  std::string_view help;
  int min_arguments = 0;
  int max_arguments = 0;
  Status (*run)(const Settings&, const std::vector<std::string>& arguments);
};
std::span<const Command> commands();

struct Invocation {
  const Command* command = nullptr;  // null: print `text` and leave with `exit_status`
  Settings settings;
  std::vector<std::string> arguments;
  std::string text;
  int exit_status = 0;
};
// Reads the command line, the environment and the file.
Invocation parse(int argc, const char* const* argv);

// docs/options.md, from the table.
std::string options_markdown();

}  // namespace strata::cli
