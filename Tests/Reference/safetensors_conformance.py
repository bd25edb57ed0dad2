#!/usr/bin/env python3
"""Compares Karat with the safetensors package, which is the reference of the format.

    python safetensors_conformance.py KARAT            checks, KARAT being the built command
    python safetensors_conformance.py --record         notes the package's verdicts as they are now

Two things are checked:

1. The package's verdict on every file of fixtures/hostile/safetensors is the recorded one. Karat's
   own tests hold `reference.json` against `expected.json`: they read all that the package reads,
   but for the rules marked as stricter in formats/safetensors.md, and nothing that it refuses.
2. A file of every dtype goes through `karat convert`: what the package wrote comes out in the same
   bytes, and what Karat wrote is read by the package with the same types, shapes and elements.
"""

import ctypes
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors

HOSTILE = Path(__file__).resolve().parents[2] / "fixtures" / "hostile" / "safetensors"

# Names in the package's writer, names in the format, bits. Its writer does not know 6-bit floats.
DTYPES = [
    ("bool", "BOOL", 8), ("float4_e2m1fn_x2", "F4", 4), (None, "F6_E2M3", 6), (None, "F6_E3M2", 6),
    ("uint8", "U8", 8), ("int8", "I8", 8), ("float8_e5m2", "F8_E5M2", 8),
    ("float8_e4m3fn", "F8_E4M3", 8), ("float8_e8m0fnu", "F8_E8M0", 8),
    ("float8_e4m3fnuz", "F8_E4M3FNUZ", 8), ("float8_e5m2fnuz", "F8_E5M2FNUZ", 8),
    ("int16", "I16", 16), ("uint16", "U16", 16), ("float16", "F16", 16), ("bfloat16", "BF16", 16),
    ("int32", "I32", 32), ("uint32", "U32", 32), ("float32", "F32", 32), ("complex64", "C64", 64),
    ("float64", "F64", 64), ("int64", "I64", 64), ("uint64", "U64", 64),
]
SHAPES = [[3, 8], [0, 4], [1, 2, 1, 4]]
NAMES = ["{}", "empty.{}", "é\n\"\\.{}"]


def verdicts():
    """What the package says of every file: None where it reads it."""
    found = {}
    for path in sorted(HOSTILE.glob("*.safetensors")):
        try:
            safetensors.deserialize(path.read_bytes())
            found[path.name] = None
        except safetensors.SafetensorError as error:
            found[path.name] = str(error)
    return found


def elements(seed, shape, bits):
    count = 1
    for extent in shape:
        count *= extent
    return bytes((seed * 37 + i * 101) % 256 for i in range(count * bits // 8))


def tensors():
    """Name, name of the type in the package and in the format, shape and bytes of each tensor."""
    for seed, (writer_name, name, bits) in enumerate(DTYPES):
        for shape, pattern in zip(SHAPES, NAMES):
            yield pattern.format(name), writer_name, name, shape, elements(seed, shape, bits)


def written_by_package():
    specs, alive = {}, []
    for name, writer_name, dtype, shape, data in tensors():
        if writer_name is None:
            continue
        memory = ctypes.create_string_buffer(data, max(len(data), 1))
        alive.append(memory)
        # Two 4-bit floats count as one element where a framework names the shape.
        shape = shape[:-1] + [shape[-1] // 2] if dtype == "F4" else shape
        specs[name] = safetensors.TensorSpec(
            dtype=writer_name, shape=shape, data_ptr=ctypes.addressof(memory), data_len=len(data))
    return safetensors.serialize(specs, {"format": "pt"})


def written_by_hand():
    header, data = {}, b""
    for name, _, dtype, shape, content in tensors():
        header[name] = {
            "dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def content(data):
    return {name: (entry["dtype"], list(entry["shape"]), bytes(entry["data"]))
            for name, entry in safetensors.deserialize(data)}


def converted(karat, data):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.safetensors"), Path(folder, "b.safetensors")
        source.write_bytes(data)
        run = subprocess.run([karat, "convert", source, target], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"karat convert: {run.stderr}")
        return target.read_bytes()


def check(karat):
    recorded = json.loads((HOSTILE / "reference.json").read_text())
    found = verdicts()
    differing = {name for name in recorded.keys() | found.keys()
                 if name not in recorded or name not in found
                 or (recorded[name] is None) != (found[name] is None)}
    for name in sorted(differing):
        print(f"{name}: the package says {found.get(name, 'nothing')!r},"
              f" recorded is {recorded.get(name, 'nothing')!r}")
    theirs = written_by_package()
    if converted(karat, theirs) != theirs:
        differing.add("the package's own file")
        print("what the package wrote came out of karat in other bytes")
    every = written_by_hand()
    expected = {name: (dtype, shape, data) for name, _, dtype, shape, data in tensors()}
    if content(every) != expected or content(converted(karat, every)) != expected:
        differing.add("every dtype")
        print("the package reads other tensors from karat's file than were put in")
    if differing:
        sys.exit(1)
    accepted = sum(verdict is None for verdict in found.values())
    print(f"safetensors {safetensors.__version__}: {len(found)} verdicts as recorded, {accepted} of"
          f" them to read; {len(expected)} tensors of {len(DTYPES)} dtypes the same both ways")


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        text = json.dumps(verdicts(), indent=2, ensure_ascii=False)
        (HOSTILE / "reference.json").write_text(text + "\n")
    elif len(sys.argv) == 2:
        check(sys.argv[1])
    else:
        sys.exit(__doc__)
