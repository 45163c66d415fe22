#!/usr/bin/env python3
"""Compares strata with transformers on random variants of the supported architectures: head counts, ties, biases, windows, soft caps, experts, rope
scalings, activations, files in shards. Every variant runs with the configuration as transformers writes it and in the older spelling (rope_theta beside
rope_scaling, no layer_types).  Usage: variants.py STRATA [NAME ...]     (needs torch and transformers; names: all whose name begins so)
Prints the largest |logit error| / range of each variant over all positions; exits with 1 when one is above 1e-3.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import safetensors.torch
import torch
import transformers as T

import variants_second_ring

torch.set_num_threads(1)
T.utils.logging.disable_progress_bar()
T.utils.logging.set_verbosity_error()
base = dict(vocab_size=301, hidden_size=48, intermediate_size=80, num_hidden_layers=3, max_position_embeddings=512)
gqa = dict(base, num_attention_heads=4, num_key_value_heads=2)
moe = dict(gqa, head_dim=16, moe_intermediate_size=24, num_experts=7, num_experts_per_tok=3)
mla = dict(base, num_attention_heads=3, num_key_value_heads=3, moe_intermediate_size=20, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2,
           kv_lora_rank=24, q_lora_rank=None, qk_rope_head_dim=8, qk_nope_head_dim=12, v_head_dim=20, n_group=1, topk_group=1, first_k_dense_replace=1)
gpt2 = dict(vocab_size=301, n_embd=48, n_layer=3, n_head=4, n_positions=512)
oss = dict(gqa, head_dim=16, intermediate_size=24, num_local_experts=6, num_experts_per_tok=2, sliding_window=7)


def yarn(**more):
    return {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 10000.0, **more}


def llama3():
    return {"rope_type": "llama3", "rope_theta": 50000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}


def longrope(n, **more):
    return {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1 + 0.07 * i for i in range(n)], "long_factor": [1.5 + 0.4 * i for i in range(n)],
            "original_max_position_embeddings": 32, **more}


# name: (configuration class, fields, options). Options: tokens (how many), shards (several files), raw (tensors named and laid out as in memory), half (stored as
# F16, computed by transformers in fp32), new_only (there is no older spelling). Those of the second ring are in variants_second_ring.py.
VARIANTS = {
    "llama-mqa-bias-tied": (T.LlamaConfig, dict(base, num_attention_heads=3, num_key_value_heads=1, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "llama-mha-head20": (T.LlamaConfig, dict(base, num_attention_heads=6, num_key_value_heads=6, head_dim=20)),
    "llama-gelu-shards": (T.LlamaConfig, dict(gqa, hidden_act="gelu_pytorch_tanh"), {"shards": True}),
    "llama-linear": (T.LlamaConfig, dict(gqa, rope_parameters={"rope_type": "linear", "factor": 3.0, "rope_theta": 10000.0})),
    "llama-dynamic": (T.LlamaConfig, dict(gqa, rope_parameters={"rope_type": "dynamic", "factor": 3.0, "rope_theta": 10000.0})),
    "llama-yarn": (T.LlamaConfig, dict(gqa, rope_parameters=yarn(original_max_position_embeddings=128))),
    "llama-yarn-attention-factor": (T.LlamaConfig, dict(gqa, rope_parameters=yarn(attention_factor=0.7, beta_fast=20.0, beta_slow=2.0))),
    "llama-llama3": (T.LlamaConfig, dict(gqa, rope_parameters=llama3())),
    "mistral-no-window": (T.MistralConfig, dict(gqa, sliding_window=None)),
    "mistral-window-1": (T.MistralConfig, dict(gqa, sliding_window=1)),
    "mistral-window-head24": (T.MistralConfig, dict(gqa, sliding_window=9, head_dim=24, tie_word_embeddings=True)),
    "mistral-mqa-yarn": (T.MistralConfig, dict(base, num_attention_heads=6, num_key_value_heads=1, head_dim=16, sliding_window=17, rope_parameters=yarn())),
    "mistral-theta-shards": (T.MistralConfig, dict(gqa, sliding_window=None, rope_parameters={"rope_type": "default", "rope_theta": 1e6}), {"shards": True}),
    "qwen2-tied": (T.Qwen2Config, dict(gqa, tie_word_embeddings=True)),
    "qwen2-mha-untied": (T.Qwen2Config, dict(base, num_attention_heads=4, num_key_value_heads=4, rms_norm_eps=1e-3)),
    "qwen2-window-from-1": (T.Qwen2Config, dict(gqa, use_sliding_window=True, sliding_window=8, max_window_layers=1)),
    "qwen2-window-unused": (T.Qwen2Config, dict(gqa, use_sliding_window=False, sliding_window=8, max_window_layers=1)),
    "qwen2-layer-types": (T.Qwen2Config, dict(gqa, use_sliding_window=True, sliding_window=8,
                                              layer_types=["sliding_attention", "full_attention", "sliding_attention"]), {"new_only": True}),
    "qwen2-yarn": (T.Qwen2Config, dict(gqa, rope_parameters=yarn(rope_theta=1e6))),
    "qwen3-bias": (T.Qwen3Config, dict(gqa, head_dim=24, attention_bias=True, tie_word_embeddings=True)),
    "qwen3-mha-gelu": (T.Qwen3Config, dict(base, num_attention_heads=4, num_key_value_heads=4, head_dim=12, hidden_act="gelu")),
    "qwen3-window-yarn": (T.Qwen3Config, dict(gqa, head_dim=16, use_sliding_window=True, sliding_window=6, max_window_layers=2, rope_parameters=yarn())),
    "qwen3-deep": (T.Qwen3Config, dict(gqa, head_dim=16, num_hidden_layers=7), {"shards": True}),
    "qwen3moe-7-experts": (T.Qwen3MoeConfig, dict(moe, norm_topk_prob=False)),
    "qwen3moe-some-dense": (T.Qwen3MoeConfig, dict(moe, norm_topk_prob=True, decoder_sparse_step=2, tie_word_embeddings=True, attention_bias=True)),
    "qwen3moe-mlp-only": (T.Qwen3MoeConfig, dict(moe, mlp_only_layers=[1], norm_topk_prob=True)),
    "qwen3moe-raw": (T.Qwen3MoeConfig, dict(moe, norm_topk_prob=True), {"raw": True}),
    "mixtral-top1": (T.MixtralConfig, dict(gqa, num_local_experts=5, num_experts_per_tok=1)),
    "mixtral-all-experts": (T.MixtralConfig, dict(gqa, num_local_experts=3, num_experts_per_tok=3, tie_word_embeddings=True)),
    "mixtral-window-head20": (T.MixtralConfig, dict(gqa, num_local_experts=8, sliding_window=10, head_dim=20, rope_parameters={"rope_type": "default", "rope_theta": 1e4})),
    "mixtral-raw": (T.MixtralConfig, dict(gqa, num_local_experts=4), {"raw": True}),
    "mixtral-yarn-shards": (T.MixtralConfig, dict(gqa, head_dim=12, num_local_experts=4, rope_parameters=yarn()), {"shards": True}),
    "gemma2-odd-layers": (T.Gemma2Config, dict(gqa, head_dim=16, num_hidden_layers=5, sliding_window=8, query_pre_attn_scalar=10)),
    "gemma2-no-caps": (T.Gemma2Config, dict(gqa, head_dim=16, sliding_window=8, attn_logit_softcapping=None, final_logit_softcapping=None)),
    "gemma2-caps-bias": (T.Gemma2Config, dict(gqa, head_dim=20, sliding_window=5, attn_logit_softcapping=2.0, final_logit_softcapping=1.5, attention_bias=True)),
    "gemma2-untied-all-full": (T.Gemma2Config, dict(gqa, head_dim=16, tie_word_embeddings=False, layer_types=["full_attention"] * 3, query_pre_attn_scalar=99),
                               {"new_only": True}),
    "gemma2-mqa-gelu": (T.Gemma2Config, dict(base, num_attention_heads=4, num_key_value_heads=1, head_dim=16, hidden_activation="gelu", sliding_window=600,
                                             layer_types=["full_attention"] * 3)),
    "olmo2-gqa": (T.Olmo2Config, dict(gqa, pad_token_id=None)),
    "olmo2-mqa-bias-tied": (T.Olmo2Config, dict(base, num_attention_heads=4, num_key_value_heads=1, attention_bias=True, tie_word_embeddings=True, pad_token_id=None)),
    "olmo2-yarn": (T.Olmo2Config, dict(base, num_attention_heads=6, num_key_value_heads=6, rope_parameters=yarn(rope_theta=5e5), pad_token_id=None)),
    "phi3-plain": (T.Phi3Config, dict(base, num_attention_heads=4, num_key_value_heads=4, pad_token_id=None)),
    "phi3-gqa-window": (T.Phi3Config, dict(gqa, sliding_window=11, pad_token_id=None)),
    "phi3-partial-tied": (T.Phi3Config, dict(gqa, rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
                                             tie_word_embeddings=True, pad_token_id=None)),
    "phi3-longrope-short": (T.Phi3Config, dict(gqa, rope_parameters=longrope(6), original_max_position_embeddings=32, pad_token_id=None), {"tokens": 32}),
    "phi3-longrope-long": (T.Phi3Config, dict(gqa, rope_parameters=longrope(6), original_max_position_embeddings=32, pad_token_id=None), {"tokens": 33}),
    "phi3-longrope-partial": (T.Phi3Config, dict(gqa, rope_parameters=longrope(3, partial_rotary_factor=0.5), original_max_position_embeddings=32,
                                                 pad_token_id=None), {"tokens": 70}),
    "phi3-longrope-factor": (T.Phi3Config, dict(gqa, rope_parameters=longrope(6, attention_factor=1.4), original_max_position_embeddings=32, pad_token_id=None)),
    "phi3-shards": (T.Phi3Config, dict(gqa, pad_token_id=None), {"shards": True}),
    "gpt2-plain": (T.GPT2Config, dict(gpt2)),
    "gpt2-by-layer": (T.GPT2Config, dict(gpt2, scale_attn_by_inverse_layer_idx=True, n_inner=100)),
    "gpt2-unscaled-relu": (T.GPT2Config, dict(gpt2, scale_attn_weights=False, activation_function="relu")),
    "gpt2-untied-silu": (T.GPT2Config, dict(gpt2, tie_word_embeddings=False, activation_function="silu", n_head=3, layer_norm_epsilon=1e-2)),
    "gpt2-reordered": (T.GPT2Config, dict(gpt2, reorder_and_upcast_attn=True, activation_function="gelu")),
    "gpt-oss-windows": (T.GptOssConfig, dict(oss, rope_parameters=yarn(truncate=False, rope_theta=150000.0))),
    "gpt-oss-top1-limit": (T.GptOssConfig, dict(oss, num_experts_per_tok=1, swiglu_limit=0.7, swiglu_alpha=1.3, rope_parameters=yarn(truncate=True))),
    "gpt-oss-full-no-bias": (T.GptOssConfig, dict(oss, attention_bias=False, layer_types=["full_attention"] * 3, tie_word_embeddings=True,
                                                  rope_parameters={"rope_type": "default", "rope_theta": 1e4}), {"new_only": True}),
    "gpt-oss-top4-mqa": (T.GptOssConfig, dict(oss, num_key_value_heads=1, num_experts_per_tok=4, num_hidden_layers=4), {"shards": True}),
    "gpt2-half": (T.GPT2Config, dict(gpt2, n_layer=2), {"half": True}),
    "phi3-half": (T.Phi3Config, dict(gqa, pad_token_id=None), {"half": True}),
    "gpt-oss-half": (T.GptOssConfig, dict(oss, rope_parameters=yarn(truncate=False)), {"half": True}),
    "mixtral-half-raw": (T.MixtralConfig, dict(gqa, num_local_experts=4), {"half": True, "raw": True}),
    "deepseek-no-q-lora": (T.DeepseekV3Config, dict(mla)),
    "deepseek-groups": (T.DeepseekV3Config, dict(mla, n_group=3, topk_group=2, q_lora_rank=16, norm_topk_prob=False, routed_scaling_factor=1.7)),
    "deepseek-all-dense": (T.DeepseekV3Config, dict(mla, first_k_dense_replace=3, tie_word_embeddings=True)),
    "deepseek-yarn": (T.DeepseekV3Config, dict(mla, rope_parameters=yarn(mscale=0.8, mscale_all_dim=1.1))),
}


def old_spelling(folder, change=None):
    """What transformers 5 writes as models were published until 2025; `change` is an architecture's own part of that."""
    path = pathlib.Path(folder) / "config.json"
    config = json.loads(path.read_text())
    if change:
        change(config)
    fields = config.pop("rope_parameters", None) or {}
    config.pop("layer_types", None)
    config["torch_dtype"] = config.pop("dtype", "float32")
    for key in ("rope_theta", "partial_rotary_factor"):
        if key in fields:
            config[key] = fields.pop(key)
    if fields.get("rope_type", "default") != "default":
        fields["type"] = fields.pop("rope_type")
        config["rope_scaling"] = fields
    path.write_text(json.dumps(config))


def error_of(folder, ids, want):
    done = subprocess.run([sys.argv[1], "logits", folder, "--tokens", ",".join(map(str, ids[0].tolist())), "--cache-type", "F32"], capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr.strip(), file=sys.stderr)
        return 9.0
    got = torch.zeros_like(want)
    for position, row in enumerate(json.loads(done.stdout)["positions"]):
        for token, logit in row:
            got[position, token] = logit
    return ((got - want).abs().max() / (want.max() - want.min())).item()


worst = 0
for number, (name, (config_class, fields, *options)) in enumerate((VARIANTS | variants_second_ring.VARIANTS).items()):
    if len(sys.argv) > 2 and not any(name.startswith(wanted) for wanted in sys.argv[2:]):
        continue
    option = options[0] if options else {}
    torch.manual_seed(number)
    model = T.AutoModelForCausalLM.from_config(config_class(**fields), attn_implementation="sdpa" if option.get("sdpa") else "eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1 if parameter.dim() == 1 else 0))
            if option.get("half"):
                parameter.copy_(parameter.half())
        ids = torch.randint(0, 301, (1, option.get("tokens", 40)))
        want = model(ids).logits[0]
    with tempfile.TemporaryDirectory() as folder:
        if option.get("half"):
            model = model.half()
        model.save_pretrained(folder, max_shard_size="40KB" if option.get("shards") else "50GB")
        if option.get("raw"):
            tied = getattr(model.config, "tie_word_embeddings", False)
            state = {key: tensor.contiguous() for key, tensor in model.state_dict().items() if not (tied and key == "lm_head.weight")}
            safetensors.torch.save_file(state, folder + "/model.safetensors")
        errors = [error_of(folder, ids, want)]
        if not option.get("new_only"):
            old_spelling(folder, option.get("old"))
            errors.append(error_of(folder, ids, want))
    worst = max(worst, *errors)
    print(f"{name:31} " + " ".join(f"{error:.1e}" for error in errors), flush=True)
print(f"worst {worst:.1e}")
sys.exit(worst > 1e-3)
