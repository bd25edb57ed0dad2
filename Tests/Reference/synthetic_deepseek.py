"""Writes a DeepSeek-V3-shaped model folder of any size, FP8 with a scale for each block of 128 × 128.

    synthetic_deepseek.py FOLDER --tokenizer TOKENIZER.json --gigabytes 8

Multi-head latent attention with a compressed query, one dense layer, then mixtures of experts with
groups, a shared expert and a bias for balance, and a block that predicts a later token; sharded, with
an index. The numbers are random bytes of the FP8 grid up to a magnitude of 1.75, scaled as trained
weights are; nothing is learnt, so figures of quality mean nothing. Sizes grow with the number of
experts first, which is where a real model's bytes are.
"""

import argparse
import json
import pathlib
import shutil
import struct

import numpy

BLOCK = 128
HEADS, NOPE, ROPE, VALUE = 8, 64, 32, 64
GROUPS, KEPT_GROUPS, CHOSEN = 8, 4, 4


class Shape:
    """The extents of a model of about so many bytes."""

    def __init__(self, byte_count: float, vocabulary: int):
        large = byte_count > 1e9
        self.hidden = 1024 if large else 512
        self.feed_forward, self.expert = 4 * self.hidden, self.hidden // 2
        self.q_rank, self.kv_rank = self.hidden // 4, self.hidden // 8
        self.experts = 256 if large else 32
        self.vocabulary = vocabulary
        per_layer = 3 * self.hidden * self.expert * (self.experts + 1)
        self.layers = 1 + max(2, round(byte_count / per_layer) - 1)  # the predicting block is one more

    def linear(self, layer: int) -> dict[str, list[int]]:
        """The weights [out, in] that are FP8, by their path in the layer."""
        heads = HEADS * (NOPE + ROPE)
        shapes = {
            "self_attn.q_a_proj": [self.q_rank, self.hidden],
            "self_attn.q_b_proj": [heads, self.q_rank],
            "self_attn.kv_a_proj_with_mqa": [self.kv_rank + ROPE, self.hidden],
            "self_attn.kv_b_proj": [HEADS * (NOPE + VALUE), self.kv_rank],
            "self_attn.o_proj": [self.hidden, HEADS * VALUE],
        }
        width = self.feed_forward if layer == 0 else self.expert
        places = ["mlp"] if layer == 0 else ["mlp.shared_experts"]
        places += [] if layer == 0 else [f"mlp.experts.{expert}" for expert in range(self.experts)]
        for place in places:
            shapes[f"{place}.gate_proj"] = shapes[f"{place}.up_proj"] = [width, self.hidden]
            shapes[f"{place}.down_proj"] = [self.hidden, width]
        return shapes

    def others(self, layer: int) -> dict[str, tuple[str, list[int]]]:
        """The tensors that are not FP8, by their path in the layer."""
        hidden = ("BF16", [self.hidden])
        found = {
            "input_layernorm.weight": hidden,
            "post_attention_layernorm.weight": hidden,
            "self_attn.q_a_layernorm.weight": ("BF16", [self.q_rank]),
            "self_attn.kv_a_layernorm.weight": ("BF16", [self.kv_rank]),
        }
        if layer > 0:
            found["mlp.gate.weight"] = ("BF16", [self.experts, self.hidden])
            found["mlp.gate.e_score_correction_bias"] = ("F32", [self.experts])
        if layer == self.layers:
            found |= {"enorm.weight": hidden, "hnorm.weight": hidden, "shared_head.norm.weight": hidden}
            found["eh_proj.weight"] = ("BF16", [self.hidden, 2 * self.hidden])
        return found

    def tensors(self):
        """Names, dtypes and shapes in the order of the layers, the predicting block last."""
        table = ("BF16", [self.vocabulary, self.hidden])
        yield "model.embed_tokens.weight", *table
        for layer in range(self.layers + 1):
            prefix = f"model.layers.{layer}."
            for name, (dtype, shape) in self.others(layer).items():
                yield prefix + name, dtype, shape
            for name, shape in self.linear(layer).items():
                yield f"{prefix}{name}.weight", "F8_E4M3", shape
                blocks = [-(-extent // BLOCK) for extent in shape]
                yield f"{prefix}{name}.weight_scale_inv", "F32", blocks
            if layer == self.layers:
                yield prefix + "embed_tokens.weight", *table
                yield prefix + "shared_head.head.weight", *table
        yield "model.norm.weight", "BF16", [self.hidden]
        yield "lm_head.weight", *table

    def config(self) -> dict:
        return {
            "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
            "vocab_size": self.vocabulary, "hidden_size": self.hidden,
            "intermediate_size": self.feed_forward, "moe_intermediate_size": self.expert,
            "num_hidden_layers": self.layers, "num_nextn_predict_layers": 1, "first_k_dense_replace": 1,
            "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "q_lora_rank": self.q_rank,
            "kv_lora_rank": self.kv_rank, "qk_nope_head_dim": NOPE, "qk_rope_head_dim": ROPE,
            "v_head_dim": VALUE, "n_routed_experts": self.experts, "n_shared_experts": 1,
            "num_experts_per_tok": CHOSEN, "n_group": GROUPS, "topk_group": KEPT_GROUPS,
            "norm_topk_prob": True, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
            "topk_method": "noaux_tc", "moe_layer_freq": 1, "hidden_act": "silu", "attention_bias": False,
            "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 512,
            "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 1,
            "torch_dtype": "bfloat16",
            "quantization_config": {
                "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                "weight_block_size": [BLOCK, BLOCK],
            },
        }


class Numbers:
    """Random numbers as bytes of a dtype, cut from one pool at ever other places."""

    def __init__(self):
        random = numpy.random.default_rng(7)
        normal = random.standard_normal(1 << 20, dtype=numpy.float32)
        codes = random.integers(0, 63, 1 << 24, dtype=numpy.uint8)  # exponents up to 2^0
        self.codes = (codes | random.integers(0, 2, 1 << 24, dtype=numpy.uint8) << 7).tobytes()
        self.normal = normal.astype("<f4").tobytes()
        self.place = 0

    def bytes(self, name: str, dtype: str, count: int) -> bytes:
        self.place += 977
        if dtype == "F8_E4M3":
            return self.cut(self.codes, count)
        if name.endswith("weight_scale_inv"):
            return numpy.full(count, 0.06, dtype="<f4").tobytes()
        if name.endswith("norm.weight") or name.endswith("layernorm.weight"):
            numbers = numpy.ones(count, dtype=numpy.float32)
        else:
            spread = 0.01 if name.endswith("bias") else 0.05
            numbers = numpy.frombuffer(self.cut(self.normal, 4 * count), "<f4") * spread
        numbers = numbers.astype("<f4")
        if dtype == "F32":
            return numbers.tobytes()
        return (numbers.view(numpy.uint32) >> 16).astype("<u2").tobytes()

    def cut(self, pool: bytes, count: int) -> bytes:
        start = 4 * self.place % (len(pool) // 2)
        repeated = pool[start:] if count <= len(pool) - start else pool * (count // len(pool) + 2)
        return repeated[:count]


SIZES = {"F8_E4M3": 1, "BF16": 2, "F32": 4}


def write_shard(path: pathlib.Path, tensors: list, numbers: Numbers) -> None:
    header, offset = {}, 0
    for name, dtype, shape in tensors:
        end = offset + SIZES[dtype] * int(numpy.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, dtype, shape in tensors:
            file.write(numbers.bytes(name, dtype, int(numpy.prod(shape))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=8)
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = len(json.loads(arguments.tokenizer.read_text())["model"]["vocab"])
    shape = Shape(arguments.gigabytes * 1e9, max(vocabulary, 1024))
    shards, sizes = [[]], [0]
    for name, dtype, extents in shape.tensors():
        size = SIZES[dtype] * int(numpy.prod(extents))
        if sizes[-1] + size > max(arguments.gigabytes * 1e9 / 8, 1e6):
            shards.append([])
            sizes.append(0)
        shards[-1].append((name, dtype, extents))
        sizes[-1] += size
    numbers, weight_map = Numbers(), {}
    for index, tensors in enumerate(shards):
        file = f"model-{index + 1:05}-of-{len(shards):05}.safetensors"
        write_shard(folder / file, tensors, numbers)
        weight_map |= {name: file for name, _, _ in tensors}
    metadata = {"total_size": sum(sizes)}
    index = {"metadata": metadata, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index) + "\n")
    (folder / "config.json").write_text(json.dumps(shape.config(), indent=2) + "\n")
    shutil.copy(arguments.tokenizer, folder / "tokenizer.json")
    print(f"{sum(sizes) / 1e9:.2f} GB: {shape.layers} layers and one that predicts, {shape.experts} experts")


if __name__ == "__main__":
    main()
