// The decoders among the architectures of GGUF.
// Names and transformations as llama.cpp's converter and loader have them
// (https://github.com/ggml-org/llama.cpp, gguf-py/gguf/tensor_mapping.py, conversion/, src/models/).
#include "model/format/gguf_architectures.h"

namespace strata {
namespace {

using Kind = GgufKeyKind;
using Layout = GgufLayout;

// Rows that several families share.
constexpr GgufLayoutRow kPairedRows[] = {{".attn_q.", Layout::kRotaryPairs}, {".attn_k.", Layout::kRotaryPairs}};
constexpr GgufLayoutRow kNormsPlusOne[] = {{"_norm.weight", Layout::kPlusOne}};
constexpr GgufLayoutRow kQueriesFirst[] = {{".attn_qkv.", Layout::kQueriesFirst}};
constexpr GgufSplitRow kMergedExperts[] = {
    {"mlp.experts.gate_up_proj", "ffn_gate_exps.weight", Layout::kFirstHalf},
    {"mlp.experts.gate_up_proj", "ffn_up_exps.weight", Layout::kSecondHalf},
    {"mlp.experts.down_proj", "ffn_down_exps.weight", Layout::kSame},
};
constexpr GgufNameRow kFusedUp[] = {{"ffn_up", "mlp.gate_up_proj"}};
constexpr GgufNameRow kSharedExpert[] = {
    {"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
    {"ffn_down_shexp", "mlp.shared_expert.down_proj"},
};

constexpr GgufNameRow kMixtralLayers[] = {
    {"ffn_gate_inp", "block_sparse_moe.gate"},
    {"ffn_gate_exps", "block_sparse_moe.experts.w1"},
    {"ffn_up_exps", "block_sparse_moe.experts.w3"},
    {"ffn_down_exps", "block_sparse_moe.experts.w2"},
};

constexpr GgufNameRow kGemmaLayers[] = {
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_attention_norm", "post_attention_layernorm"},
};
constexpr GgufKey kGemma3Keys[] = {{"rope.freq_base_swa", "rope_local_base_freq", Kind::kFloat}};

constexpr GgufNameRow kPhi3Layers[] = {{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}};

constexpr GgufNameRow kGpt2Layers[] = {
    {"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn"}, {"attn_output", "attn.c_proj"},
    {"ffn_norm", "ln_2"},  {"ffn_up", "mlp.c_fc"},      {"ffn_down", "mlp.c_proj"},
};
constexpr GgufNameRow kGpt2Model[] = {{"token_embd", "@wte"}, {"position_embd", "@wpe"}, {"output_norm", "@ln_f"}};
constexpr GgufKey kGpt2Keys[] = {
    {"context_length", "n_positions", Kind::kInt},
    {"embedding_length", "n_embd", Kind::kInt},
    {"feed_forward_length", "n_inner", Kind::kInt},
    {"attention.head_count", "n_head", Kind::kInt},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon", Kind::kFloat},
};
constexpr GgufLayoutRow kGpt2Layouts[] = {
    {".attn_qkv.weight", Layout::kTransposed},
    {".attn_output.weight", Layout::kTransposed},
    {".ffn_up.weight", Layout::kTransposed},
    {".ffn_down.weight", Layout::kTransposed},
};

constexpr GgufNameRow kGptOssLayers[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_gate_inp", "mlp.router"},
};
constexpr GgufKey kGptOssKeys[] = {
    {"expert_feed_forward_length", "intermediate_size", Kind::kInt},
    {"swiglu_clamp_exp", "swiglu_limit", Kind::kFloat},
};
constexpr GgufSplitRow kGptOssSplits[] = {
    {"mlp.experts.gate_up_proj", "ffn_gate_exps.weight", Layout::kEvenColumns},
    {"mlp.experts.gate_up_proj", "ffn_up_exps.weight", Layout::kOddColumns},
    {"mlp.experts.down_proj", "ffn_down_exps.weight", Layout::kTransposed},
    {"mlp.experts.gate_up_proj_bias", "ffn_gate_exps.bias", Layout::kEvenColumns},
    {"mlp.experts.gate_up_proj_bias", "ffn_up_exps.bias", Layout::kOddColumns},
    {"mlp.experts.down_proj_bias", "ffn_down_exps.bias", Layout::kSame},
};

constexpr GgufNameRow kOlmo2Layers[] = {{"post_attention_norm", "post_attention_layernorm"}};

constexpr std::string_view kDeepSeekDefaults =
    R"({"n_group": 1, "topk_group": 1, "norm_topk_prob": false, "routed_scaling_factor": 1.0,
        "first_k_dense_replace": 0})";
constexpr GgufSplitRow kDeepSeekSplits[] = {
    {"self_attn.kv_b_proj.weight", "attn_k_b.weight", Layout::kKeysTransposed},
    {"self_attn.kv_b_proj.weight", "attn_v_b.weight", Layout::kValues},
    {"mlp.experts.gate_up_proj", "ffn_gate_exps.weight", Layout::kFirstHalf},
    {"mlp.experts.gate_up_proj", "ffn_up_exps.weight", Layout::kSecondHalf},
    {"mlp.experts.down_proj", "ffn_down_exps.weight", Layout::kSame},
};

constexpr GgufNameRow kStarCoder2Layers[] = {{"ffn_up", "mlp.c_fc"}, {"ffn_down", "mlp.c_proj"}};
constexpr GgufKey kStarCoder2Keys[] = {{"attention.layer_norm_epsilon", "norm_epsilon", Kind::kFloat}};
constexpr GgufEvidence kStarCoder2Evidence[] = {{"use_bias", "blk.0.attn_q.bias"}};

constexpr GgufNameRow kStableLmLayers[] = {
    {"attn_q_norm", "self_attn.q_layernorm.norms.%"},
    {"attn_k_norm", "self_attn.k_layernorm.norms.%"},
};
constexpr GgufEvidence kStableLmEvidence[] = {
    {"use_qkv_bias", "blk.0.attn_q.bias"},
    {"qk_layernorm", "blk.0.attn_q_norm.weight"},
};

constexpr GgufEvidence kCohereEvidence[] = {{"use_qk_norm", "blk.0.attn_q_norm.weight"}};

constexpr GgufKey kGraniteKeys[] = {
    {"attention.scale", "attention_multiplier", Kind::kFloat},
    {"embedding_scale", "embedding_multiplier", Kind::kFloat},
    {"residual_scale", "residual_multiplier", Kind::kFloat},
    {"logit_scale", "logits_scaling", Kind::kFloat},
};

constexpr GgufKey kGraniteMoeKeys[] = {
    {"attention.scale", "attention_multiplier", Kind::kFloat},
    {"embedding_scale", "embedding_multiplier", Kind::kFloat},
    {"residual_scale", "residual_multiplier", Kind::kFloat},
    {"logit_scale", "logits_scaling", Kind::kFloat},
    {"expert_shared_feed_forward_length", "shared_intermediate_size", Kind::kInt},
};
constexpr GgufSplitRow kGraniteMoeSplits[] = {
    {"block_sparse_moe.router.layer.weight", "ffn_gate_inp.weight", Layout::kSame},
    {"block_sparse_moe.input_linear.weight", "ffn_gate_exps.weight", Layout::kFirstHalf},
    {"block_sparse_moe.input_linear.weight", "ffn_up_exps.weight", Layout::kSecondHalf},
    {"block_sparse_moe.output_linear.weight", "ffn_down_exps.weight", Layout::kSame},
    {"shared_mlp.input_linear.weight", "ffn_gate_shexp.weight", Layout::kFirstHalf},
    {"shared_mlp.input_linear.weight", "ffn_up_shexp.weight", Layout::kSecondHalf},
    {"shared_mlp.output_linear.weight", "ffn_down_shexp.weight", Layout::kSame},
};

constexpr GgufNameRow kGlm4Layers[] = {
    {"post_attention_norm", "post_self_attn_layernorm"},
    {"post_ffw_norm", "post_mlp_layernorm"},
    {"ffn_up", "mlp.gate_up_proj"},
};

constexpr GgufKey kNemotronKeys[] = {{"attention.layer_norm_epsilon", "norm_eps", Kind::kFloat}};

constexpr GgufNameRow kFalconLayers[] = {
    {"attn_qkv", "self_attention.query_key_value"},
    {"attn_output", "self_attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
};
constexpr GgufNameRow kFalconTwoNormLayers[] = {
    {"attn_qkv", "self_attention.query_key_value"},
    {"attn_output", "self_attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
    {"attn_norm", "ln_mlp"},
    {"attn_norm_2", "ln_attn"},
};
constexpr GgufNameRow kFalconModel[] = {{"token_embd", "@word_embeddings"}, {"output_norm", "@ln_f"}};
constexpr GgufKey kFalconKeys[] = {
    {"feed_forward_length", "ffn_hidden_size", Kind::kInt},
    {"attention.head_count_kv", "num_kv_heads", Kind::kInt},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon", Kind::kFloat},
};

constexpr GgufEvidence kFalconEvidence[] = {
    {"bias", "blk.0.attn_qkv.bias"},
    {"alibi", "attention.max_alibi_bias"},
    {"parallel_attn", "!blk.0.ffn_norm.weight"},
    {"multi_query", "attention.head_count_kv=1"},
    {"new_decoder_architecture", "!attention.head_count_kv=1&!blk.0.ffn_norm.weight"},
};

constexpr GgufNameRow kNeoXLayers[] = {
    {"attn_qkv", "attention.query_key_value"},
    {"attn_output", "attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
};
constexpr GgufNameRow kNeoXModel[] = {
    {"token_embd", "@embed_in"}, {"output_norm", "@final_layer_norm"}, {"output", "embed_out"}};

constexpr GgufNameRow kPhi2Layers[] = {{"attn_q_norm", "self_attn.q_layernorm"},
                                       {"attn_k_norm", "self_attn.k_layernorm"},
                                       {"attn_output", "self_attn.dense"},
                                       {"ffn_up", "mlp.fc1"},
                                       {"ffn_down", "mlp.fc2"}};
constexpr GgufNameRow kPhi2Model[] = {{"output_norm", "@final_layernorm"}};
constexpr GgufEvidence kPhi2Evidence[] = {{"qk_layernorm", "blk.0.attn_q_norm.weight"}};

// Entries of one GGUF name: for reading see GgufArchitecture::evidence; for writing model_type decides, then tensors.
constexpr GgufArchitecture kDecoders[] = {
    {.gguf = "llama",
     .model_type = "mixtral",
     .published = "MixtralForCausalLM",
     .evidence = "expert_count",
     .layer_rows = kMixtralLayers,
     .layouts = kPairedRows,
     .splits = kMergedExperts},
    {.gguf = "llama",
     .model_type = "mistral",
     .published = "MistralForCausalLM",
     .evidence = "attention.sliding_window",
     .layouts = kPairedRows},
    {.gguf = "llama", .model_type = "llama", .published = "LlamaForCausalLM", .layouts = kPairedRows},
    {.gguf = "qwen2", .model_type = "qwen2", .published = "Qwen2ForCausalLM"},
    {.gguf = "qwen3", .model_type = "qwen3", .published = "Qwen3ForCausalLM"},
    {.gguf = "qwen2moe",
     .model_type = "qwen2_moe",
     .published = "Qwen2MoeForCausalLM",
     .layer_rows = kSharedExpert,
     .splits = kMergedExperts,
     .fields = R"({"norm_topk_prob": false})"},
    {.gguf = "qwen3moe",
     .model_type = "qwen3_moe",
     .published = "Qwen3MoeForCausalLM",
     .splits = kMergedExperts,
     .fields = R"({"norm_topk_prob": true})"},
    {.gguf = "gemma",
     .model_type = "gemma",
     .published = "GemmaForCausalLM",
     .layouts = kNormsPlusOne,
     .fields = R"({"norm_offset": 0, "hidden_activation": "gelu_pytorch_tanh"})"},
    {.gguf = "gemma2",
     .model_type = "gemma2",
     .published = "Gemma2ForCausalLM",
     .layer_rows = kGemmaLayers,
     .layouts = kNormsPlusOne,
     .fields = R"({"norm_offset": 0, "hidden_activation": "gelu_pytorch_tanh"})",
     .window_period = 2,
     .query_scale_layers = 46},
    {.gguf = "gemma3",
     .model_type = "gemma3_text",
     .published = "Gemma3ForCausalLM",
     .layer_rows = kGemmaLayers,
     .keys = kGemma3Keys,
     .layouts = kNormsPlusOne,
     .fields = R"({"norm_offset": 0, "hidden_activation": "gelu_pytorch_tanh"})",
     .window_period = 6,
     .query_scale_layers = 62},
    {.gguf = "phi3", .model_type = "phi3", .published = "Phi3ForCausalLM", .layer_rows = kPhi3Layers},
    {.gguf = "gpt2",
     .model_type = "gpt2",
     .published = "GPT2LMHeadModel",
     .base = "transformer.",
     .layers = "h.",
     .layer_rows = kGpt2Layers,
     .model_rows = kGpt2Model,
     .keys = kGpt2Keys,
     .layouts = kGpt2Layouts,
     .layer_count = "n_layer",
     .fields = R"({"linear_transposed": false, "activation_function": "gelu_new",
                   "scale_attn_by_inverse_layer_idx": false, "scale_attn_weights": true})"},
    {.gguf = "gpt-oss",
     .model_type = "gpt_oss",
     .published = "GptOssForCausalLM",
     .layer_rows = kGptOssLayers,
     .keys = kGptOssKeys,
     .splits = kGptOssSplits,
     .fields = R"({"swiglu_limit": 7.0, "rope_scaling": {"truncate": false}})",
     .window_period = 2},
    {.gguf = "olmo2", .model_type = "olmo2", .published = "Olmo2ForCausalLM", .layer_rows = kOlmo2Layers},
    {.gguf = "olmoe",
     .model_type = "olmoe",
     .published = "OlmoeForCausalLM",
     .splits = kMergedExperts,
     .fields = R"({"norm_topk_prob": false})"},
    {.gguf = "deepseek2",
     .model_type = "deepseek_v3",
     .published = "DeepseekV3ForCausalLM",
     .evidence = "expert_gating_func=2",
     .splits = kDeepSeekSplits,
     .defaults = kDeepSeekDefaults,
     .fields = R"({"topk_method": "noaux_tc"})",
     .latent = true},
    {.gguf = "deepseek2",
     .model_type = "deepseek_v2",
     .published = "DeepseekV2ForCausalLM",
     .splits = kDeepSeekSplits,
     .defaults = kDeepSeekDefaults,
     .latent = true},
    {.gguf = "starcoder2",
     .model_type = "starcoder2",
     .published = "Starcoder2ForCausalLM",
     .layer_rows = kStarCoder2Layers,
     .keys = kStarCoder2Keys,
     .evidences = kStarCoder2Evidence,
     .fields = R"({"hidden_act": "gelu_pytorch_tanh"})"},
    {.gguf = "stablelm",
     .model_type = "stablelm",
     .published = "StableLmForCausalLM",
     .layer_rows = kStableLmLayers,
     .evidences = kStableLmEvidence},
    {.gguf = "command-r", .model_type = "cohere", .published = "CohereForCausalLM", .evidences = kCohereEvidence},
    {.gguf = "cohere2", .model_type = "cohere2", .published = "Cohere2ForCausalLM", .window_period = 4},
    {.gguf = "granite",
     .model_type = "granite",
     .published = "GraniteForCausalLM",
     .keys = kGraniteKeys,
     .layouts = kPairedRows},
    {.gguf = "granitemoe",
     .model_type = "granitemoeshared",
     .published = "GraniteMoeSharedForCausalLM",
     .evidence = "expert_shared_feed_forward_length",
     .keys = kGraniteMoeKeys,
     .layouts = kPairedRows,
     .splits = kGraniteMoeSplits},
    {.gguf = "granitemoe",
     .model_type = "granitemoe",
     .published = "GraniteMoeForCausalLM",
     .keys = kGraniteMoeKeys,
     .layouts = kPairedRows,
     .splits = kGraniteMoeSplits},
    {.gguf = "smollm3",
     .model_type = "smollm3",
     .published = "SmolLM3ForCausalLM",
     .layouts = kPairedRows,
     .fields = R"({"no_rope_layer_interval": 4})"},
    {.gguf = "chatglm", .model_type = "glm", .published = "GlmForCausalLM", .layer_rows = kFusedUp},
    {.gguf = "glm4", .model_type = "glm4", .published = "Glm4ForCausalLM", .layer_rows = kGlm4Layers},
    {.gguf = "nemotron",
     .model_type = "nemotron",
     .published = "NemotronForCausalLM",
     .keys = kNemotronKeys,
     .layouts = kNormsPlusOne,
     .fields = R"({"norm_offset": 0, "hidden_act": "relu2"})"},
    {.gguf = "falcon",
     .model_type = "falcon",
     .published = "FalconForCausalLM",
     .evidence = "blk.0.attn_norm_2.weight",
     .base = "transformer.",
     .layers = "h.",
     .layer_rows = kFalconTwoNormLayers,
     .model_rows = kFalconModel,
     .keys = kFalconKeys,
     .layouts = kQueriesFirst,
     .evidences = kFalconEvidence,
     .fields = R"({"qkv_by_group": false, "num_ln_in_parallel_attn": 2, "activation": "gelu"})"},
    {.gguf = "falcon",
     .model_type = "falcon",
     .published = "FalconForCausalLM",
     .base = "transformer.",
     .layers = "h.",
     .layer_rows = kFalconLayers,
     .model_rows = kFalconModel,
     .keys = kFalconKeys,
     .layouts = kQueriesFirst,
     .evidences = kFalconEvidence,
     .fields = R"({"qkv_by_group": false, "num_ln_in_parallel_attn": 1, "activation": "gelu"})"},
    {.gguf = "gptneox",
     .model_type = "gpt_neox",
     .published = "GPTNeoXForCausalLM",
     .base = "gpt_neox.",
     .layer_rows = kNeoXLayers,
     .model_rows = kNeoXModel,
     .layouts = kQueriesFirst,
     .fields = R"({"qkv_by_group": false, "hidden_act": "gelu"})"},
    {.gguf = "phi2",
     .model_type = "phi",
     .published = "PhiForCausalLM",
     .layer_rows = kPhi2Layers,
     .model_rows = kPhi2Model,
     .evidences = kPhi2Evidence,
     .fields = R"({"hidden_act": "gelu_new"})"},
};

}  // namespace

std::span<const GgufArchitecture> gguf_decoders() { return kDecoders; }

}  // namespace strata
