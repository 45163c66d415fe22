#!/usr/bin/env python3
"""Encoders as transformers computes them: tiny models with random weights.  (needs torch and transformers)

encoders.py --write FOLDER   writes the committed cases (tests/data/arch): a Hugging Face folder each, with golden.json
encoders.py STRATA           compares strata with transformers on the committed cases and on further variants; prints the
                             largest absolute error of each and exits with 1 when one is above 1e-4
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import safetensors.torch
import torch
import transformers as T

torch.set_num_threads(1)
SIZE = dict(vocab_size=61, hidden_size=24, num_attention_heads=3, num_hidden_layers=2, intermediate_size=40, max_position_embeddings=48, pad_token_id=0)
ROBERTA = dict(SIZE, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1)
DISTIL = dict(vocab_size=61, dim=24, n_heads=3, n_layers=2, hidden_dim=40, max_position_embeddings=48, pad_token_id=0)
NOMIC = dict(SIZE, rope_parameters={"rope_theta": 1000.0, "rope_type": "default"})
MODERN = dict(SIZE, num_hidden_layers=3, intermediate_size=18, local_attention=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
              max_position_embeddings=64)

QWEN = dict(vocab_size=61, hidden_size=24, num_attention_heads=3, num_key_value_heads=1, head_dim=8, num_hidden_layers=2, intermediate_size=40, max_position_embeddings=64,
            pad_token_id=0, tie_word_embeddings=True)

# name -> (model class, configuration, number of labels or None)
COMMITTED = {
    "roberta": (T.RobertaModel, T.RobertaConfig(**ROBERTA), None),
    "xlm-roberta-rerank": (T.XLMRobertaForSequenceClassification, T.XLMRobertaConfig(**ROBERTA, num_labels=1), 1),
    "distilbert": (T.DistilBertModel, T.DistilBertConfig(**DISTIL), None),
    "distilbert-labels": (T.DistilBertForSequenceClassification, T.DistilBertConfig(**DISTIL, num_labels=3), 3),
    "nomic-bert": (T.NomicBertModel, T.NomicBertConfig(**NOMIC), None),
    "nomic-bert-published": (T.NomicBertModel, T.NomicBertConfig(**NOMIC), None),
    "modernbert": (T.ModernBertModel, T.ModernBertConfig(**MODERN), None),
    "modernbert-rerank": (T.ModernBertForSequenceClassification, T.ModernBertConfig(**MODERN, num_labels=1, classifier_pooling="mean"), 1),
    "qwen3-embedding": (T.Qwen3Model, T.Qwen3Config(**QWEN), None),
}
VARIANTS = {
    "bert-masked-lm": (T.BertForMaskedLM, T.BertConfig(**SIZE), None),
    "bert-labels": (T.BertForSequenceClassification, T.BertConfig(**SIZE, num_labels=4), 4),
    "bert-one-type-relu": (T.BertModel, T.BertConfig(**dict(SIZE, type_vocab_size=1, hidden_act="relu", layer_norm_eps=1e-5)), None),
    "bert-gelu-new": (T.BertModel, T.BertConfig(**dict(SIZE, hidden_act="gelu_new", num_attention_heads=1)), None),
    "roberta-pad-5": (T.RobertaModel, T.RobertaConfig(**dict(ROBERTA, pad_token_id=5)), None),
    "roberta-pad-0": (T.RobertaForMaskedLM, T.RobertaConfig(**dict(ROBERTA, pad_token_id=0)), None),
    "roberta-rerank": (T.RobertaForSequenceClassification, T.RobertaConfig(**dict(ROBERTA, type_vocab_size=2), num_labels=1), 1),
    "xlm-roberta": (T.XLMRobertaModel, T.XLMRobertaConfig(**ROBERTA), None),
    "camembert": (T.CamembertModel, T.CamembertConfig(**ROBERTA), None),
    "distilbert-masked-lm": (T.DistilBertForMaskedLM, T.DistilBertConfig(**dict(DISTIL, activation="relu")), None),
    "distilbert-sinusoidal": (T.DistilBertModel, T.DistilBertConfig(**DISTIL, sinusoidal_pos_embds=True), None),
    "nomic-bert-rerank": (T.NomicBertForSequenceClassification, T.NomicBertConfig(**NOMIC, num_labels=1), 1),
    "nomic-bert-masked-lm": (T.NomicBertForMaskedLM, T.NomicBertConfig(**dict(NOMIC, hidden_act="gelu")), None),
    "modernbert-biases": (T.ModernBertModel, T.ModernBertConfig(**dict(MODERN, norm_bias=True, attention_bias=True, mlp_bias=True)), None),
    "modernbert-every-2": (T.ModernBertForMaskedLM, T.ModernBertConfig(**dict(MODERN, num_hidden_layers=5), global_attn_every_n_layers=2), None),
    "modernbert-types": (T.ModernBertModel, T.ModernBertConfig(**dict(MODERN, layer_types=["sliding_attention", "full_attention", "sliding_attention"], local_attention=5)), None),
    "modernbert-rerank-cls": (T.ModernBertForSequenceClassification,
                              T.ModernBertConfig(**MODERN, num_labels=1, classifier_bias=True, norm_bias=True, classifier_activation="silu"), 1),
    "modernbert-thetas": (T.ModernBertModel, T.ModernBertConfig(**dict(MODERN, global_rope_theta=5000.0, local_rope_theta=700.0)), None),
}


def make_model(model_class, config, seed):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = model_class(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (1 if parameter.dim() == 1 else 0))
    return model


def save(model, folder, name):
    model.save_pretrained(folder)
    for extra in ("generation_config.json",):
        (folder / extra).unlink(missing_ok=True)
    if name == "qwen3-embedding":  # with the files of sentence-transformers
        kinds = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
        (folder / "modules.json").write_text(json.dumps(
            [{"idx": int(n), "name": n, "path": path, "type": f"sentence_transformers.models.{kind}"} for n, path, kind in kinds], indent=1) + "\n")
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling/config.json").write_text(json.dumps(
            {"word_embedding_dimension": 24, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}, indent=1) + "\n")
        (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 48, "do_lower_case": false}\n')
    if name == "nomic-bert-published":
        publish_nomic(model, folder)
    if name == "modernbert-thetas":  # the older spelling
        config = json.loads((folder / "config.json").read_text())
        config.pop("rope_parameters")
        config.pop("layer_types")
        config.update(global_rope_theta=5000.0, local_rope_theta=700.0, global_attn_every_n_layers=3)
        (folder / "config.json").write_text(json.dumps(config, indent=1))


def publish_nomic(model, folder):
    """The names and fields of the code that was published with the first models (nomic-bert-2048)."""
    state, out = model.state_dict(), {}
    for key, value in state.items():
        if ".self_attn.k_proj." in key or ".self_attn.v_proj." in key:
            continue
        if ".self_attn.q_proj." in key:
            value = torch.cat([state[key.replace("q_proj", one)] for one in ("q_proj", "k_proj", "v_proj")])
        for now, published in (("layers.", "encoder.layers."), ("embeddings.LayerNorm", "emb_ln"), ("self_attn.q_proj", "attn.Wqkv"),
                               ("self_attn.o_proj", "attn.out_proj"), ("up_proj", "fc11"), ("gate_proj", "fc12"), ("down_proj", "fc2"),
                               ("post_attention_layernorm", "norm1"), ("post_mlp_layernorm", "norm2")):
            key = key.replace(now, published)
        out[key] = value.contiguous()
    safetensors.torch.save_file(out, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({
        "activation_function": "swiglu", "architectures": ["NomicBertModel"], "causal": False, "layer_norm_epsilon": 1e-12,
        "mlp_fc1_bias": False, "mlp_fc2_bias": False, "model_type": "nomic_bert", "n_embd": 24, "n_head": 3, "n_inner": 40, "n_layer": 2, "n_positions": 48,
        "prenorm": False, "qkv_proj_bias": False, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None, "rotary_scaling_factor": None, "type_vocab_size": 2, "use_rms_norm": False, "vocab_size": 61}, indent=1))


def prompts(model):
    """Three texts as ids; the second has the padding token inside, the third uses token types where the model knows them."""
    generator = torch.Generator().manual_seed(7)
    config = model.config
    for length in (5, 19, 40):
        ids = torch.randint(3, 61, (length,), generator=generator)
        if length == 19:
            ids[7] = config.pad_token_id
        types = torch.zeros(length, dtype=torch.long)
        if (getattr(config, "type_vocab_size", 0) or 0) > 1:
            types[length // 2:] = 1
        yield ids, types


def compute(model, labels, ids, types):
    inputs = {"input_ids": ids[None]}
    if (getattr(model.config, "type_vocab_size", 0) or 0) > 1:
        inputs["token_type_ids"] = types[None]
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
        # The base model's own last hidden state: the last entry of hidden_states lacks a final norm in some models.
        base = out.last_hidden_state if "last_hidden_state" in out else model.base_model(**inputs).last_hidden_state
    hidden = base[0]
    want = {"cls": hidden[0], "mean": hidden.mean(0), "last": hidden[-1]}
    if getattr(out, "pooler_output", None) is not None:
        want["pooler"] = out.pooler_output[0]
    if labels:
        want["score"] = out.logits[0]
    return {name: [float(f"{x:.7g}") for x in value.tolist()] for name, value in want.items()}


def write(root):
    for number, (name, (model_class, config, labels)) in enumerate(COMMITTED.items()):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        model = make_model(model_class, config, number)
        save(model, folder, name)
        cases = [{"ids": ids.tolist(), "token_type_ids": types.tolist(), **compute(model, labels, ids, types)} for ids, types in prompts(model)]
        (folder / "golden.json").write_text(json.dumps({"transformers": T.__version__, "prompts": cases}) + "\n")
        print(name, sum(f.stat().st_size for f in folder.rglob("*")), "bytes")


def compare(strata):
    worst = 0.0
    for number, (name, (model_class, config, labels)) in enumerate({**COMMITTED, **VARIANTS}.items()):
        model = make_model(model_class, config, number)
        error = 0.0
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            save(model, folder, name)
            for ids, types in prompts(model):
                want = compute(model, labels, ids, types)
                done = subprocess.run([strata, "logits", folder, "--tokens", ",".join(map(str, ids.tolist())), "--token-types", ",".join(map(str, types.tolist()))],
                                      capture_output=True, text=True)
                if done.returncode != 0:
                    print(f"{name:24} FAILED {done.stderr.strip()}")
                    error = 1.0
                    break
                got = json.loads(done.stdout)
                for output, values in want.items():
                    mine = got[output] if isinstance(got[output], list) else [got[output]]
                    error = max(error, max(abs(a - b) for a, b in zip(mine, values, strict=True)))
        worst = max(worst, error)
        print(f"{name:24} {error:.1e}")
    return worst > 1e-4


if sys.argv[1] == "--write":
    write(pathlib.Path(sys.argv[2]))
else:
    sys.exit(compare(sys.argv[1]))
