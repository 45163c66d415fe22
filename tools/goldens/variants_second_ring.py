"""Variants of the second ring of decoders, for variants.py. Option "old" is the change of the configuration that makes its older spelling, where that is
more than variants.py does for all; "sdpa": ALiBi, which transformers adds twice to Falcon in its eager form.
"""
import transformers as T

base = dict(vocab_size=301, hidden_size=48, intermediate_size=80, num_hidden_layers=3, max_position_embeddings=512, num_attention_heads=4, num_key_value_heads=2,
            bos_token_id=1, eos_token_id=2, pad_token_id=None)
mha = {key: value for key, value in base.items() if key != "num_key_value_heads"}
plain = {key: value for key, value in mha.items() if key != "intermediate_size"}
moe = dict(base, moe_intermediate_size=24, num_experts=7, num_experts_per_tok=3)
mla = dict(base, num_attention_heads=3, num_key_value_heads=3, moe_intermediate_size=20, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2,
           kv_lora_rank=24, q_lora_rank=None, qk_rope_head_dim=8, qk_nope_head_dim=12, v_head_dim=20, n_group=1, topk_group=1, first_k_dense_replace=1)
granite = dict(base, embedding_multiplier=2.0, logits_scaling=3.0, residual_multiplier=0.3, attention_multiplier=0.11)
granite_moe = dict(granite, intermediate_size=24, num_local_experts=6, num_experts_per_tok=3)


def rope(kind="default", theta=10000.0, **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


def yarn(**more):
    return rope("yarn", factor=4.0, original_max_position_embeddings=16, **more)


def llama3(**more):
    return rope("llama3", theta=50000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64, **more)


def old_gemma(config):
    fields = config.pop("rope_parameters")
    config["rope_theta"] = fields["full_attention"].pop("rope_theta")
    config["rope_local_base_freq"] = fields["sliding_attention"]["rope_theta"]
    if fields["full_attention"]["rope_type"] != "default":
        config["rope_scaling"] = fields["full_attention"]


def old_names(*renamed, **more):
    """Fields under their older names: ("rotary_pct", "partial_rotary_factor") ..."""
    def change(config):
        fields = config.pop("rope_parameters", None) or {}
        config.update({key: fields.pop(key) for key in ("rope_theta", "partial_rotary_factor") if key in fields})
        if fields.get("rope_type", "default") != "default":
            config["rope_scaling"] = fields
        for old, new in renamed:
            config[old] = config.pop(new)
        for key, value in more.items():
            if value is None:
                config.pop(key, None)
            else:
                config[key] = value
    return change


neox = {"old": old_names(("rotary_pct", "partial_rotary_factor"), ("rotary_emb_base", "rope_theta"))}
refined_web = {"old": old_names(("n_head", "num_attention_heads"), ("n_layer", "num_hidden_layers"), architectures=["RWForCausalLM"], new_decoder_architecture=None,
                                num_kv_heads=None, num_ln_in_parallel_attn=None)}
refined_web_grouped = {"old": old_names(("n_head", "num_attention_heads"), ("n_layer", "num_hidden_layers"), ("n_head_kv", "num_kv_heads"),
                                        architectures=["RWForCausalLM"], new_decoder_architecture=None, num_ln_in_parallel_attn=None)}
VARIANTS = {
    "gemma3-pattern-2": (T.Gemma3TextConfig, dict(base, head_dim=16, sliding_window=9, sliding_window_pattern=2, query_pre_attn_scalar=11), {"old": old_gemma}),
    "gemma3-linear-mqa-bias": (T.Gemma3TextConfig, dict(base, head_dim=20, num_key_value_heads=1, sliding_window=5, sliding_window_pattern=3, attention_bias=True, rope_parameters={
        "sliding_attention": rope(theta=500.0), "full_attention": rope("linear", theta=70000.0, factor=8.0)}), {"old": old_gemma}),
    "gemma3-cap-untied-gelu": (T.Gemma3TextConfig, dict(base, head_dim=16, final_logit_softcapping=1.5, tie_word_embeddings=False, hidden_activation="gelu",
                                                        layer_types=["full_attention", "sliding_attention", "full_attention"], sliding_window=7), {"new_only": True}),
    "gemma3-yarn": (T.Gemma3TextConfig, dict(base, head_dim=16, sliding_window=8, sliding_window_pattern=3, rope_parameters={
        "sliding_attention": rope(), "full_attention": yarn()}), {"old": old_gemma}),
    "qwen2moe-dense-steps": (T.Qwen2MoeConfig, dict(moe, shared_expert_intermediate_size=40, decoder_sparse_step=2, norm_topk_prob=True)),
    "qwen2moe-mlp-only-no-bias": (T.Qwen2MoeConfig, dict(moe, shared_expert_intermediate_size=16, mlp_only_layers=[0], qkv_bias=False, tie_word_embeddings=True)),
    "qwen2moe-window-yarn": (T.Qwen2MoeConfig, dict(moe, shared_expert_intermediate_size=16, use_sliding_window=True, sliding_window=7, max_window_layers=2,
                                                    rope_parameters=yarn(theta=1e6))),
    "qwen2moe-raw-top1": (T.Qwen2MoeConfig, dict(moe, num_experts_per_tok=1, shared_expert_intermediate_size=16), {"raw": True}),
    "olmoe-clip-bias": (T.OlmoeConfig, dict(base, num_experts=5, num_experts_per_tok=2, clip_qkv=0.7, attention_bias=True)),
    "olmoe-gqa-normalized-tied": (T.OlmoeConfig, dict(base, num_experts=9, num_experts_per_tok=4, norm_topk_prob=True, tie_word_embeddings=True)),
    "olmoe-mqa-linear-raw": (T.OlmoeConfig, dict(base, num_key_value_heads=1, num_experts=3, num_experts_per_tok=3, rope_parameters=rope("linear", factor=2.0)), {"raw": True}),
    "deepseek2-lite-top4": (T.DeepseekV2Config, dict(mla, num_experts_per_tok=4, n_shared_experts=1)),
    "deepseek2-groups-biases": (T.DeepseekV2Config, dict(mla, topk_method="group_limited_greedy", n_group=3, topk_group=2, q_lora_rank=16, routed_scaling_factor=16.0,
                                                         attention_bias=True, mlp_bias=True)),
    "deepseek2-yarn-one-group": (T.DeepseekV2Config, dict(mla, topk_method="group_limited_greedy", n_group=2, topk_group=1, rope_parameters=yarn(mscale=0.7, mscale_all_dim=0.9))),
    "deepseek2-eps-all-experts": (T.DeepseekV2Config, dict(mla, first_k_dense_replace=0, rms_norm_eps=0.05, norm_topk_prob=True)),
    "deepseek2-dense-tied-raw": (T.DeepseekV2Config, dict(mla, first_k_dense_replace=2, tie_word_embeddings=True), {"raw": True}),
    "starcoder2-no-bias-untied": (T.Starcoder2Config, dict(base, use_bias=False, tie_word_embeddings=False)),
    "starcoder2-window-gelu-mqa": (T.Starcoder2Config, dict(base, num_key_value_heads=1, sliding_window=6, hidden_act="gelu", norm_epsilon=0.02)),
    "starcoder2-yarn-head16": (T.Starcoder2Config, dict(base, head_dim=16, rope_parameters=yarn())),
    "stablelm-full-rotary-tied": (T.StableLmConfig, dict(base, rope_parameters=rope(partial_rotary_factor=1.0), tie_word_embeddings=True)),
    "stablelm-normed-mha-shards": (T.StableLmConfig, dict(mha, hidden_size=64, num_key_value_heads=4, qk_layernorm=True, use_qkv_bias=True), {"shards": True, "old": old_names(
        ("rope_pct", "partial_rotary_factor"), ("norm_eps", "layer_norm_eps"), architectures=["StableLMEpochForCausalLM"])}),
    "stablelm-parallel-linear": (T.StableLmConfig, dict(base, hidden_size=64, use_parallel_residual=True, rope_parameters=rope("linear", factor=2.0, partial_rotary_factor=0.5))),
    "stablelm-yarn-gelu": (T.StableLmConfig, dict(base, hidden_size=64, hidden_act="gelu", rope_parameters=yarn(partial_rotary_factor=0.5))),
    "cohere-plain-scale": (T.CohereConfig, dict(base, logit_scale=0.8)),
    "cohere-normed-mqa-bias": (T.CohereConfig, dict(base, num_key_value_heads=1, use_qk_norm=True, attention_bias=True, layer_norm_eps=0.02)),
    "cohere-untied-dynamic": (T.CohereConfig, dict(base, tie_word_embeddings=False, rope_parameters=rope("dynamic", factor=2.0), hidden_act="gelu")),
    "cohere-yarn": (T.CohereConfig, dict(base, rope_parameters=yarn())),
    "cohere2-pattern-2": (T.Cohere2Config, dict(base, sliding_window=6, sliding_window_pattern=2), {"old": old_names(layer_types=None, sliding_window_pattern=2)}),
    "cohere2-pattern-4-untied": (T.Cohere2Config, dict(base, num_hidden_layers=5, sliding_window=9, attention_bias=True, tie_word_embeddings=False)),
    "cohere2-types-yarn": (T.Cohere2Config, dict(base, sliding_window=12, layer_types=["full_attention", "sliding_attention", "full_attention"], rope_parameters=yarn()),
                           {"new_only": True}),
    "granite-biases-tied": (T.GraniteConfig, dict(granite, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "granite-ones": (T.GraniteConfig, dict(base)),
    "granite-mqa-yarn-gelu": (T.GraniteConfig, dict(granite, num_key_value_heads=1, hidden_act="gelu", rope_parameters=yarn())),
    "granitemoe-top1-bias": (T.GraniteMoeConfig, dict(granite_moe, num_experts_per_tok=1, attention_bias=True)),
    "granitemoe-all-llama3": (T.GraniteMoeConfig, dict(granite_moe, num_experts_per_tok=6, tie_word_embeddings=True, rope_parameters=llama3())),
    "granitemoe-shared-none": (T.GraniteMoeSharedConfig, dict(granite_moe, shared_intermediate_size=0)),
    "granitemoe-shared-mqa-shards": (T.GraniteMoeSharedConfig, dict(granite_moe, num_key_value_heads=1, shared_intermediate_size=20), {"shards": True}),
    "granitemoe-raw": (T.GraniteMoeConfig, dict(granite_moe), {"raw": True}),
    "smollm3-interval-2": (T.SmolLM3Config, dict(base, no_rope_layer_interval=2, tie_word_embeddings=False)),
    "smollm3-layers-biases": (T.SmolLM3Config, dict(base, no_rope_layers=[0, 1, 0], attention_bias=True, mlp_bias=True)),
    "smollm3-window-yarn": (T.SmolLM3Config, dict(base, no_rope_layers=[1, 0, 1], use_sliding_window=True, sliding_window=6, rope_parameters=yarn())),
    "glm-full-rotary-no-bias": (T.GlmConfig, dict(base, head_dim=16, attention_bias=False, rope_parameters=rope(partial_rotary_factor=1.0))),
    "glm-mqa-tied-shards": (T.GlmConfig, dict(base, head_dim=12, num_key_value_heads=1, tie_word_embeddings=True), {"shards": True}),
    "glm-yarn": (T.GlmConfig, dict(base, head_dim=16, rope_parameters=yarn(partial_rotary_factor=0.5))),
    "glm4-bias-quarter": (T.Glm4Config, dict(base, head_dim=16, attention_bias=True, rope_parameters=rope(partial_rotary_factor=0.25))),
    "glm4-mha-gelu-tied": (T.Glm4Config, dict(mha, num_key_value_heads=4, head_dim=12, hidden_act="gelu", tie_word_embeddings=True)),
    "nemotron-biases-full": (T.NemotronConfig, dict(base, attention_bias=True, mlp_bias=True, rope_parameters=rope(partial_rotary_factor=1.0))),
    "nemotron-mqa-silu-tied": (T.NemotronConfig, dict(base, num_key_value_heads=1, head_dim=20, hidden_act="silu", tie_word_embeddings=True)),
    "nemotron-linear": (T.NemotronConfig, dict(base, head_dim=16, rope_parameters=rope("linear", factor=4.0, partial_rotary_factor=0.5), norm_eps=0.02)),
    "falcon-7b-5-heads-untied": (T.FalconConfig, dict(plain, hidden_size=40, num_attention_heads=5, tie_word_embeddings=False), refined_web),
    "falcon-7b-bias-sequential": (T.FalconConfig, dict(plain, bias=True, parallel_attn=False, ffn_hidden_size=72)),
    "falcon-mha-parallel-relu": (T.FalconConfig, dict(plain, multi_query=False, activation="relu"), {"old": old_names(num_kv_heads=None)}),
    "falcon-40b-3-groups": (T.FalconConfig, dict(plain, num_attention_heads=6, num_kv_heads=3, new_decoder_architecture=True), refined_web_grouped),
    "falcon-11b-one-norm": (T.FalconConfig, dict(plain, num_kv_heads=2, new_decoder_architecture=True, num_ln_in_parallel_attn=1, ffn_hidden_size=100)),
    "falcon-40b-mha-linear": (T.FalconConfig, dict(plain, new_decoder_architecture=True, bias=True, rope_parameters=rope("linear", factor=3.0))),
    "falcon-rw-8-heads": (T.FalconConfig, dict(plain, num_attention_heads=8, alibi=True, multi_query=False, parallel_attn=False, bias=True), {"sdpa": True, **refined_web}),
    "falcon-rw-3-heads-long": (T.FalconConfig, dict(plain, num_attention_heads=3, alibi=True, multi_query=False, parallel_attn=False), {"sdpa": True, "tokens": 400}),
    "falcon-7b-alibi": (T.FalconConfig, dict(plain, num_attention_heads=12, alibi=True), {"sdpa": True, "tokens": 300}),
    "falcon-40b-alibi": (T.FalconConfig, dict(plain, num_attention_heads=6, num_kv_heads=2, alibi=True, new_decoder_architecture=True), {"sdpa": True}),
    "neox-tied-no-bias": (T.GPTNeoXConfig, dict(mha, tie_word_embeddings=True, attention_bias=False, rope_parameters=rope(partial_rotary_factor=0.5)), neox),
    "neox-sequential-relu": (T.GPTNeoXConfig, dict(mha, use_parallel_residual=False, hidden_act="relu", rope_parameters=rope(theta=500.0, partial_rotary_factor=1.0)), neox),
    "neox-linear-shards": (T.GPTNeoXConfig, dict(mha, hidden_size=64, hidden_act="gelu_new", rope_parameters=rope("linear", factor=2.0, partial_rotary_factor=0.25)),
                           {"shards": True, **neox}),
    "phi-normed-gqa": (T.PhiConfig, dict(base, hidden_size=64, qk_layernorm=True, rope_parameters=rope(partial_rotary_factor=0.25))),
    "phi-mha-tied-gelu": (T.PhiConfig, dict(mha, tie_word_embeddings=True, hidden_act="gelu", layer_norm_eps=0.02, rope_parameters=rope(partial_rotary_factor=1.0))),
    "phi-yarn": (T.PhiConfig, dict(base, hidden_size=64, rope_parameters=yarn(partial_rotary_factor=0.5))),
}
