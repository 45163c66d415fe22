#!/usr/bin/env python3
"""Makes tests/data/arch: one tiny model per architecture of the second ring, with what transformers computes with it.

Random weights, one thread, eager attention, float32; everything is drawn from the seed that golden.json names. Weights are large, no norm weight is 1 and
no bias 0, so that a forgotten norm, bias, scale, window or rope parameter moves the logits. Weights are stored as F16, whose products with fp32 activations
every table of kernels computes in fp32; the values were computed from exactly these numbers. About half of the configurations have the old published
spellings, the others those of transformers 5; each folder was loaded again as it lies there and gave the same logits.
Needs torch, transformers and safetensors.  Usage: second_ring.py OUT [NAME ...]
"""
import copy
import json
import pathlib
import sys

import safetensors.torch
import torch
import transformers as T

VOCAB = 128
base = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
            bos_token_id=1, eos_token_id=2, pad_token_id=None)
no_kv = {k: v for k, v in base.items() if k != "num_key_value_heads"}
no_ff = {k: v for k, v in no_kv.items() if k != "intermediate_size"}
mla = dict(base, num_key_value_heads=4, moe_intermediate_size=16, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2, kv_lora_rank=20, qk_rope_head_dim=8,
           qk_nope_head_dim=12, v_head_dim=16, first_k_dense_replace=1)


def rope(theta, **more):
    return {"rope_type": "default", "rope_theta": theta, **more}


def plain_old(c):
    """What transformers 5 writes -> rope_theta, rope_scaling and partial_rotary_factor beside the other fields, as models were published until 2025."""
    fields = c.pop("rope_parameters", None) or {}
    c["torch_dtype"] = c.pop("dtype", "float16")
    c.pop("layer_types", None)
    if "rope_theta" in fields:
        c["rope_theta"] = fields.pop("rope_theta")
    if "partial_rotary_factor" in fields:
        c["partial_rotary_factor"] = fields.pop("partial_rotary_factor")
    if fields.get("rope_type", "default") != "default":
        fields["type"] = fields.pop("rope_type")
        c["rope_scaling"] = fields


def gemma3_old(c):
    text = c["text_config"]
    fields = text.pop("rope_parameters")
    text.pop("layer_types")
    text["rope_theta"] = fields["full_attention"].pop("rope_theta")
    text["rope_scaling"] = fields["full_attention"]
    text["rope_local_base_freq"] = fields["sliding_attention"]["rope_theta"]
    text["sliding_window_pattern"] = 2
    c["torch_dtype"] = c.pop("dtype", "float16")


def falcon_old(c):
    plain_old(c)
    if not c["new_decoder_architecture"]:
        c.pop("num_kv_heads")
        c.pop("ffn_hidden_size")
    c.pop("num_ln_in_parallel_attn", None)


def neox_old(c):
    fields = c.pop("rope_parameters")
    c["rotary_emb_base"] = int(fields["rope_theta"])
    c["rotary_pct"] = fields["partial_rotary_factor"]
    c["torch_dtype"] = c.pop("dtype", "float16")


def old_gemma_name(name):
    for new, old in (("model.language_model.", "language_model.model."), ("model.vision_tower.", "vision_tower."), ("model.multi_modal_projector.", "multi_modal_projector.")):
        if name.startswith(new):
            return old + name[len(new):]
    return name


gemma_text = dict(base, num_hidden_layers=4, head_dim=12, sliding_window=20, query_pre_attn_scalar=20, rms_norm_eps=0.01, intermediate_size=40,
                  rope_parameters={"sliding_attention": rope(1000.0), "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 50000.0}})
moe = dict(base, moe_intermediate_size=16, num_experts=5, num_experts_per_tok=2)
# name: (config class, fields, the change that makes the old spelling or None, renaming of tensors or None)
CASES = {
    "gemma3": (T.Gemma3TextConfig, dict(gemma_text, layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
                                        sliding_window=24, attention_bias=True), None, None),
    "gemma3-text-part": (T.Gemma3Config, dict(
        text_config=dict(gemma_text, num_hidden_layers=2, sliding_window_pattern=2), mm_tokens_per_image=4, tie_word_embeddings=True,
        vision_config=dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8)), gemma3_old, old_gemma_name),
    "qwen2-moe": (T.Qwen2MoeConfig, dict(moe, shared_expert_intermediate_size=24, norm_topk_prob=False, decoder_sparse_step=1, rms_norm_eps=0.01), plain_old, None),
    "olmoe": (T.OlmoeConfig, dict(base, num_experts=6, num_experts_per_tok=3, intermediate_size=16, num_key_value_heads=4, clip_qkv=1.5), None, None),
    "deepseek-v2-lite": (T.DeepseekV2Config, dict(
        mla, q_lora_rank=None, topk_method="greedy", n_group=1, topk_group=1, routed_scaling_factor=1.0, norm_topk_prob=False,
        rope_parameters=dict(rope(10000.0), rope_type="yarn", factor=8.0, original_max_position_embeddings=32, beta_fast=32, beta_slow=1, mscale=0.707,
                             mscale_all_dim=0.707)), plain_old, None),
    "deepseek-v2": (T.DeepseekV2Config, dict(mla, q_lora_rank=16, topk_method="group_limited_greedy", n_group=3, topk_group=2, routed_scaling_factor=1.6,
                                             rope_parameters=rope(5000.0)), None, None),
    "starcoder2": (T.Starcoder2Config, dict(base, sliding_window=24, norm_epsilon=0.01, use_bias=True, tie_word_embeddings=True,
                                            rope_parameters=rope(100000.0)), plain_old, None),
    "stablelm": (T.StableLmConfig, dict(base, use_qkv_bias=True, layer_norm_eps=0.01, rope_parameters=rope(10000.0, partial_rotary_factor=0.5)), plain_old, None),
    "stablelm-parallel": (T.StableLmConfig, dict(base, use_parallel_residual=True, qk_layernorm=True, rope_parameters=rope(10000.0, partial_rotary_factor=0.25)), None, None),
    "cohere": (T.CohereConfig, dict(base, use_qk_norm=True, logit_scale=0.25, layer_norm_eps=0.01, rope_parameters=rope(75000.0)), plain_old, None),
    "cohere2": (T.Cohere2Config, dict(base, num_hidden_layers=3, logit_scale=0.25, sliding_window=20, rope_parameters=rope(50000.0),
                                      layer_types=["sliding_attention", "sliding_attention", "full_attention"]), None, None),
    "granite": (T.GraniteConfig, dict(base, embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.4, attention_multiplier=0.2, mlp_bias=True,
                                      attention_bias=True), plain_old, None),
    "granitemoe": (T.GraniteMoeConfig, dict(base, embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.4, attention_multiplier=0.2, intermediate_size=16,
                                            num_local_experts=5, num_experts_per_tok=2, tie_word_embeddings=True), None, None),
    "granitemoe-shared": (T.GraniteMoeSharedConfig, dict(
        base, embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.4, attention_multiplier=0.2, intermediate_size=16, num_local_experts=5,
        num_experts_per_tok=2, shared_intermediate_size=20, tie_word_embeddings=True), plain_old, None),
    "smollm3": (T.SmolLM3Config, dict(base, num_hidden_layers=3, no_rope_layers=[1, 0, 1], rope_parameters=rope(50000.0)), plain_old, None),
    "glm": (T.GlmConfig, dict(base, head_dim=12, rms_norm_eps=0.01, rope_parameters=rope(10000.0, partial_rotary_factor=0.5)), plain_old, None),
    "glm4": (T.Glm4Config, dict(base, head_dim=16, attention_bias=False, rope_parameters=rope(10000.0, partial_rotary_factor=0.5)), None, None),
    "nemotron": (T.NemotronConfig, dict(base, head_dim=12, norm_eps=0.01, rope_parameters=rope(10000.0, partial_rotary_factor=0.5)), plain_old, None),
    "falcon-7b": (T.FalconConfig, dict(no_ff, rope_parameters=rope(10000.0), multi_query=True, parallel_attn=True, layer_norm_epsilon=0.01), falcon_old, None),
    "falcon-40b": (T.FalconConfig, dict(no_ff, num_kv_heads=2, new_decoder_architecture=True, ffn_hidden_size=64, bias=True, rope_parameters=rope(10000.0)),
                   None, None),
    "falcon-rw": (T.FalconConfig, dict(no_ff, num_attention_heads=6, hidden_size=24, alibi=True, multi_query=False, parallel_attn=False, bias=True),
                  falcon_old, None),
    "gpt-neox": (T.GPTNeoXConfig, dict(no_kv, layer_norm_eps=0.01, rope_parameters=rope(20000.0, partial_rotary_factor=0.25)), neox_old,
                 lambda name: name.replace("lm_head.", "embed_out.")),
    "gpt-neox-sequential": (T.GPTNeoXConfig, dict(no_kv, use_parallel_residual=False, hidden_act="gelu_fast", rope_parameters=rope(10000.0, partial_rotary_factor=1.0)),
                            None, None),
    "phi": (T.PhiConfig, dict(base, layer_norm_eps=0.01, qk_layernorm=True, rope_parameters=rope(10000.0, partial_rotary_factor=0.5)), plain_old, None),
}


def random_weights(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            draw = torch.randn(p.shape, generator=generator)
            is_vector = p.dim() == 1 or "norm" in name
            centre = 1.0 if is_vector and name.endswith("weight") and not isinstance(owner(model, name), (T.models.gemma3.modeling_gemma3.Gemma3RMSNorm,
                                                                                                     T.models.nemotron.modeling_nemotron.NemotronLayerNorm1P)) else 0.0
            p.copy_((draw * (0.3 if is_vector else 0.25) + centre).half().float())


def owner(model, name):
    return model.get_submodule(name.rpartition(".")[0])


def automatic(case):
    return T.AutoModelForImageTextToText if case == "gemma3-text-part" else T.AutoModelForCausalLM


def forms(case):
    # Falcon adds ALiBi twice in its eager form (to the mask and to the scores), once in the other: once is what its models were trained with.
    return dict(attn_implementation="sdpa" if case == "falcon-rw" else "eager", experts_implementation="eager")


def numbers(values):
    return [float(f"{v:.6g}") for v in values]


@torch.no_grad()
def golden_prompt(model, ids):
    logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    last = logits[-1]
    exact = copy.deepcopy(model).double()(torch.tensor([ids]), use_cache=False).logits[0]
    logprobs = torch.log_softmax(logits[:-1], -1)[range(len(ids) - 1), ids[1:]]
    path, gaps = list(ids), []
    for _ in range(32):
        top = model(torch.tensor([path]), use_cache=False).logits[0, -1].topk(2)
        gaps.append((top.values[0] - top.values[1]).item())
        path.append(top.indices[0].item())
    step = min(range(32), key=gaps.__getitem__)
    return dict(ids=ids, last_logits=numbers(last.tolist()), logit_range=numbers([(last.max() - last.min()).item()])[0], greedy_ids=path[len(ids):],
                greedy_min_gap=numbers([gaps[step]])[0], greedy_min_gap_step=step, token_logprobs=numbers(logprobs.tolist()),
                fp32_vs_fp64_max_abs=float(f"{(logits - exact).abs().max().item():.1e}"))


def make(case, out, seed):
    config_class, fields, old, rename = CASES[case]
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    config = config_class(**json.loads(json.dumps(fields)))
    model = automatic(case).from_config(config, **forms(case)).eval()
    random_weights(model, generator)
    folder = out / case
    copy.deepcopy(model).half().save_pretrained(folder)  # of a copy: half() rounds buffers too
    (folder / "generation_config.json").unlink(missing_ok=True)
    text = json.loads((folder / "config.json").read_text())
    if old:
        old(text)
    text.pop("transformers_version", None)
    (folder / "config.json").write_text(json.dumps(text, indent=1) + "\n")
    if rename:
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
        safetensors.torch.save_file({rename(name): tensor for name, tensor in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    ids = torch.randint(3, VOCAB, (94,), generator=generator).tolist()
    prompts = [ids[:24], ids[24:]]
    loaded = automatic(case).from_pretrained(folder, dtype=torch.float32, **forms(case)).eval()
    with torch.no_grad():
        for prompt in prompts:
            assert torch.equal(model(torch.tensor([prompt])).logits, loaded(torch.tensor([prompt])).logits), f"{case}: the folder gives other logits"
    golden = [golden_prompt(loaded, prompt) for prompt in prompts]
    if any(p["greedy_min_gap"] < 2e-3 * p["logit_range"] for p in golden):
        return False  # too close for a test of equality: other weights
    (folder / "golden.json").write_text(json.dumps(dict(architecture=text["architectures"][0], kind="generate", seed=seed, torch=torch.__version__.split("+")[0],
                                                        transformers=T.__version__, prompts=golden)) + "\n")
    size = (folder / "model.safetensors").stat().st_size
    print(f"{case:20} seed {seed} {size / 1024:5.0f} KiB  range {golden[0]['logit_range']:.3g}  gap {min(p['greedy_min_gap'] for p in golden):.1e}  "
          f"fp32 {max(p['fp32_vs_fp64_max_abs'] / p['logit_range'] for p in golden):.0e}")
    return True


if __name__ == "__main__":
    torch.set_num_threads(1)
    T.logging.set_verbosity_error()
    T.logging.disable_progress_bar()
    for case in sys.argv[2:] or CASES:
        next(seed for seed in range(1, 30) if make(case, pathlib.Path(sys.argv[1]), seed))
