"""Compares GGUF files with the `gguf` package, both ways.

    gguf_check.py ours FOLDER FILE.gguf      a file that Karat wrote of a model folder
    gguf_check.py write FILE.gguf            writes a model with a matrix of every type that is read
    gguf_check.py theirs FILE.gguf FILE.st   what Karat made of that file, as safetensors

Every element must be equal: floats after rounding, blocks byte for byte as the package encodes them,
INT8 codes unchanged under their scales as float16.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

PARTS = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def hugging_face(name):
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{PARTS[parts[2]]}.{parts[3]}"
    return f"{OUTER[parts[0]]}.{parts[1]}"


def paired(rows, heads):
    """The rows of each head as llama.cpp rotates them: 0, n/2, 1, n/2 + 1, …"""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def field(file, key):
    return file.fields[key].contents() if key in file.fields else None


def heads_of(file, name):
    """How many heads' rows are paired in a tensor, or None."""
    if field(file, "general.architecture") != "llama" or ".attn_" not in name:
        return None
    part = name.split(".")[2]
    return {"attn_q": field(file, "llama.attention.head_count"),
            "attn_k": field(file, "llama.attention.head_count_kv")}.get(part)


NUMBERS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1", "U8": "u1"}


class Safetensors:
    """The tensors of a file or of a folder's files, floats as float32."""

    def __init__(self, path):
        path = pathlib.Path(path)
        self.tensors = {}
        for file in sorted(path.glob("model*.safetensors")) if path.is_dir() else [path]:
            data = np.memmap(file, np.uint8, "r")
            start = 8 + int.from_bytes(data[:8].tobytes(), "little")
            for name, entry in json.loads(data[8:start].tobytes()).items():
                if name != "__metadata__":
                    begin, end = entry["data_offsets"]
                    self.tensors[name] = entry, data[start + begin:start + end]

    def names(self):
        return set(self.tensors)

    def get(self, name):
        if name not in self.tensors:
            return None
        entry, data = self.tensors[name]
        values = np.frombuffer(data.tobytes(), NUMBERS[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values if entry["dtype"] in ("I8", "U8") else values.astype(np.float32)


def expected_bytes(folder, name, kind, heads):
    """The bytes that a tensor of GGUF must have, from the folder's tensor."""
    source = folder.get(name)
    scale = folder.get(name + "_scale")
    order = (lambda x: paired(x, heads)) if heads else (lambda x: x)
    if scale is not None and source.dtype == np.int8:
        codes, scales = order(source), order(scale)
        if kind == Type.Q8_0:
            blocks = codes.reshape(codes.shape[0], -1, 32).view(np.uint8)
            halves = np.broadcast_to(scales.astype(np.float16)[:, :, None], (*blocks.shape[:2], 1))
            return np.concatenate([np.ascontiguousarray(halves).view(np.uint8), blocks], axis=-1)
        numbers = codes.astype(np.float32) * scales
    else:
        numbers = order(source)
    return gguf.quantize(np.ascontiguousarray(numbers), kind)


def ours(folder_path, path):
    folder, file = Safetensors(folder_path), gguf.GGUFReader(path)
    config = json.loads((pathlib.Path(folder_path) / "config.json").read_text())
    seen = set()
    for tensor in file.tensors:
        if tensor.name == "rope_freqs.weight":
            continue
        name = hugging_face(tensor.name)
        expected = expected_bytes(folder, name, tensor.tensor_type, heads_of(file, tensor.name))
        found = np.asarray(tensor.data)
        assert found.tobytes() == np.ascontiguousarray(expected).tobytes(), f"{tensor.name} differs"
        assert list(tensor.shape)[::-1] == list(folder.get(name).shape), tensor.name
        seen.add(name)
    tied = {"lm_head.weight"} if config.get("tie_word_embeddings") else set()
    extra = ("_scale", "_zero_point", "inv_freq")
    left = {name for name in folder.names() - seen - tied if not name.endswith(extra)}
    assert not left, f"not in the file: {sorted(left)}"

    family = field(file, "general.architecture")
    for key, value in [
        ("block_count", config["num_hidden_layers"]), ("embedding_length", config["hidden_size"]),
        ("feed_forward_length", config["intermediate_size"]),
        ("attention.head_count", config["num_attention_heads"]),
        ("context_length", config["max_position_embeddings"]), ("vocab_size", config["vocab_size"]),
    ]:
        assert field(file, f"{family}.{key}") == value, f"{key}: {field(file, f'{family}.{key}')}"
    tokens = field(file, "tokenizer.ggml.tokens")
    if tokens is not None:
        tokenizer = json.loads((pathlib.Path(folder_path) / "tokenizer.json").read_text())
        assert len(tokens) == config["vocab_size"]
        for token, number in tokenizer["model"]["vocab"].items():
            assert tokens[number] == token, f"token {number} is {tokens[number]!r}, not {token!r}"
        merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
        if field(file, "tokenizer.ggml.model") == "gpt2":
            assert field(file, "tokenizer.ggml.merges") == merges
    print(f"{path}: {len(file.tensors)} tensors and {len(file.fields)} fields as gguf reads them")


def write(path):
    """A Llama of random numbers, with as many matrices as there are types."""
    random = np.random.default_rng(8)
    blocks_path = pathlib.Path(__file__).parents[2] / "fixtures/arithmetic/gguf-blocks.safetensors"
    blocks = Safetensors(blocks_path)
    kinds = [Type[name[:-4]] for name in blocks.names() if name.endswith(".raw")]
    kinds = sorted(kinds) + [Type.F32, Type.F16, Type.BF16]
    hidden, inner, heads, layers, tokens = 256, 512, 4, 4, 64

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)

    def matrix(name, rows, columns, kind):
        if kind in (Type.F32, Type.F16, Type.BF16):
            raw = gguf.quantize(random.standard_normal((rows, columns), np.float32), kind)
        else:
            elements, size = gguf.GGML_QUANT_SIZES[kind]
            some = blocks.get(f"{kind.name}.raw").reshape(-1, size)
            chosen = random.integers(len(some), size=(rows, columns // elements))
            raw = some[chosen].reshape(rows, -1)
        writer.add_tensor(name, raw, raw_dtype=kind)

    def vector(name):
        writer.add_tensor(name, random.standard_normal(hidden, np.float32))

    shapes = {
        "attn_q": (hidden, hidden), "attn_k": (hidden // 2, hidden), "attn_v": (hidden // 2, hidden),
        "attn_output": (hidden, hidden), "ffn_gate": (inner, hidden), "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner),
    }
    matrix("token_embd.weight", tokens, hidden, Type.Q8_0)
    vector("output_norm.weight")
    for layer in range(layers):
        vector(f"blk.{layer}.attn_norm.weight")
        vector(f"blk.{layer}.ffn_norm.weight")
        for index, (part, shape) in enumerate(shapes.items()):
            kind = kinds[(layer * len(shapes) + index) % len(kinds)]
            matrix(f"blk.{layer}.{part}.weight", *shape, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{path}: {len(kinds)} types")


def theirs(path, converted):
    file, result = gguf.GGUFReader(path), Safetensors(converted)
    assert len(file.tensors) == len(result.names())
    for tensor in file.tensors:
        name = hugging_face(tensor.name)
        found = result.get(name)
        expected = gguf.dequantize(np.asarray(tensor.data), tensor.tensor_type)
        expected = expected.reshape(list(tensor.shape)[::-1]).astype(np.float32)
        heads = heads_of(file, tensor.name)
        if heads:  # paired() of what was found must be what the file holds
            found = paired(found, heads)
        assert np.array_equal(found.view(np.uint32), expected.view(np.uint32)), f"{name} differs"
    print(f"{path}: {len(file.tensors)} tensors as Karat reads them")


{"ours": ours, "write": write, "theirs": theirs}[sys.argv[1]](*sys.argv[2:])
