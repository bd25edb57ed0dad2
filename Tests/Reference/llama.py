"""The Llama family in PyTorch, read straight from a Hugging Face folder (config.json, safetensors).

The yardstick that the other scripts of this folder share. It uses nothing of Karat and nothing of
`transformers`: it is a second implementation, written from the papers and the file formats.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

Linear = Callable[[Tensor], Tensor]  # [..., in] -> [..., out]


class TensorFolder:
    """Tensors of a folder by name: `model.safetensors`, or the shards that its index lists.

    `dtype` is the type that its floats are computed in: torch.float32 or torch.float64.
    """

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32):
        self.dtype = dtype
        index = folder / "model.safetensors.index.json"
        if index.exists():
            weight_map = json.loads(index.read_text())["weight_map"]
            files = {file: safe_open(folder / file, "pt") for file in set(weight_map.values())}
            self._file = {name: files[file] for name, file in weight_map.items()}
        else:
            file = safe_open(folder / "model.safetensors", "pt")
            self._file = {name: file for name in file.keys()}

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def __getitem__(self, name: str) -> Tensor:
        return self._file[name].get_tensor(name)

    def names(self) -> list[str]:
        return list(self._file)

    def floats(self, name: str) -> Tensor | None:
        """The tensor in `dtype`, or None where the folder has none of that name."""
        return self[name].to(self.dtype) if name in self else None


@dataclass(frozen=True)
class Config:
    """What the forward pass needs of config.json."""

    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    norm_epsilon: float
    tied_head: bool
    sliding_window: int | None
    rope: dict

    @classmethod
    def read(cls, folder: Path) -> "Config":
        config = json.loads((folder / "config.json").read_text())
        family = config["model_type"]
        if family not in ("llama", "mistral", "qwen2"):
            raise SystemExit(f"{folder}/config.json: model_type is '{family}'; llama, mistral or qwen2 is needed.")
        if config.get("hidden_act", "silu") != "silu" or config.get("use_sliding_window", False):
            raise SystemExit(f"{folder}/config.json: only silu, and one kind of attention for all layers.")
        # transformers 5 writes rope_parameters; before it, rope_theta and rope_scaling stood apart.
        rope = config.get("rope_parameters") or {
            "rope_theta": config.get("rope_theta", 10000.0),
            **(config.get("rope_scaling") or {}),
        }
        heads = config["num_attention_heads"]
        return cls(
            layers=config["num_hidden_layers"],
            heads=heads,
            key_value_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            norm_epsilon=config.get("rms_norm_eps", 1e-6),
            tied_head=config.get("tie_word_embeddings", False),
            sliding_window=config.get("sliding_window") if family == "mistral" else None,
            rope=rope,
        )


def rope_frequencies(rope: dict, head_size: int) -> Tensor:
    """Radians per position for each of the head_size / 2 pairs: default, linear or llama3 scaling."""
    kind = rope.get("rope_type", rope.get("type", "default"))
    frequencies = rope["rope_theta"] ** -(torch.arange(0, head_size, 2).float() / head_size)
    if kind == "default":
        return frequencies
    if kind == "linear":
        return frequencies / rope["factor"]
    if kind != "llama3":
        raise SystemExit(f"rope_type is '{kind}'; default, linear or llama3 is needed.")
    # Short wavelengths stay, long ones stretch by the factor, those between blend.
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return frequencies * (kept + (1 - kept) / rope["factor"])


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary positions on x [batch, heads, length, head_size]; element i pairs with i + head_size / 2."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosines - second * sines, second * cosines + first * sines), dim=-1)


def float_linear(tensors: TensorFolder, name: str) -> Linear:
    """A linear layer in floats: weight [out, in], bias [out] if the folder has one."""
    weight, bias = tensors.floats(f"{name}.weight"), tensors.floats(f"{name}.bias")
    return lambda x: F.linear(x, weight, bias)


class Llama:
    """A decoder. `make_linear` decides how the layer of a given name multiplies, `dtype` in which
    type all the rest is computed."""

    def __init__(
        self,
        folder: Path,
        make_linear: Callable[[TensorFolder, str], Linear] = float_linear,
        dtype: torch.dtype = torch.float32,
    ):
        self.config = config = Config.read(folder)
        tensors = TensorFolder(folder, dtype)
        self.embedding = tensors.floats("model.embed_tokens.weight")
        self.final_norm = tensors.floats("model.norm.weight")
        if config.tied_head and "lm_head.weight" not in tensors:
            self.head: Linear = lambda x: F.linear(x, self.embedding)
        else:
            self.head = make_linear(tensors, "lm_head")
        self.frequencies = rope_frequencies(config.rope, config.head_size)
        self.blocks = []
        for layer in range(config.layers):
            prefix = f"model.layers.{layer}"
            block = {
                role: make_linear(tensors, f"{prefix}.{part}.{role}_proj")
                for part, roles in (("self_attn", "qkvo"), ("mlp", ("gate", "up", "down")))
                for role in roles
            }
            block["attention_norm"] = tensors.floats(f"{prefix}.input_layernorm.weight")
            block["mlp_norm"] = tensors.floats(f"{prefix}.post_attention_layernorm.weight")
            self.blocks.append(block)

    def norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self.config.norm_epsilon)

    def attention(self, block: dict, x: Tensor, cosines: Tensor, sines: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, _ = x.shape

        def split(y: Tensor, heads: int) -> Tensor:  # [batch, heads, length, head_size]
            return y.view(batch, length, heads, self.config.head_size).transpose(1, 2)

        q = rotate(split(block["q"](x), self.config.heads), cosines, sines)
        k = rotate(split(block["k"](x), self.config.key_value_heads), cosines, sines)
        v = split(block["v"](x), self.config.key_value_heads)
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True
        )
        return block["o"](mixed.transpose(1, 2).reshape(batch, length, -1))

    @torch.inference_mode()
    def __call__(self, ids: Tensor) -> Tensor:
        """Logits [batch, length, vocabulary] for ids [batch, length], positions from 0."""
        length = ids.shape[1]
        angles = torch.outer(torch.arange(length).float(), self.frequencies)
        cosines, sines = (table.to(self.embedding.dtype) for table in (angles.cos(), angles.sin()))
        mask = None
        if self.config.sliding_window is not None:
            distance = torch.arange(length)[:, None] - torch.arange(length)[None, :]
            mask = (distance >= 0) & (distance < self.config.sliding_window)
        x = F.embedding(ids, self.embedding)
        for block in self.blocks:
            x = x + self.attention(block, self.norm(x, block["attention_norm"]), cosines, sines, mask)
            y = self.norm(x, block["mlp_norm"])
            x = x + block["down"](F.silu(block["gate"](y)) * block["up"](y))
        return self.head(self.norm(x, self.final_norm))
