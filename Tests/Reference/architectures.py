#!/usr/bin/env python3
"""Writes fixtures/architectures: tiny models of the dense families and what transformers computes of them.

    .venv/bin/python Tests/Reference/architectures.py [FOLDER]

Each folder holds config.json, model.safetensors (random float32 weights from a fixed seed, large enough
that every part of the computation shows) and expected.safetensors. transformers 5.17 in float32, eager
attention. The families in fixtures/*-tiny are in their plain form; these are the forms that configs can ask
for beyond it.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig, BertForMaskedLM, BertModel, LlamaConfig, LlamaForCausalLM, MistralConfig,
    MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
)

SMALL = dict(
    vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, attn_implementation="eager",
    bos_token_id=None, eos_token_id=None,
)


def yarn(**options):
    base = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16)
    return base | options


DECODERS = {
    "llama-yarn": (LlamaForCausalLM, LlamaConfig, dict(rope_parameters=yarn())),
    "llama-yarn-factor": (LlamaForCausalLM, LlamaConfig, dict(
        num_attention_heads=1, num_key_value_heads=1, head_dim=6, vocab_size=67,
        rope_parameters=yarn(attention_factor=1.25, factor=2.5, beta_fast=2.0, beta_slow=0.5))),
    "llama-biases-linear": (LlamaForCausalLM, LlamaConfig, dict(
        attention_bias=True, mlp_bias=True, num_key_value_heads=4, vocab_size=59,
        rope_parameters=dict(rope_type="linear", factor=3.0, rope_theta=500.0))),
    "qwen2-windows": (Qwen2ForCausalLM, Qwen2Config, dict(
        use_sliding_window=True, sliding_window=5, max_window_layers=1, num_key_value_heads=1,
        tie_word_embeddings=True)),
    "qwen2-yarn-mscale": (Qwen2ForCausalLM, Qwen2Config, dict(
        rope_parameters=yarn(mscale=0.707, mscale_all_dim=0.5, truncate=False, factor=8.0))),
    "qwen3-layer-types": (Qwen3ForCausalLM, Qwen3Config, dict(
        use_sliding_window=True, sliding_window=7, attention_bias=True, head_dim=10,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
    "mistral-head-size": (MistralForCausalLM, MistralConfig, dict(
        sliding_window=4, head_dim=24, num_attention_heads=6, num_key_value_heads=3, vocab_size=53)),
}

ENCODERS = {
    "bert-gelu-new": (BertModel, dict(hidden_act="gelu_new", num_attention_heads=1, vocab_size=59)),
    "bert-prefixed": (BertForMaskedLM, dict(type_vocab_size=1, hidden_act="relu")),
}


def randomize(model):
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)


def ids(vocabulary, rows, length):
    generator = torch.Generator().manual_seed(11)
    return torch.randint(0, vocabulary, (rows, length), generator=generator)


def decoder(folder, model_class, config_class, options):
    config = config_class(**(SMALL | options))
    torch.manual_seed(0)
    model = model_class(config).eval()
    randomize(model)
    model.save_pretrained(folder)
    expected = {}
    with torch.no_grad():
        for suffix, tokens in (("", ids(config.vocab_size, 2, 27)), ("_single", ids(config.vocab_size, 1, 1))):
            out = model(tokens, output_hidden_states=True, use_cache=False)
            expected |= {
                "input_ids" + suffix: tokens,
                "logits" + suffix: out.logits,
                "hidden_after_layer_0" + suffix: out.hidden_states[1],
                "hidden_last" + suffix: out.hidden_states[-1],
            }
    return expected


def encoder(folder, model_class, options):
    settings = {key: value for key, value in SMALL.items() if key != "num_key_value_heads"}
    config = BertConfig(**(settings | options))
    torch.manual_seed(0)
    model = model_class(config).eval()
    randomize(model)
    model.save_pretrained(folder)
    base = getattr(model, "bert", model)
    tokens = ids(config.vocab_size, 3, 15)
    # Padding on both sides, and in the middle: a mask says what counts, wherever it is.
    mask = torch.ones_like(tokens)
    mask[0, 9:] = 0
    mask[1, :4] = 0
    mask[2, 5:8] = 0
    types = (torch.arange(15) >= 6).long().expand(3, -1) % config.type_vocab_size
    with torch.no_grad():
        out = base(tokens, attention_mask=mask, token_type_ids=types, output_hidden_states=True)
    expected = {
        "input_ids": tokens, "attention_mask": mask, "token_type_ids": types,
        "hidden_after_layer_0": out.hidden_states[1], "last_hidden_state": out.last_hidden_state,
    }
    if out.pooler_output is not None:
        expected["pooler_output"] = out.pooler_output
    return expected


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "fixtures/architectures")
    for name, (model_class, config_class, options) in DECODERS.items():
        write(root / name, decoder(root / name, model_class, config_class, options))
    for name, (model_class, options) in ENCODERS.items():
        write(root / name, encoder(root / name, model_class, options))


def write(folder, expected):
    save_file({name: tensor.contiguous() for name, tensor in expected.items()}, folder / "expected.safetensors")
    (folder / "generation_config.json").unlink(missing_ok=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    names = len(load_file(folder / "model.safetensors"))
    print(f"{folder.name}: {names} tensors, {size} bytes")


main()
