#!/usr/bin/env python3
"""Makes tests/data/lora/second: a second LoRA adapter for golden-arch/llama, with what PEFT computes with it.

Another rank (2), another alpha (6), other modules (o_proj, k_proj, down_proj) than the first adapter. Seeded; needs torch,
transformers and peft.  Usage: second_adapter.py GOLDEN_ARCH/llama OUT
"""
import json
import pathlib
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
torch.manual_seed(20)
torch.set_num_threads(1)
base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
model = get_peft_model(base, LoraConfig(r=2, lora_alpha=6, target_modules=["k_proj", "o_proj", "down_proj"], task_type="CAUSAL_LM"))
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.copy_(torch.randn_like(parameter) * (0.3 if "lora_A" in name else 0.2))
model.save_pretrained(out)

base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
model = PeftModel.from_pretrained(base, out).eval()
prompts = json.loads((folder / "golden.json").read_text())["prompts"]
golden = []
for prompt in prompts:
    with torch.no_grad():
        logits = model(torch.tensor([prompt["ids"]])).logits[0, -1]
    golden.append({"ids": prompt["ids"], "last_logits": [float(f"{v:.6g}") for v in logits.tolist()],
                   "logit_range": float(logits.max() - logits.min())})
(out / "golden.json").write_text(json.dumps({"prompts": golden}))
(out / "README.md").unlink(missing_ok=True)
config = json.loads((out / "adapter_config.json").read_text())
config["base_model_name_or_path"] = None
(out / "adapter_config.json").write_text(json.dumps(config, indent=1))
