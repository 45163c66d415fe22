// What differs between Hugging Face's form of an architecture and GGUF's, as data: names of tensors, names of settings,
// what lies differently in the bytes, and what GGUF leaves unsaid because llama.cpp knows it from the architecture.
// One entry per architecture (gguf_decoders.cpp, gguf_encoders.cpp); everything else in this folder reads entries and
// asks for no name.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace strata {

// One module: its GGUF name and its Hugging Face name, both without ".weight" / ".bias". Rows of a layer stand behind
// "blk.N." and the entry's layer prefix. Earlier rows win, in each direction; a second spelling of a GGUF name is
// therefore read but never produced. In the Hugging Face name:
// - "norms.%" is one module per index of the GGUF tensor's first dimension;
// - "q_proj|k_proj|v_proj" are modules whose rows follow one another in the GGUF tensor;
// - "!" at the end marks a whole name: no ".weight" follows.
struct GgufNameRow {
  std::string_view gguf;
  std::string_view published;
};

enum class GgufKeyKind { kInt, kFloat, kBool, kString };

// A setting that both spell differently but mean alike. Behind "ARCHITECTURE." in GGUF.
struct GgufKey {
  std::string_view gguf;
  std::string_view config;  // config.json
  GgufKeyKind kind;
};

// What the bytes of a GGUF tensor are to those of the published one.
enum class GgufLayout {
  kSame,
  kRotaryPairs,     // rows of each head: rotary pairs are neighbours instead of half a head apart
  kPlusOne,         // 1 is added to each element
  kTransposed,      // the last two dimensions change places
  kQueriesFirst,    // rows: all q, all k, all v instead of (q..., k, v) group by group
  kWithoutPadding,  // the first pad_token_id + 1 rows are left out
  kFirstHalf,       // of each matrix's rows
  kSecondHalf,
  kEvenColumns,  // of each matrix, transposed; of a vector per matrix, its even elements
  kOddColumns,
  kEvenRows,  // of each matrix: what the even columns are where the matrix is stored the other way round, in blocks
  kOddRows,
  kKeysTransposed,  // each head's first rows (qk_nope_head_dim), as [heads, columns, rows]
  kValues,          // each head's last rows (v_head_dim), as [heads, rows, columns]
};

// The layout of tensors whose GGUF name has `part` in it.
struct GgufLayoutRow {
  std::string_view part;
  GgufLayout layout;
};

// A published tensor that becomes several GGUF tensors; names of modules in a layer.
struct GgufSplitRow {
  std::string_view published;
  std::string_view gguf;
  GgufLayout layout;
};

// A field of config.json that says whether a GGUF file has something: "blk.0.attn_q.bias" (a tensor), "expert_count" (a
// key, behind "ARCHITECTURE."), "expert_gating_func=2" (a key with this number); "!" before it turns it round, "&"
// between two wants both.
struct GgufEvidence {
  std::string_view config;
  std::string_view evidence;
};

struct GgufArchitecture {
  std::string_view gguf;        // general.architecture
  std::string_view model_type;  // config.json
  std::string_view published;   // architectures[0] of config.json
  // Where several entries share a GGUF name: what a file of this one has (GgufEvidence). The first entry whose evidence
  // is there is it, so the plain one stands last.
  std::string_view evidence = {};
  std::string_view base = "model.";  // before the layers and before "@" in model_rows; folders may lack it
  std::string_view layers = "layers.";
  std::span<const GgufNameRow> layer_rows = {};  // before the shared ones
  std::span<const GgufNameRow> model_rows = {};
  std::span<const GgufKey> keys = {};
  std::span<const GgufLayoutRow> layouts = {};
  std::span<const GgufSplitRow> splits = {};
  std::span<const GgufEvidence> evidences = {};
  std::string_view layer_count = "num_hidden_layers";  // config.json's name of block_count
  std::string_view defaults = "{}";                    // JSON: what a key that is absent means, in config.json's terms
  std::string_view fields = "{}";  // JSON: what every GGUF file of this architecture means without saying it
  int window_period = 0;           // sliding windows alternate: every so many layers one sees all; 0: no such pattern
  bool window_last = true;         // the one that sees all is the last of each period (else the first)
  // > 0: scores are divided by the root of query_pre_attn_scalar, which GGUF implies: the size of a head; in a model of
  // so many layers hidden_size / num_attention_heads.
  int64_t query_scale_layers = 0;
  bool causal = true;   // a decoder
  bool latent = false;  // multi-head latent attention: key and value lengths mean the cached form
};

std::span<const GgufArchitecture> gguf_decoders();
std::span<const GgufArchitecture> gguf_encoders();
// The first entry of both for which `matches` is true; nullptr when there is none.
const GgufArchitecture* find_gguf_architecture(const std::function<bool(const GgufArchitecture&)>& matches);

// Rows that hold for every architecture, behind its own.
std::span<const GgufNameRow> shared_layer_rows();
std::span<const GgufNameRow> shared_model_rows();
std::span<const GgufKey> shared_gguf_keys();

// True where llama.cpp rotates neighbouring pairs (2i, 2i + 1) for this general.architecture.
bool gguf_rope_interleaved(std::string_view gguf_architecture);

}  // namespace strata
