"""A peer for `karat bench --train`: float32 training of a Llama folder in PyTorch, timed on request.

    train_torch.py FOLDER [--tokens 512] [--threads N]

One run is one step: forward and backward over a window of tokens with the cross-entropy of every next
token, all parameters learning, and AdamW. For each line "run" on standard input one is timed and its
seconds are printed; the most memory that the process held is told on standard error at the end.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import llama


class Trained(llama.Llama):
    """The decoder whose tensors all learn."""

    def __init__(self, folder: Path):
        self.parameters: list[Tensor] = []
        floats = llama.TensorFolder.floats

        def learning(tensors: llama.TensorFolder, name: str) -> Tensor | None:
            tensor = floats(tensors, name)
            if tensor is not None:
                tensor = tensor.clone().requires_grad_()
                self.parameters.append(tensor)
            return tensor

        llama.TensorFolder.floats = learning
        super().__init__(folder)
        llama.TensorFolder.floats = floats

    def loss(self, ids: Tensor) -> Tensor:
        logits = llama.Llama.__call__.__wrapped__(self, ids)  # without inference_mode
        return F.cross_entropy(logits[0, :-1], ids[0, 1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    vocabulary = json.loads((options.folder / "config.json").read_text())["vocab_size"]
    ids = (torch.arange(options.tokens) * 7 % vocabulary)[None]
    model = Trained(options.folder)
    optimizer = torch.optim.AdamW(model.parameters, lr=1e-5)

    def step() -> float:
        start = time.perf_counter()
        loss = model.loss(ids)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - start

    step()
    print(f"ready: {options.tokens} tokens, {options.threads} threads", file=sys.stderr, flush=True)
    for line in sys.stdin:
        if line.strip() == "run":
            print(f"{step():.6f}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"PyTorch held {peak:.2f} GB at most", file=sys.stderr)


if __name__ == "__main__":
    main()
