"""A peer for `karat bench`: float32 prefill of a Llama folder in PyTorch, timed on request.

    prefill_torch.py FOLDER [--tokens 512] [--threads N] [--implementation fastest]

One prefill is one forward pass over a window, with the logits of every position. For each line
"run" on standard input one is timed and its seconds are printed, so that another program can
alternate these runs with its own; the end of the input ends it. What runs, and how fast, is told
on standard error. Loading and warming up come before the first line is read.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from llama import Llama

Prefill = Callable[[Tensor], Tensor]  # ids [1, length] -> logits [1, length, vocabulary]


def own(folder: Path) -> Prefill:
    """The compact implementation of this folder: F.linear and fused attention."""
    return Llama(folder)


def transformers(folder: Path) -> Prefill:
    """The library most users run, with its fused attention and no cache to fill."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()

    @torch.inference_mode()
    def prefill(ids: Tensor) -> Tensor:
        return model(ids, use_cache=False).logits

    return prefill


def seconds(prefill: Prefill, ids: Tensor) -> float:
    start = time.perf_counter()
    prefill(ids)
    return time.perf_counter() - start


def fastest(folder: Path, ids: Tensor) -> tuple[str, Prefill]:
    """Whichever implementation has the quicker best of three, if they compute the same."""
    candidates = {"own": own(folder)}
    try:
        candidates["transformers"] = transformers(folder)
    except ImportError:
        pass
    logits = [prefill(ids) for prefill in candidates.values()]
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0], rtol=1e-3, atol=1e-3)
    times = {name: min(seconds(prefill, ids) for _ in range(3)) for name, prefill in candidates.items()}
    for name, best in times.items():
        print(f"{name}: {best:.3f} s, {ids.numel() / best:.0f} tokens/s", file=sys.stderr)
    name = min(times, key=times.get)
    return name, candidates[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--implementation", choices=("fastest", "own", "transformers"), default="fastest")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    vocabulary = json.loads((options.folder / "config.json").read_text())["vocab_size"]
    ids = torch.randint(vocabulary, (1, options.tokens), generator=torch.Generator().manual_seed(1))
    if options.implementation == "fastest":
        name, prefill = fastest(options.folder, ids)
    else:
        name, prefill = options.implementation, globals()[options.implementation](options.folder)
        seconds(prefill, ids)
    print(f"ready: {name}, {options.tokens} tokens, {options.threads} threads", file=sys.stderr, flush=True)
    for line in sys.stdin:
        if line.strip() == "run":
            print(f"{seconds(prefill, ids):.6f}", flush=True)


if __name__ == "__main__":
    main()
