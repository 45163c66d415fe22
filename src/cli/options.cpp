#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>

#include "cli/settings.h"

namespace strata::cli {
namespace {

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// Whole numbers, with K, M or G (1024 each) for sizes; numbers; switches; text. Bounds are part of the type of a row.
template <auto Member, int64_t Min, int64_t Max>
Status set_integer(Settings& settings, std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  int64_t factor = 1;
  if (unit == "K" || unit == "k") factor = int64_t{1} << 10;
  if (unit == "M" || unit == "m") factor = int64_t{1} << 20;
  if (unit == "G" || unit == "g") factor = int64_t{1} << 30;
  if (error != std::errc() || (!unit.empty() && factor == 1))
    return invalid_argument("expected a whole number, got " + quoted(text));
  if (value < 0 ? value < Min : value > Max / factor || value * factor < Min) {
    return invalid_argument(fmt::format("expected {} to {}, got {}", Min, Max, text));
  }
  settings.*Member = static_cast<std::remove_reference_t<decltype(settings.*Member)>>(value * factor);
  return ok_status();
}

template <auto Member, int Min, int Max>
Status set_number(Settings& settings, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return invalid_argument("expected a number, got " + quoted(text));
  if (value < Min || value > Max) return invalid_argument(fmt::format("expected {} to {}, got {}", Min, Max, text));
  settings.*Member = value;
  return ok_status();
}

template <auto Member>
Status set_text(Settings& settings, std::string_view text) {
  settings.*Member = std::string(text);
  return ok_status();
}

template <auto Member, bool On>
Status set_switch(Settings& settings, std::string_view text) {
  if (text != "true" && text != "false" && text != "1" && text != "0")
    return invalid_argument("expected true or false, got " + quoted(text));
  settings.*Member = (text == "true" || text == "1") == On;
  return ok_status();
}

template <auto Member>
std::string show(const Settings& settings) {
  return fmt::format("{}", settings.*Member);
}

constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxBytes = int64_t{1} << 46;
constexpr std::string_view kCompute = "run serve logits score bench imatrix";

#define INTEGER(member, min, max) set_integer<&Settings::member, min, max>, show<&Settings::member>
#define NUMBER(member, min, max) set_number<&Settings::member, min, max>, show<&Settings::member>
#define TEXT(member) set_text<&Settings::member>, show<&Settings::member>
#define SWITCH(member, on) set_switch<&Settings::member, on>, show<&Settings::member>

constexpr Option kOptions[] = {
    {"-t,--threads", "threads", "N",
     "Compute threads; 0: one per core this process may use, within the quota of its control group; both hardware "
     "threads of a single core.",
     "run serve logits score bench imatrix quantize train", INTEGER(threads, 0, 1024)},
    {"--numa", "numa", "WHERE",
     "Compute threads on machines of several NUMA nodes: distribute (evenly, each bound to its node), isolate (on as "
     "few nodes as hold them) or off (not bound).",
     "run serve logits score bench imatrix quantize train", TEXT(numa)},
    {"--cpu-isa", "cpu_isa", "ISA",
     "Instruction set of the kernels: avx512 (with VNNI and BF16), avx512vnni, avx2, generic or reference; default: the "
     "best there is.",
     "run serve logits score bench imatrix graph train", TEXT(cpu_isa)},
    {"--cache-type", "cache_type", "T",
     "Type of keys and values in the cache: F32, F16, BF16, Q8 (8.5 bits a number), Q4 (4.5 bits) or auto: BF16 where "
     "the processor multiplies it and most weights are BF16 or quantized, else F16.",
     "run serve logits score bench imatrix graph inspect", TEXT(cache_type)},
    {"--kv-bytes", "kv_bytes", "B",
     "Memory for the cache of the whole process; K, M and G mean 1024, its square and cube. More: more running "
     "requests.",
     kCompute, INTEGER(kv_bytes, 1, kMaxBytes)},
    {"--ctx", "ctx", "N", "Longest sequence in tokens; 0: what the model says.", kCompute,
     INTEGER(context, 0, kMaxInt)},
    {"--max-batch-tokens", "max_batch_tokens", "N",
     "Tokens of one step. More: faster prefill, longer gaps for running streams.", kCompute,
     INTEGER(max_batch_tokens, 1, 65536)},
    {"--prefill-chunk", "prefill_chunk", "N", "Most prompt tokens of one sequence in a step; 0: the whole step.",
     kCompute, INTEGER(prefill_chunk, 0, 65536)},
    {"--packed-cache", "packed_cache", "DIR",
     "Folder that keeps packed weights from one start to the next (checked before each use), or off; default: strata "
     "in "
     "the user's cache folder, for models of 64 MiB and more.",
     kCompute, TEXT(packed_cache)},
    {"--packed-cache-bytes", "packed_cache_bytes", "B",
     "Most bytes in that folder: what was not used for longest is removed.", kCompute,
     INTEGER(packed_cache_bytes, 0, kMaxBytes)},
    {"--weights-memory", "weights_memory", "B",
     "Memory for a model's weights; those that do not fit are read from disk for each step (--packed-cache). 0: as "
     "much as they need.",
     kCompute, INTEGER(weights_memory, 0, kMaxBytes)},
    {"--target-itl-ms", "target_itl_ms", "N",
     "Longest gap that prompts may make between two tokens of running streams; 0: below twice what the streams take "
     "themselves while one prompt is computed, more when prompts queue.",
     "serve", INTEGER(target_itl_ms, 0, 3600000)},
    {"--max-queue-ms", "max_queue_ms", "N",
     "Requests that would wait longer before they begin are refused with 429 and Retry-After; 0: none is.", "serve",
     INTEGER(max_queue_ms, 0, kMaxInt)},
    {"--max-ttft-ms", "max_ttft_ms", "N",
     "Requests whose first token would come later are refused with 429 and Retry-After; a prompt that alone takes "
     "longer is refused while others wait. 0: none is.",
     "serve", INTEGER(max_ttft_ms, 0, kMaxInt)},
    {"--max-waiting", "max_waiting", "N", "Waiting requests above which new ones are refused with 429.", "serve",
     INTEGER(max_waiting, 1, kMaxInt)},
    {"--adapter", "adapter", "[NAME=]FOLDER",
     "A LoRA adapter as PEFT saves it. serve: clients ask for it by its name (default: the folder's); may be given "
     "several times, all for the first model.",
     "run serve logits score", TEXT(adapter), true},
    {"--max-adapters", "max_adapters", "N",
     "Adapters at a time; above 0, clients may load them too (/v1/load_lora_adapter), from any folder that this "
     "process can read. 0: those of --adapter, and no others.",
     "serve", INTEGER(max_adapters, 0, 100000)},
    {"--width", "", "N",
     "The narrower model inside one that was trained with model.widths: this many neurons in each feed-forward. serve: "
     "of the first model. 0: the whole model.",
     "run serve logits score bench imatrix quantize graph", INTEGER(width, 0, kMaxInt)},
    {"--max-adapter-rank", "max_adapter_rank", "R", "Largest rank of an adapter.", "run serve logits score",
     INTEGER(max_adapter_rank, 1, 4096)},
    {"--host", "host", "H", "Address to listen on.", "serve", TEXT(host)},
    {"--port", "port", "P", "Port to listen on; 0: a free one, printed at the start.", "serve",
     INTEGER(port, 0, 65535)},
    {"--api-key", "api_key", "KEY", "Clients must send it as a bearer token.", "serve", TEXT(api_key)},
    {"--served-model-name", "served_model_name", "NAMES",
     "Names clients may use for the (first) model, separated by commas; default: the file's name.", "serve",
     TEXT(served_model_name)},
    {"-p,--prompt", "", "TEXT", "The prompt, as it is. Without it, on a terminal: a chat with the model's template.",
     "run", TEXT(prompt)},
    {"-n,--tokens", "n", "N", "Most tokens to generate.", "run", INTEGER(n_tokens, 0, kMaxInt)},
    {"--temp", "temperature", "T", "Temperature; 0: always the most likely token.", "run", NUMBER(temperature, 0, 100)},
    {"--top-k", "top_k", "K", "Only the K most likely tokens; 0: all.", "run", INTEGER(top_k, 0, kMaxInt)},
    {"--top-p", "top_p", "P", "Only the most likely tokens that together have probability P.", "run",
     NUMBER(top_p, 0, 1)},
    {"--min-p", "min_p", "P", "Only tokens at least P times as likely as the most likely one.", "run",
     NUMBER(min_p, 0, 1)},
    {"--seed", "seed", "S",
     "Seed of the random numbers: the same seed gives the same text (bench serve: prompts and arrivals).", "run bench",
     INTEGER(seed, 0, std::numeric_limits<int64_t>::max())},
    {"--json", "", "", "Print JSON.", "run tokenize inspect bench score quantize", SWITCH(json, true)},
    {"-p,--text", "", "TEXT", "The text; default: standard input.", "tokenize", TEXT(text)},
    {"--no-special", "", "", "Neither add nor recognise special tokens (detokenize: leave them out).",
     "tokenize detokenize", SWITCH(special, false)},
    {"--tokens", "", "IDS", "Token ids separated by commas.", "logits", TEXT(tokens)},
    {"--token-types", "", "IDS", "Encoders: 0 or 1 for each token, which text of a pair it belongs to; default: all 0.",
     "logits", TEXT(token_types)},
    {"--top", "", "N", "Only the N highest logits of each position; 0: all.", "logits", INTEGER(top, 0, kMaxInt)},
    {"--file", "", "FILE", "The text to score, or to measure over.", "score imatrix", TEXT(file)},
    {"--against", "", "MODEL",
     "Also how far the probabilities are from this model's, whose cache is F32: divergence (mean, largest, in nats), "
     "and how often it would accept a token drafted by the scored one.",
     "score", TEXT(against)},
    {"--out", "", "DIR", "The folder that the model, its log and its checkpoint are written to.", "train", TEXT(out)},
    {"--resume", "", "", "Go on with the run in the folder, from its last checkpoint.", "train", SWITCH(resume, true)},
    {"--memory", "memory", "B",
     "Memory for weights, gradients, optimizer and activations: as little is recomputed as fits. 0: what the recipe's "
     "run.recompute says.",
     "train", INTEGER(memory, 0, kMaxBytes)},
    {"-o,--output", "", "FILE", "The file to write.", "imatrix", TEXT(output)},
    {"--after", "", "PASS", "The graph after this pass; default: after the last one.", "graph", TEXT(after)},
    {"--dot", "", "", "Graphviz in the place of text.", "graph", SWITCH(dot, true)},
    {"--type", "", "T",
     "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4, or a mix: Q2_K Q2_K_S Q3_K_S "
     "Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M MXFP4_MOE.",
     "quantize", TEXT(type)},
    {"--imatrix", "", "FILE", "Which columns matter (strata imatrix): their errors count more.", "quantize",
     TEXT(imatrix)},
    {"--prefill", "", "SIZES", "bench MODEL: prompt lengths; 0: none.", "bench", TEXT(prefill_sizes)},
    {"--decode-batch", "", "SIZES", "bench MODEL: sequences decoded together; 0: none.", "bench", TEXT(decode_batches)},
    {"--context", "", "SIZES",
     "bench MODEL: tokens already in the cache when decoding, at most one less than the model's longest sequence.",
     "bench", TEXT(contexts)},
    {"--repeat", "", "N", "bench: runs of each figure; the best counts, the median stands beside it.", "bench",
     INTEGER(repeat, 1, 1000)},
    {"--profile", "", "", "Where the time of each figure, or of the steps of a training run, goes, by kind of work.",
     "bench train",
     SWITCH(profile, true)},
    {"--adapters", "", "N",
     "bench MODEL: each figure also with N random LoRA adapters of rank 16 on all linear layers, sequences in turn.",
     "bench", INTEGER(random_adapters, 0, 1024)},
    {"--requests", "", "N", "bench serve: requests in all.", "bench", INTEGER(requests, 1, 1000000)},
    {"--concurrency", "", "N", "bench serve: requests at a time (closed loop).", "bench",
     INTEGER(concurrency, 1, 10000)},
    {"--rate", "", "R",
     "bench serve: requests per second, arriving by chance whatever is still running (open loop); 0: closed loop.",
     "bench", NUMBER(rate, 0, 1000000)},
    {"--prompt-words", "", "N", "bench serve: words of each prompt.", "bench", INTEGER(prompt_words, 1, 1000000)},
    {"--system-words", "", "N", "bench serve: words that all prompts begin with, the same for every seed.", "bench",
     INTEGER(system_words, 0, 1000000)},
    {"--priority", "", "P", "bench serve: priority of the requests; lower goes first.", "bench",
     INTEGER(priority, -kMaxInt, kMaxInt)},
    {"--ttft-limit", "", "MS", "bench serve: answers whose first token came later are not counted as goodput; 0: any.",
     "bench", NUMBER(ttft_limit_ms, 0, kMaxInt)},
    {"--e2e-limit", "", "MS", "bench serve: answers that took longer are not counted as goodput; 0: any.", "bench",
     NUMBER(e2e_limit_ms, 0, kMaxInt)},
    {"--bound", "", "PREFILL,DECODE",
     "bench serve: tokens/s of the model alone (bench MODEL), to print the output's share of what they allow.", "bench",
     TEXT(bound)},
    {"--trace", "", "FILE",
     "bench serve: replay arrival times, sizes and shared prefixes of a trace (CSV of the Azure form, JSON lines of "
     "the "
     "Mooncake form).",
     "bench", TEXT(trace)},
    {"--time-scale", "", "X", "bench serve: the trace's times are multiplied by it; 2: half the load.", "bench",
     NUMBER(time_scale, 0, 1000000)},
    {"--longest-prompt", "", "N", "bench serve: longer prompts of a trace are cut to N words; 0: none.", "bench",
     INTEGER(longest_prompt, 0, kMaxInt)},
    {"--longest-answer", "", "N", "bench serve: longer answers of a trace are cut to N tokens; 0: none.", "bench",
     INTEGER(longest_answer, 0, kMaxInt)},
    {"--max-tokens", "", "N", "bench serve: tokens of each answer.", "bench", INTEGER(n_tokens, 1, kMaxInt)},
    {"--config", "", "FILE", "Options from a YAML file: the keys are in docs/options.md.",
     "run serve logits score bench imatrix quantize graph train", TEXT(config)},
    {"--verbose", "verbose", "", "More log lines.", "run serve logits score bench imatrix quantize train",
     SWITCH(verbose, true)},
};

}  // namespace

std::span<const Option> options() { return kOptions; }

std::string options_markdown() {
  std::string out =
      "# Options\n\nWritten from the table in `src/cli/options.cpp` by `strata help --markdown`. A flag goes before "
      "the environment, the environment\n"
      "before the file given by `--config`, the file before the default.\n\n"
      "| flag | commands | file key | environment | default | meaning |\n|---|---|---|---|---|---|\n";
  const Settings defaults;
  for (const Option& option : kOptions) {
    std::string environment;
    for (const char c : option.key) environment += static_cast<char>(std::toupper(c));
    out += fmt::format("| `{}{}` | {} | {} | {} | {} | {} |\n", option.flags,
                       option.value.empty() ? "" : fmt::format(" {}", option.value), option.commands,
                       option.key.empty() ? "" : fmt::format("`{}`", option.key),
                       option.key.empty() ? "" : fmt::format("`STRATA_{}`", environment), option.show(defaults),
                       option.help);
  }
  return out;
}

}  // namespace strata::cli
