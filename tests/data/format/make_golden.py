"""Makes the files of this folder with the Python packages gguf and safetensors (versions: golden.txt).

The C++ writers must give the same bytes, so what they write is what those packages read. Run in this folder.
"""
import importlib.metadata

import gguf
import numpy as np
from safetensors.numpy import save_file

weights = np.arange(1, 16, dtype=np.float32).reshape(3, 5)
halves = np.array([[1.0, -2.0], [0.5, 65504.0]], dtype=np.float16)
numbers = np.array([-1, 2, 3], dtype=np.int32)

writer = gguf.GGUFWriter("golden.gguf", "llama")
writer.add_uint32("llama.block_count", 7)
writer.add_int32("signed", -1)
writer.add_float32("eps", 1e-5)
writer.add_bool("flag", True)
writer.add_array("tokens", ["a", "\u2581the", "\u00e9"])
writer.add_array("types", [1, -2, 3])
writer.add_array("scores", [0.0, -1.5, 2.0])
writer.add_tensor("odd", weights)
writer.add_tensor("blk.0.attn_q.weight", halves)
writer.add_tensor("numbers", numbers)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

save_file({"weights": weights, "numbers": numbers, "halves": halves}, "golden.safetensors", metadata={"format": "pt"})

with open("golden.txt", "w") as file:
    for package in ("gguf", "safetensors", "numpy"):
        print(package, importlib.metadata.version(package), file=file)
