"""Measures a quantized folder against its reference, independently of Karat: JSON on standard output.

    verify_w8a8.py REFERENCE CANDIDATE --ids FILE [--key NAME] [--window 512] [--windows N]

Both are Hugging Face folders of the Llama family; the candidate may carry a compressed-tensors
`quantization_config` (INT8 weights; static or dynamic activations, or none), computed in exact integers.
FILE holds token ids: a .safetensors with a tensor [windows, length] (named by --key when there are
several), a .json list of windows, or a flat list, in JSON or as text, which is cut into windows.
Of a flat list the last window may be shorter; --whole-windows leaves it out.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from llama import Llama
from quantized import quantized_linear

ROWS_AT_ONCE = 64  # rows of logits held in float64 at a time


def read_windows(path: Path, key: str | None, length: int, whole: bool) -> list[list[int]]:
    """Windows of two ids or more, the shortest that has something to predict."""
    if path.suffix == ".safetensors":
        tensors = load_file(path)
        names = [key] if key else list(tensors)
        if len(names) != 1:
            raise SystemExit(f"{path}: holds {', '.join(names)}; name one with --key.")
        ids = tensors[names[0]].long().tolist()
    elif path.suffix == ".json":
        ids = json.loads(path.read_text())
    else:
        ids = [int(word) for word in path.read_text().split()]
    if ids and isinstance(ids[0], int):
        ids = [ids[start : start + length] for start in range(0, len(ids), length)]
        if whole:
            ids = [window for window in ids if len(window) == length]
    return [window for window in ids if len(window) >= 2]


def compare_rows(reference: Tensor, candidate: Tensor, targets: Tensor) -> list[Tensor]:
    """Per row: both negative log-likelihoods, KL(reference || candidate) in nats, same top token."""
    parts = []
    for rows in torch.arange(len(targets)).split(ROWS_AT_ONCE):
        p = torch.log_softmax(reference[rows].double(), dim=-1)
        q = torch.log_softmax(candidate[rows].double(), dim=-1)
        target = targets[rows, None]
        parts.append((
            -p.gather(1, target)[:, 0],
            -q.gather(1, target)[:, 0],
            (p.exp() * (p - q)).sum(-1),
            (reference[rows].argmax(-1) == candidate[rows].argmax(-1)).double(),
        ))
    return [torch.cat(column) for column in zip(*parts)]


def rounding_noise(first: Tensor, second: Tensor) -> dict:
    """How far apart two right computations are: mean of the paired difference, its standard error."""
    difference = second - first
    return {
        "mean": difference.mean().item(),
        "stderr": difference.std().item() / math.sqrt(len(difference)),
    }


def measure(reference: Llama, candidate: Llama, precise: Llama, windows: list[list[int]]) -> dict:
    """`precise` is the candidate with floats of 64 bits: the same integers but for rounding edges."""
    columns = []
    for number, window in enumerate(windows, 1):
        ids = torch.tensor([window])
        expected, found, precisely = (model(ids)[0, :-1] for model in (reference, candidate, precise))
        _, *exact, _ = compare_rows(expected, precisely, ids[0, 1:])
        columns.append([*compare_rows(expected, found, ids[0, 1:]), *exact])
        print(f"\r{number}/{len(windows)} windows", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    reference_loss, candidate_loss, divergence, same, precise_loss, precise_divergence = (
        torch.cat(column) for column in zip(*columns)
    )
    quantiles = torch.quantile(divergence, torch.tensor([0.5, 0.9, 0.99, 0.999]).double()).tolist()
    perplexity = [math.exp(loss.mean()) for loss in (reference_loss, candidate_loss)]
    return {
        "tokens": len(divergence),
        "perplexity": {
            "reference": perplexity[0],
            "candidate": perplexity[1],
            "ratio": perplexity[1] / perplexity[0],
        },
        "rounding_noise": {
            "loss": rounding_noise(candidate_loss, precise_loss),
            "kld": rounding_noise(divergence, precise_divergence),
        },
        "kld": {
            "mean": divergence.mean().item(),
            "stderr": divergence.std().item() / math.sqrt(len(divergence)),
            **dict(zip(("median", "p90", "p99", "p999"), quantiles)),
            "max": divergence.max().item(),
        },
        "top1_agreement": same.mean().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("candidate", type=Path)
    parser.add_argument("--ids", type=Path, required=True, help="token ids")
    parser.add_argument("--key", help="the tensor of a .safetensors file that holds them")
    parser.add_argument("--window", type=int, default=512, help="tokens per window of a flat list")
    parser.add_argument("--windows", type=int, help="only the first N windows")
    parser.add_argument("--whole-windows", action="store_true", help="leave a shorter last window out")
    options = parser.parse_args()
    windows = read_windows(options.ids, options.key, options.window, options.whole_windows)
    windows = windows[: options.windows]
    if not windows:
        raise SystemExit(f"{options.ids}: holds no window of two ids or more.")
    reference = Llama(options.reference, quantized_linear(options.reference))
    candidate, precise = (
        Llama(options.candidate, quantized_linear(options.candidate), dtype)
        for dtype in (torch.float32, torch.float64)
    )
    print(json.dumps(measure(reference, candidate, precise, windows), indent=2))


if __name__ == "__main__":
    main()
