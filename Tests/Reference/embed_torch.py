#!/usr/bin/env python3
"""Spearman's correlation of a BERT sentence encoder over scored pairs, from the weights alone, and whether
`karat verify --json` found the same.

    embed_torch.py FOLDER PAIRS.tsv FINDINGS.json

Shares nothing with Karat: the encoder is written out in PyTorch, tokens come from the `tokenizers` package,
ranks from counting.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

TOLERANCE = 1e-5
# One thread: a text at a time is too little work to share.
torch.set_num_threads(1)


def encode(weights, config, ids):
    """The mean of the last hidden states of one text, scaled to length 1."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]

    def linear(x, name):
        return x @ weights[name + ".weight"].T + weights[name + ".bias"]

    def norm(x, name):
        return torch.nn.functional.layer_norm(
            x, (hidden,), weights[name + ".weight"], weights[name + ".bias"], config["layer_norm_eps"])

    def split(x):
        return x.view(len(ids), heads, hidden // heads).transpose(0, 1)

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        q, k, v = (split(linear(x, f"{at}attention.self.{part}")) for part in ("query", "key", "value"))
        scores = q @ k.transpose(1, 2) / (hidden // heads) ** 0.5
        mixed = (scores.softmax(-1) @ v).transpose(0, 1).reshape(len(ids), hidden)
        x = norm(x + linear(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        wide = torch.nn.functional.gelu(linear(x, at + "intermediate.dense"))
        x = norm(x + linear(wide, at + "output.dense"), at + "output.LayerNorm")
    mean = x.mean(0)
    return mean / mean.norm()


def ranks(numbers):
    numbers = np.asarray(numbers)
    ordered = np.sort(numbers)
    below = np.searchsorted(ordered, numbers, "left")
    through = np.searchsorted(ordered, numbers, "right")
    return (below + through) / 2


def main():
    folder, pairs, findings = Path(sys.argv[1]), sys.argv[2], json.loads(Path(sys.argv[3]).read_text())
    config = json.loads((folder / "config.json").read_text())
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    weights = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    scores, cosines = [], []
    with torch.no_grad(), open(pairs, encoding="utf-8", newline="\n") as rows:
        for row in rows:
            score, first, second = row.rstrip("\r\n").split("\t")
            left, right = (encode(weights, config, tokenizer.encode(text).ids) for text in (first, second))
            scores.append(float(score))
            cosines.append(float(left @ right))
    expected = float(np.corrcoef(ranks(scores), ranks(cosines))[0, 1])
    found = findings["spearman"]["reference"]
    print(f"{len(scores)} pairs: Spearman {expected:.6f} in PyTorch, {found:.6f} in Karat")
    if findings["pairs"] != len(scores) or abs(found - expected) > TOLERANCE:
        sys.exit(f"embed_torch: off by {abs(found - expected):.2e}; {TOLERANCE} is allowed.")


main()
