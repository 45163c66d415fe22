#!/usr/bin/env python3
"""Write golden values for the tests from a bundled model, computed without Strata: transformers in float32 on the
dequantized weights, Hugging Face's tokenizers and Jinja2.

    golden.py [MODEL.gguf] [FILE.json]
"""

import argparse
import json
from pathlib import Path

import gguf
import jinja2
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, LlamaForCausalLM

REPO = Path(__file__).resolve().parent.parent.parent
PROMPT = "Once upon a time"
CHATS = (
    ([{"role": "user", "content": "Tell me a story about a fox."}], True),
    ([{"role": "system", "content": "You are a storyteller."},
      {"role": "user", "content": "Tell me a tale of a king and a raven."}], True),
    ([{"role": "user", "content": "Tell me a story about a miller."},
      {"role": "assistant", "content": "There was once a miller who was poor."},
      {"role": "user", "content": "Go on."},
      {"role": "assistant", "content": "  He had a \"beautiful\" daughter.\n\nAnd a Müller's dog. "}], False),
)
NOTE = ("Computed by tools/bundled_model/golden.py: transformers in float32 on the dequantized weights (dequantize first, "
        "then float32 matrix products; activations are not quantized). Token ids: Hugging Face's tokenizers. Chat texts "
        "begin with the BOS that the template writes; no second one is added. margins[i] is the gap between the two best "
        "logits at greedy step i.")


def unpermute(weight, heads):
    """Rows of a head from interleaved pairs, as GGUF has them, to the two halves of Hugging Face's RoPE."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def load_model(reader):
    field = lambda key: reader.get_field(key).contents()
    heads, kv_heads = field("llama.attention.head_count"), field("llama.attention.head_count_kv")
    layers, hidden = field("llama.block_count"), field("llama.embedding_length")
    weights = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    state = {"model.embed_tokens.weight": weights["token_embd.weight"], "model.norm.weight": weights["output_norm.weight"]}
    names = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
             "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    for i in range(layers):
        for ours, theirs in names.items():
            weight = weights[f"blk.{i}.{ours}.weight"]
            if ours in ("attn_q", "attn_k"):
                weight = unpermute(weight, heads if ours == "attn_q" else kv_heads)
            state[f"model.layers.{i}.{theirs}.weight"] = weight
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    config = AutoConfig.for_model(
        "llama", vocab_size=len(state["lm_head.weight"]), hidden_size=hidden, num_hidden_layers=layers,
        intermediate_size=field("llama.feed_forward_length"), num_attention_heads=heads, num_key_value_heads=kv_heads,
        rms_norm_eps=field("llama.attention.layer_norm_rms_epsilon"), max_position_embeddings=field("llama.context_length"),
        rope_theta=field("llama.rope.freq_base"), tie_word_embeddings=True)
    model = LlamaForCausalLM(config).float().eval()
    model.load_state_dict({name: torch.tensor(value.astype("float32")) for name, value in state.items()})
    return model


def render(template, tokenizer, bos, messages, add_generation_prompt):
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(template).render(
        messages=messages, add_generation_prompt=add_generation_prompt, bos_token=bos)
    return {"messages": messages, "add_generation_prompt": add_generation_prompt, "text": text,
            "ids": tokenizer.encode(text, add_special_tokens=False).ids}


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=REPO / "models/strata-tales.gguf")
    parser.add_argument("out", type=Path, nargs="?", default=REPO / "tests/data/bundled/golden.json")
    args = parser.parse_args()
    reader = gguf.GGUFReader(str(args.model))
    field = lambda key: reader.get_field(key).contents()
    tokenizer = Tokenizer.from_str(field("tokenizer.huggingface.json"))
    model = load_model(reader)
    template = field("tokenizer.chat_template")
    bos = field("tokenizer.ggml.tokens")[field("tokenizer.ggml.bos_token_id")]

    ids = tokenizer.encode(PROMPT).ids
    top = model(torch.tensor([ids])).logits[0, -1].topk(10)
    # Greedy continuation, and how clear each choice was: a test may stop where it is too close.
    greedy, margins = [], []
    for _ in range(32):
        best = model(torch.tensor([ids + greedy])).logits[0, -1].topk(2)
        greedy.append(int(best.indices[0]))
        margins.append(round(float(best.values[0] - best.values[1]), 4))
    result = {
        "note": NOTE,
        "model": f"models/{args.model.name}",
        "prompt": PROMPT,
        "ids": ids,
        "top_logits": [[int(i), round(float(v), 5)] for v, i in zip(top.values, top.indices)],
        "greedy_ids": greedy,
        "margins": margins,
        "greedy_text": tokenizer.decode(ids + greedy),
        "chat_template": template,
        "chats": [render(template, tokenizer, bos, *chat) for chat in CHATS],
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("wrote", args.out, "smallest greedy margin", min(margins), "-", result["greedy_text"])


if __name__ == "__main__":
    main()
