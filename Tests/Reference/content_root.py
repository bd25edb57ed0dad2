"""The content root of a safetensors file or sharded folder, from its definition alone.

    python3 Tests/Reference/content_root.py MODEL.safetensors | FOLDER

Python's standard library only; shares nothing with the Swift code. The definition stands in
Sources/Checkpoints/ContentRoot/ContentRoot.swift. Its results for the fixtures are the expected
values of Tests/CheckpointsTests/ContentRootTests.swift.
"""

import hashlib
import json
import pathlib
import struct
import sys

LEAF = 1 << 20


def leaf(content):
    return hashlib.sha256(b"\0" + content).digest()


def tree(leaves):
    """RFC 6962, section 2.1, on digests of leaves."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:split]) + tree(leaves[split:])).digest()


def tensors(path):
    """Name, type, extents and bytes of each tensor."""
    path = pathlib.Path(path)
    files = [path]
    if path.is_dir():
        index = json.loads((path / "model.safetensors.index.json").read_text())
        files = [path / name for name in sorted(set(index["weight_map"].values()))]
    for file in files:
        data = file.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        for name, entry in json.loads(data[8 : 8 + length]).items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                content = data[8 + length + start : 8 + length + end]
                yield name.encode(), entry["dtype"].encode(), entry["shape"], content


def text(value):
    return struct.pack("<Q", len(value)) + value


def content_root(path):
    entries = []
    for name, dtype, shape, content in sorted(tensors(path)):
        leaves = [leaf(content[i : i + LEAF]) for i in range(0, len(content), LEAF)]
        extents = struct.pack(f"<{len(shape) + 1}Q", len(shape), *shape)
        entries.append(leaf(text(name) + text(dtype) + extents + tree(leaves)))
    return tree(entries).hex()


for path in sys.argv[1:]:
    print(content_root(path), path)
