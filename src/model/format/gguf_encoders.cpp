// The encoders among the architectures of GGUF.
// Names and transformations as llama.cpp's converter and loader have them
// (https://github.com/ggml-org/llama.cpp, gguf-py/gguf/tensor_mapping.py, conversion/, src/models/).
#include "model/format/gguf_architectures.h"

namespace strata {
namespace {

using Kind = GgufKeyKind;
using Layout = GgufLayout;

constexpr GgufNameRow kBertLayers[] = {
    {"attn_q", "attention.self.query"},
    {"attn_k", "attention.self.key"},
    {"attn_v", "attention.self.value"},
    {"attn_qkv", "attention.self.query|attention.self.key|attention.self.value"},
    {"attn_output", "attention.output.dense"},
    {"attn_output_norm", "attention.output.LayerNorm"},
    {"ffn_up", "intermediate.dense"},
    {"ffn_down", "output.dense"},
    {"layer_output_norm", "output.LayerNorm"},
};
constexpr GgufNameRow kBertModel[] = {
    {"token_embd", "@embeddings.word_embeddings"},
    {"token_types", "@embeddings.token_type_embeddings"},
    {"position_embd", "@embeddings.position_embeddings"},
    {"token_embd_norm", "@embeddings.LayerNorm"},
    {"cls", "@pooler.dense"},
    {"cls.output", "classifier"},
};
constexpr GgufNameRow kRobertaModel[] = {
    {"token_embd", "@embeddings.word_embeddings"},
    {"token_types", "@embeddings.token_type_embeddings"},
    {"position_embd", "@embeddings.position_embeddings"},
    {"token_embd_norm", "@embeddings.LayerNorm"},
    {"cls", "classifier.dense"},
    {"cls", "@pooler.dense"},
    {"cls.output", "classifier.out_proj"},
};
constexpr GgufLayoutRow kRobertaLayouts[] = {{"position_embd.weight", Layout::kWithoutPadding}};

constexpr GgufNameRow kDistilBertLayers[] = {
    {"attn_q", "attention.q_lin"},
    {"attn_k", "attention.k_lin"},
    {"attn_v", "attention.v_lin"},
    {"attn_output", "attention.out_lin"},
    {"attn_output_norm", "sa_layer_norm"},
    {"ffn_up", "ffn.lin1"},
    {"ffn_down", "ffn.lin2"},
    {"layer_output_norm", "output_layer_norm"},
};
constexpr GgufNameRow kDistilBertModel[] = {
    {"token_embd", "@embeddings.word_embeddings"},
    {"position_embd", "@embeddings.position_embeddings"},
    {"token_embd_norm", "@embeddings.LayerNorm"},
};
constexpr GgufKey kDistilBertKeys[] = {
    {"embedding_length", "dim", Kind::kInt},
    {"feed_forward_length", "hidden_dim", Kind::kInt},
    {"attention.head_count", "n_heads", Kind::kInt},
};

constexpr GgufNameRow kNomicBertLayers[] = {
    {"attn_qkv", "attn.Wqkv"}, {"attn_output", "attn.out_proj"}, {"attn_output_norm", "norm1"},  {"ffn_up", "mlp.fc11"},
    {"ffn_gate", "mlp.fc12"},  {"ffn_down", "mlp.fc2"},          {"layer_output_norm", "norm2"},
};
constexpr GgufNameRow kNomicBertModel[] = {
    {"token_embd", "@embeddings.word_embeddings"},
    {"token_types", "@embeddings.token_type_embeddings"},
    {"token_embd_norm", "@emb_ln"},
};
constexpr GgufKey kNomicBertKeys[] = {
    {"context_length", "n_positions", Kind::kInt},
    {"embedding_length", "n_embd", Kind::kInt},
    {"feed_forward_length", "n_inner", Kind::kInt},
    {"attention.head_count", "n_head", Kind::kInt},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon", Kind::kFloat},
    {"rope.freq_base", "rotary_emb_base", Kind::kFloat},
};

constexpr GgufNameRow kModernBertLayers[] = {
    {"attn_norm", "attn_norm"}, {"attn_qkv", "attn.Wqkv"}, {"attn_output", "attn.Wo"},
    {"ffn_norm", "mlp_norm"},   {"ffn_up", "mlp.Wi"},      {"ffn_down", "mlp.Wo"},
};
constexpr GgufNameRow kModernBertModel[] = {
    {"token_embd", "@embeddings.tok_embeddings"},
    {"token_embd_norm", "@embeddings.norm"},
    {"output_norm", "@final_norm"},
    {"cls", "head.dense"},
    {"cls.norm", "head.norm"},
    {"cls.output", "classifier"},
};
constexpr GgufKey kModernBertKeys[] = {
    {"attention.layer_norm_epsilon", "norm_eps", Kind::kFloat},
    {"attention.sliding_window", "local_attention", Kind::kInt},
    {"rope.freq_base", "global_rope_theta", Kind::kFloat},
    {"rope.freq_base_swa", "local_rope_theta", Kind::kFloat},
    {"hidden_activation", "hidden_activation", Kind::kString},
};

constexpr GgufArchitecture kEncoders[] = {
    {.gguf = "bert",
     .model_type = "bert",
     .published = "BertForSequenceClassification",
     .evidence = "cls.output.weight",
     .base = "bert.",
     .layers = "encoder.layer.",
     .layer_rows = kBertLayers,
     .model_rows = kBertModel,
     .fields = R"({"hidden_act": "gelu"})",
     .causal = false},
    {.gguf = "bert",
     .model_type = "bert",
     .published = "BertModel",
     .base = "",
     .layers = "encoder.layer.",
     .layer_rows = kBertLayers,
     .model_rows = kBertModel,
     .fields = R"({"hidden_act": "gelu"})",
     .causal = false},
    {.gguf = "bert",
     .model_type = "roberta",
     .published = "RobertaModel",
     .base = "roberta.",
     .layers = "encoder.layer.",
     .layer_rows = kBertLayers,
     .model_rows = kRobertaModel,
     .layouts = kRobertaLayouts,
     .fields = R"({"hidden_act": "gelu"})",
     .causal = false},
    {.gguf = "bert",
     .model_type = "xlm-roberta",
     .published = "XLMRobertaModel",
     .base = "roberta.",
     .layers = "encoder.layer.",
     .layer_rows = kBertLayers,
     .model_rows = kRobertaModel,
     .layouts = kRobertaLayouts,
     .fields = R"({"hidden_act": "gelu"})",
     .causal = false},
    {.gguf = "bert",
     .model_type = "distilbert",
     .published = "DistilBertModel",
     .base = "distilbert.",
     .layers = "transformer.layer.",
     .layer_rows = kDistilBertLayers,
     .model_rows = kDistilBertModel,
     .keys = kDistilBertKeys,
     .layer_count = "n_layers",
     .fields = R"({"activation": "gelu", "layer_norm_eps": 1e-12})",
     .causal = false},
    {.gguf = "nomic-bert",
     .model_type = "nomic_bert",
     .published = "NomicBertModel",
     .base = "",
     .layers = "encoder.layers.",
     .layer_rows = kNomicBertLayers,
     .model_rows = kNomicBertModel,
     .keys = kNomicBertKeys,
     .layer_count = "n_layer",
     .fields = R"({"activation_function": "swiglu"})",
     .causal = false},
    {.gguf = "modern-bert",
     .model_type = "modernbert",
     .published = "ModernBertForSequenceClassification",
     .evidence = "cls.output.weight",
     .layer_rows = kModernBertLayers,
     .model_rows = kModernBertModel,
     .keys = kModernBertKeys,
     .fields = R"({"classifier_pooling": "mean"})",
     .window_period = 3,
     .window_last = false,
     .causal = false},
    {.gguf = "modern-bert",
     .model_type = "modernbert",
     .published = "ModernBertModel",
     .base = "",
     .layer_rows = kModernBertLayers,
     .model_rows = kModernBertModel,
     .keys = kModernBertKeys,
     .window_period = 3,
     .window_last = false,
     .causal = false},
};

}  // namespace

std::span<const GgufArchitecture> gguf_encoders() { return kEncoders; }

}  // namespace strata
