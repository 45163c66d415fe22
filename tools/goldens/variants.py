#!/usr/bin/env python3
"""Compares strata with transformers on random variants of the supported architectures: head counts, tied embeddings, biases,
expert counts, rope scalings, dense layers.  Usage: variants.py STRATA     (needs torch and transformers)
Prints the largest |logit error| / range of each variant over 40 positions; exits with 1 when one is above 1e-3.
"""
import json
import subprocess
import sys
import tempfile

import torch
import transformers as T

torch.manual_seed(0)
torch.set_num_threads(1)
base = dict(vocab_size=301, hidden_size=48, intermediate_size=80, num_hidden_layers=3, max_position_embeddings=512)
moe = dict(base, num_attention_heads=4, num_key_value_heads=2, head_dim=16, moe_intermediate_size=24, num_experts=7, num_experts_per_tok=3)
mla = dict(base, num_attention_heads=3, num_key_value_heads=3, moe_intermediate_size=20, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2,
           kv_lora_rank=24, q_lora_rank=None, qk_rope_head_dim=8, qk_nope_head_dim=12, v_head_dim=20, n_group=1, topk_group=1, first_k_dense_replace=1)
VARIANTS = {
    "llama-mqa-bias-tied": (T.LlamaConfig, dict(base, num_attention_heads=3, num_key_value_heads=1, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "llama-mha-head20": (T.LlamaConfig, dict(base, num_attention_heads=6, num_key_value_heads=6, head_dim=20)),
    "llama-gelu": (T.LlamaConfig, dict(base, num_attention_heads=4, num_key_value_heads=2, hidden_act="gelu_pytorch_tanh")),
    "llama-linear": (T.LlamaConfig, dict(base, num_attention_heads=4, num_key_value_heads=2, rope_scaling={"rope_type": "linear", "factor": 3.0})),
    "llama-dynamic": (T.LlamaConfig, dict(base, num_attention_heads=4, num_key_value_heads=2, rope_scaling={"rope_type": "dynamic", "factor": 3.0})),
    "llama-yarn": (T.LlamaConfig, dict(base, num_attention_heads=4, num_key_value_heads=2,
                                       rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128})),
    "llama-llama3": (T.LlamaConfig, dict(base, num_attention_heads=4, num_key_value_heads=2,
                                         rope_scaling={"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                                       "original_max_position_embeddings": 64})),
    "qwen3moe-7-experts": (T.Qwen3MoeConfig, dict(moe, norm_topk_prob=False)),
    "qwen3moe-some-dense": (T.Qwen3MoeConfig, dict(moe, norm_topk_prob=True, decoder_sparse_step=2, tie_word_embeddings=True, attention_bias=True)),
    "qwen3moe-mlp-only": (T.Qwen3MoeConfig, dict(moe, mlp_only_layers=[1], norm_topk_prob=True)),
    "deepseek-no-q-lora": (T.DeepseekV3Config, dict(mla)),
    "deepseek-groups": (T.DeepseekV3Config, dict(mla, n_group=3, topk_group=2, q_lora_rank=16, norm_topk_prob=False, routed_scaling_factor=1.7)),
    "deepseek-all-dense": (T.DeepseekV3Config, dict(mla, first_k_dense_replace=3, tie_word_embeddings=True)),
}
worst = 0
for name, (config_class, fields) in VARIANTS.items():
    model = T.AutoModelForCausalLM.from_config(config_class(**fields), attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1 if parameter.dim() == 1 else 0))
        ids = torch.randint(0, 301, (1, 40))
        want = model(ids).logits[0]
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        done = subprocess.run([sys.argv[1], "logits", folder, "--tokens", ",".join(map(str, ids[0].tolist())), "--cache-type", "F32"], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{name:24} FAILED {done.stderr.strip()}")
        worst = 1
        continue
    got = torch.zeros_like(want)
    for position, row in enumerate(json.loads(done.stdout)["positions"]):
        for token, logit in row:
            got[position, token] = logit
    error = ((got - want).abs().max() / (want.max() - want.min())).item()
    worst = max(worst, error)
    print(f"{name:24} {error:.1e}")
sys.exit(worst > 1e-3)
