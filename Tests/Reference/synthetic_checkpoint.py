"""Writes a Llama-shaped model folder of any size with random BF16 weights, for benchmarks.

    synthetic_checkpoint.py FOLDER --gigabytes 4 [--one-tensor]

The numbers are normal with a standard deviation of 0.02, as trained weights roughly are. With
--one-tensor the folder holds a single tensor of that size, and no config.
"""

import argparse
import json
import pathlib
import struct

import numpy

HIDDEN, FEED_FORWARD, HEADS, KEY_VALUE_HEADS, VOCABULARY = 4096, 11008, 32, 8, 32000


def tensors_of(gigabytes: float):
    layer = {
        "input_layernorm.weight": [HIDDEN],
        "post_attention_layernorm.weight": [HIDDEN],
        "self_attn.q_proj.weight": [HIDDEN, HIDDEN],
        "self_attn.k_proj.weight": [HIDDEN * KEY_VALUE_HEADS // HEADS, HIDDEN],
        "self_attn.v_proj.weight": [HIDDEN * KEY_VALUE_HEADS // HEADS, HIDDEN],
        "self_attn.o_proj.weight": [HIDDEN, HIDDEN],
        "mlp.gate_proj.weight": [FEED_FORWARD, HIDDEN],
        "mlp.up_proj.weight": [FEED_FORWARD, HIDDEN],
        "mlp.down_proj.weight": [HIDDEN, FEED_FORWARD],
    }
    size = sum(2 * int(numpy.prod(shape)) for shape in layer.values())
    layers = max(1, round((gigabytes * 1e9 - 4 * VOCABULARY * HIDDEN) / size))
    tensors = {"model.embed_tokens.weight": [VOCABULARY, HIDDEN], "model.norm.weight": [HIDDEN]}
    tensors["lm_head.weight"] = [VOCABULARY, HIDDEN]
    for index in range(layers):
        tensors |= {f"model.layers.{index}.{name}": shape for name, shape in layer.items()}
    return layers, tensors


def write(path: pathlib.Path, tensors: dict[str, list[int]]) -> None:
    header, offset = {}, 0
    for name, shape in sorted(tensors.items()):
        end = offset + 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    numbers = numpy.random.default_rng(7).standard_normal(1 << 25, dtype=numpy.float32) * 0.02
    tile = (numbers.view(numpy.uint32) >> 16).astype("<u2").tobytes()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while offset:
            # Odd strides, so that no two tensors are equal.
            part = tile[: min(offset, len(tile) - 2 * (offset % 977))]
            file.write(part)
            offset -= len(part)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--gigabytes", type=float, default=4)
parser.add_argument("--one-tensor", action="store_true")
arguments = parser.parse_args()
arguments.folder.mkdir(parents=True, exist_ok=True)
if arguments.one_tensor:
    rows = int(arguments.gigabytes * 1e9) // (2 * 4096)
    write(arguments.folder / "model.safetensors", {"weight": [rows, 4096]})
else:
    layers, tensors = tensors_of(arguments.gigabytes)
    write(arguments.folder / "model.safetensors", tensors)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "vocab_size": VOCABULARY,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 4096,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    (arguments.folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
