"""Quantized linear layers of a compressed-tensors folder, computed in the integers it describes.

Written from the format's description, not with the `compressed-tensors` package: see
load_compressed.py for that one.
"""

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from llama import Linear, TensorFolder, float_linear

# |activation - zero point| <= 255 and |weight| <= 128, so 512 products sum to less than 2^24:
# float32 adds them exactly in any order, and a matrix product in float32 is an integer one.
EXACT_COLUMNS = 512


def specificity(name: str, target: str) -> int:
    """How closely a target means this linear layer: 3 its name, 2 a pattern, 1 its class, 0 not."""
    if target.startswith("re:"):
        return 2 if re.match(target.removeprefix("re:"), name) else 0
    return 3 if target == name else 1 if target == "Linear" else 0


def scheme_of(name: str, quantization_config: dict | None) -> dict | None:
    """The scheme whose target means the layer most closely; None where it stays in float."""
    if quantization_config is None:
        return None
    if any(specificity(name, target) for target in quantization_config.get("ignore") or []):
        return None
    found = {
        specificity(name, target): scheme
        for scheme in reversed(quantization_config["config_groups"].values())
        for target in scheme["targets"]
    }
    found[0] = None
    return found[max(found)]


def require(condition: bool, name: str, needed: str) -> None:
    if not condition:
        raise SystemExit(f"'{name}': {needed} is needed.")


def exact_product(a: Tensor, b: Tensor) -> Tensor:
    """a [rows, in] times b [out, in] transposed, for integers held in float32; int64 sums."""
    total = torch.zeros(a.shape[0], b.shape[0], dtype=torch.int64)
    for start in range(0, a.shape[1], EXACT_COLUMNS):
        columns = slice(start, start + EXACT_COLUMNS)
        total += (a[:, columns] @ b[:, columns].T).long()
    return total


class QuantizedLinear:
    """INT8 weights per output channel (or tensor), and INT8 activations, if any: with one range, or
    with a scale that each row gives itself."""

    def __init__(self, tensors: TensorFolder, name: str, scheme: dict):
        weights, activations = scheme["weights"], scheme.get("input_activations")
        require(
            weights["num_bits"] == 8 and weights["type"] == "int" and weights["symmetric"]
            and weights["strategy"] in ("channel", "tensor"),
            name, "a symmetric 8-bit integer weight, per channel or per tensor",
        )
        codes, scale = tensors[f"{name}.weight"], tensors[f"{name}.weight_scale"]
        rows = codes.shape[0] if weights["strategy"] == "channel" else 1
        scale_shape = (rows, 1) if weights["strategy"] == "channel" else (1,)
        require(codes.dtype == torch.int8, name, "an I8 weight")
        require(scale.shape == scale_shape, name, f"a weight_scale of shape {list(scale_shape)}")
        self.codes = codes.float()
        self.weight_scale = scale.to(tensors.dtype).reshape(rows)
        self.bias = tensors.floats(f"{name}.bias")
        self.input_scale: Tensor | None = None
        self.is_dynamic = activations is not None and activations["dynamic"] is True
        if activations is None:
            self.weight = self.codes * self.weight_scale[:, None]
            return
        if self.is_dynamic:
            require(
                activations["num_bits"] == 8 and activations["type"] == "int"
                and activations["strategy"] == "token" and activations["symmetric"],
                name, "dynamic symmetric 8-bit integer activations per token",
            )
            for parameter in ("input_scale", "input_zero_point"):
                require(f"{name}.{parameter}" not in tensors, name, f"no {parameter} (dynamic)")
            return
        require(
            activations["num_bits"] == 8 and activations["type"] == "int"
            and activations["strategy"] == "tensor" and activations["dynamic"] is False,
            name, "static 8-bit integer activations per tensor",
        )
        self.input_scale = tensors.floats(f"{name}.input_scale")
        require(self.input_scale.numel() == 1, name, "one input_scale")
        self.zero_point = 0.0
        if not activations["symmetric"]:
            zero_point = tensors[f"{name}.input_zero_point"]
            require(zero_point.dtype == torch.int8 and zero_point.numel() == 1, name, "one I8 input_zero_point")
            self.zero_point = float(zero_point)
        else:
            require(f"{name}.input_zero_point" not in tensors, name, "no input_zero_point (symmetric)")

    def __call__(self, x: Tensor) -> Tensor:
        if self.input_scale is None and not self.is_dynamic:
            return torch.nn.functional.linear(x, self.weight, self.bias)
        rows = x.reshape(-1, x.shape[-1])
        if self.is_dynamic:
            largest = rows.abs().amax(dim=-1, keepdim=True)
            scale = torch.where(largest > 0, largest / 127, 1.0)
            steps = torch.round(rows / scale).clamp(-127, 127)
        else:
            scale = self.input_scale
            steps = (torch.round(rows / scale) + self.zero_point).clamp(-128, 127) - self.zero_point
        sums = exact_product(steps.float(), self.codes).to(x.dtype)
        y = sums * (scale * self.weight_scale)
        if self.bias is not None:
            y = y + self.bias
        return y.reshape(*x.shape[:-1], -1)


def quantized_linear(folder: Path):
    """How the layers of this folder multiply, for `Llama(folder, make_linear)`."""
    config = json.loads((folder / "config.json").read_text()).get("quantization_config")

    def make(tensors: TensorFolder, name: str) -> Linear:
        scheme = scheme_of(name, config)
        if scheme is None or scheme.get("weights") is None:
            return float_linear(tensors, name)
        return QuantizedLinear(tensors, name, scheme)

    return make
