"""Loads a quantized folder with the `compressed-tensors` package and compares what it reads with Karat.

    load_compressed.py FOLDER DECOMPRESSED.safetensors

FOLDER is what Karat wrote; DECOMPRESSED holds the same weights as Karat decodes them, in float32
under the same names. The package's own code parses `quantization_config`, decides which layers of
the model it means, names the parameters each must have, and decodes every quantized weight; the
floats must agree bit for bit. Exit code 0 if all do.
"""

import json
import sys
from pathlib import Path

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.format import infer_module_format
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from llama import TensorFolder


def skeleton(folder: Path) -> nn.Module:
    """The model that config.json describes, without storage, as its users' library builds it."""
    config = AutoConfig.from_pretrained(folder)
    del config.quantization_config
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def parameters_on_disk(tensors: TensorFolder, module: str) -> dict[str, Tensor]:
    prefix = module + "."
    return {
        name.removeprefix(prefix): tensors[name]
        for name in tensors.names()
        if name.startswith(prefix) and "." not in name.removeprefix(prefix)
    }


def contract_breaches(name: str, module: nn.Module, found: dict[str, Tensor], codes: torch.dtype) -> list[str]:
    """Where the names, dtypes and shapes on disk differ from those the package gave the module."""
    expected = {
        parameter: (codes if parameter == "weight" else value.dtype, tuple(value.shape))
        for parameter, value in module.named_parameters(recurse=False)
    }
    actual = {parameter: (value.dtype, tuple(value.shape)) for parameter, value in found.items()}
    return [
        f"'{name}.{parameter}': {actual.get(parameter, 'absent')}; {expected.get(parameter, 'nothing')} is expected."
        for parameter in sorted(expected.keys() | actual.keys())
        if expected.get(parameter) != actual.get(parameter)
    ]


def same_bits(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.view(torch.int32), b.view(torch.int32))


def check(folder: Path, decompressed: Path) -> tuple[int, list[str]]:
    """How many layers were compared, and every disagreement."""
    config_json = json.loads((folder / "config.json").read_text())
    config = QuantizationConfig.model_validate(config_json["quantization_config"])
    model = skeleton(folder)
    apply_quantization_config(model, config, show_progress=False)

    tensors, disagreements, compared, known = TensorFolder(folder), [], 0, set()
    with safe_open(decompressed, "pt") as ours:
        for name, module in model.named_modules():
            found = parameters_on_disk(tensors, name)
            known.update(f"{name}.{parameter}" for parameter in found)
            scheme = getattr(module, "quantization_scheme", None)
            if scheme is None:
                continue
            breaches = contract_breaches(name, module, found, scheme.weights.pytorch_dtype())
            if breaches:
                disagreements += breaches
                continue
            layout = scheme.format or infer_module_format(type(module), scheme)
            if layout.value != config.format:
                disagreements.append(f"'{name}': read as {layout.value}, written as {config.format}.")
                continue
            compressor = BaseCompressor.get_value_from_registry(layout.value)
            theirs = compressor.decompress(found, scheme)["weight"]
            if not same_bits(theirs, ours.get_tensor(f"{name}.weight")):
                disagreements.append(f"'{name}.weight': the decoded floats differ.")
            compared += 1
    disagreements += [f"'{name}': belongs to no module." for name in tensors.names() if name not in known]
    return compared, disagreements


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 64
    compared, disagreements = check(*map(Path, sys.argv[1:]))
    for line in disagreements:
        print(line)
    print(f"{compared} quantized layers read by compressed-tensors, {len(disagreements)} disagreements.")
    passed = compared > 0 and not disagreements
    print("PASS" if passed else "FAIL")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
