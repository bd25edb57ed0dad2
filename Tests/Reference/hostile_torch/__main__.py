"""Writes fixtures/hostile/pytorch: PyTorch files that each break or stretch one rule of formats/pytorch.md.

    python3 Tests/Reference/hostile_torch

Pickles and zip archives are put together byte by byte; no PyTorch is needed. Names start with the
rule's number and end in -ok where the file must be read. expected.json beside them has the exact
messages and is kept by hand: this script only checks that it names every file, and null for those
that are -ok.
"""

import json
import pathlib

import operation_vectors
import pickle_vectors
import tensor_vectors
import zip_bytes
import zip_vectors

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "fixtures/hostile/pytorch"

vectors = {}


def add(name, content):
    assert name not in vectors, name
    vectors[name] = content


def add_pickle(name, pickle, storages=None):
    add(name, zip_bytes.saved(pickle, storages))


def main():
    for module in (operation_vectors, pickle_vectors, tensor_vectors):
        module.write(add_pickle)
    zip_vectors.write(add)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.bin"):
        old.unlink()
    for name, content in vectors.items():
        (FOLDER / f"{name}.bin").write_bytes(content)
    counts = {key: sum(name[0] in key for name in vectors) for key in ("PT", "AZ")}
    print(
        f"{len(vectors)} files: {counts['PT']} of pickles, {counts['AZ']} of archives;"
        f" {sum(map(len, vectors.values()))} bytes"
    )
    expected = (
        json.loads((FOLDER / "expected.json").read_text())
        if (FOLDER / "expected.json").exists()
        else {}
    )
    for name in sorted({*vectors, *(key.removesuffix(".bin") for key in expected)}):
        if name not in vectors:
            print(f"expected.json names {name}.bin, which is not written")
        elif f"{name}.bin" not in expected:
            print(f"expected.json lacks {name}.bin")
        elif (expected[f"{name}.bin"] is None) != name.endswith("-ok"):
            print(f"expected.json and the name of {name}.bin disagree")


if __name__ == "__main__":
    main()
