"""Compares what Karat reads of PyTorch files with what PyTorch saved.

    .venv/bin/python Tests/Reference/torch_check.py .build/release/karat

PyTorch saves state_dicts of every type, views, shared, transposed and expanded tensors, parameters,
wrapped and sharded ones. `karat convert` makes safetensors files of them, which the safetensors
package reads. Names, types, shapes and every byte must be equal.

    … torch_check.py --fixtures     writes the fixtures of the Swift tests anew instead
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

HOSTILE = pathlib.Path(__file__).resolve().parents[2] / "fixtures/hostile/pytorch"
# Files of a training script, in which Karat finds the model below a name.
WRAPPED = {"T03-model-and-optimizer-ok": "model", "T03-state_dict-ok": "state_dict"}
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures/checkpoints"

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint64, torch.uint32, torch.uint16, torch.uint8, torch.bool, torch.complex64,
    torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu, torch.float4_e2m1fn_x2,
]  # fmt: skip


def random(dtype, *shape):
    """A tensor of random bytes, every bit pattern of floats among them."""
    count = torch.Size(shape).numel() * dtype.itemsize
    data = torch.randint(0, 2 if dtype == torch.bool else 256, (count,), dtype=torch.uint8)
    return data.view(dtype).reshape(shape)


def of_every_type():
    return {str(dtype).removeprefix("torch."): random(dtype, 3, 5) for dtype in DTYPES}


def views(dtype, rows=6, columns=10):
    base = random(dtype, rows, columns)
    images = random(dtype, 2, 3, 4, 5).to(memory_format=torch.channels_last)
    tied = random(dtype, 4, 4)
    return {
        "whole": base,
        "rows": base[2:5],
        "columns": base[:, 1:4],
        "steps": base[::2, ::3],
        "transposed": base.t(),
        "row": base[1],
        "column": base[:, 1],
        "element": base[3, 4],
        "expanded": base[0].expand(4, columns),
        "expanded.inside": base[:, :1].expand(rows, 3),
        "overlapping": base.as_strided((5, 3), (2, 1), 7),
        "channels_last": images,
        "permuted": images.permute(3, 0, 2, 1),
        "narrow": images[1:, :, 1:3],
        "empty": base[:0],
        "empty.column": base[:, 10:],
        "tied": tied,
        "tied.too": tied,
        "tied.transposed": tied.t(),
        "scalar": random(dtype),
    }


def parameters():
    linear = torch.nn.Linear(3, 2)
    marked = torch.nn.Parameter(torch.ones(3))
    marked.note = "kept by vLLM and others"
    noted = torch.arange(4.0)
    noted.note = [1, 2]
    return {
        **linear.state_dict(),
        "parameter": torch.nn.Parameter(torch.zeros(2)),
        "marked": marked,
        "noted": noted,
    }


def large():
    """More than a window of the reader, in orders that need several."""
    base = random(torch.bfloat16, 700, 900)
    return {
        "transposed": base.t(),
        "steps": base[::3, ::7],
        "cube": random(torch.float32, 60, 50, 40).permute(2, 0, 1),
        "slice": random(torch.float32, 300, 1000)[:, 17],
        "wide": random(torch.uint8, 3, 1 << 19).t(),
    }


def model():
    torch.manual_seed(2)
    block = lambda: torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 2), torch.nn.BatchNorm2d(4), torch.nn.LSTM(4, 3)
    )
    return torch.nn.Sequential(block(), torch.nn.Embedding(10, 6)).state_dict()


def cases():
    """Names, what is saved, and the tensors that are to come of it."""
    torch.manual_seed(1)
    yield "types", of_every_type(), None
    for dtype in (torch.float32, torch.bfloat16, torch.uint8, torch.float64, torch.float8_e4m3fn):
        tensors = views(dtype)
        yield f"views of {dtype}", tensors, None
    yield "parameters", parameters(), None
    yield "large", large(), None
    yield "a module's state_dict", model(), None
    inner = model()
    trained = {
        "epoch": 3,
        "state_dict": inner,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}},
        "loss": 0.5,
    }
    yield "a training script's", trained, inner
    nested = {
        "a": {"b": torch.ones(2), "c": [torch.zeros(1), torch.ones(1)]},
        5: torch.ones(3),
        "note": "text",
    }
    yield "nested", nested, {
        "a.b": torch.ones(2),
        "a.c.0": torch.zeros(1),
        "a.c.1": torch.ones(1),
        "5": torch.ones(3),
    }
    yield "other values", {
        "t": torch.ones(2),
        "bytes": b"ab",
        "set": {1},
        "complex": 1j,
        "size": torch.Size([1]),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "large": 1 << 80,
        "none": None,
    }, {"t": torch.ones(2)}
    yield "a name of every kind", {
        "": torch.ones(1),
        "é": torch.zeros(1),
        "e\u0301": torch.ones(2),
        "a b/c": torch.ones(1),
    }, None
    yield "nothing", {}, None


def same(left, right):
    def content(tensor):
        return tensor.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8)

    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and torch.equal(content(left), content(right))
    )


def compare(found, wanted, what):
    if set(found) != set(wanted):
        sys.exit(f"{what}: names are {sorted(found)}; {sorted(wanted)} were saved.")
    for name, tensor in wanted.items():
        if not same(found[name], tensor):
            sys.exit(
                f"{what}, '{name}': {found[name].dtype} {tuple(found[name].shape)} came of"
                f" {tensor.dtype} {tuple(tensor.shape)}, or other bytes."
            )


def flat(value, path=None):
    """Tensors by their paths."""
    if isinstance(value, torch.Tensor):
        return {path: value}
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return {}
    tensors = {}
    for key, item in items:
        tensors |= flat(item, str(key) if path is None else f"{path}.{key}")
    return tensors


def split(tensors, folder, count):
    """Saves a model folder of several files with their index, as transformers does."""
    folder.mkdir(exist_ok=True)
    names = list(tensors)
    places = {
        name: f"pytorch_model-{i * count // len(names) + 1:05}-of-{count:05}.bin"
        for i, name in enumerate(names)
    }
    for file in set(places.values()):
        torch.save({name: tensors[name] for name in names if places[name] == file}, folder / file)
    size = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


def check(karat):
    def convert(source, target):
        command = [karat, "convert", str(source), str(target)]
        return subprocess.run(command, capture_output=True, text=True)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        count = 0

        def checked(source, wanted, what):
            nonlocal count
            target = folder / f"{count}.safetensors"
            done = convert(source, target)
            if done.returncode:
                sys.exit(f"{what}: {done.stderr}")
            compare(load_file(target), wanted, what)
            count += len(wanted)
            target.unlink()

        for name, saved, wanted in cases():
            torch.save(saved, folder / "model.bin")
            checked(folder / "model.bin", saved if wanted is None else wanted, name)
        split(model(), folder / "shards", 3)
        checked(folder / "shards", model(), "shards")
        inspected = subprocess.run(
            [karat, "inspect", "--json", folder / "shards"], capture_output=True, check=True
        )
        if json.loads(inspected.stdout)["format"] != "pytorch":
            sys.exit("karat inspect does not call it 'pytorch'.")
        print(f"{count} tensors equal what PyTorch {torch.__version__} saved")

        refusals = {
            "legacy": lambda path: torch.save(model(), path, _use_new_zipfile_serialization=False),
            "script": lambda path: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path),
            "conjugated": lambda path: torch.save(
                {"t": torch.ones(2, dtype=torch.complex64).conj()}, path
            ),
            "sparse": lambda path: torch.save({"t": torch.eye(3).to_sparse()}, path),
            "a module": lambda path: torch.save(torch.nn.Linear(2, 2), path),
            "a function": lambda path: torch.save({"t": torch.ones(1), "f": print}, path),
        }
        for name, save in refusals.items():
            save(str(folder / "model.bin"))
            done = convert(folder / "model.bin", folder / "refused.safetensors")
            if done.returncode == 0 or (folder / "refused.safetensors").exists():
                sys.exit(f"{name}: it was to be refused.")
        print(f"{len(refusals)} kinds of files are refused, as they must be")

        files = sorted(HOSTILE.glob("*-ok.bin"))
        for file in files:
            loaded = torch.load(file, weights_only=True)
            wrapper = WRAPPED.get(file.stem)
            found = flat(loaded if wrapper is None else loaded[wrapper])
            checked(file, found, file.name)
        print(f"{len(files)} of the hostile files are read, and hold the same for PyTorch")


def write_fixtures():
    torch.manual_seed(3)
    short = {name: tensor for name, tensor in views(torch.float16).items() if tensor.dim() < 4}
    tensors = {
        **of_every_type(),
        **short,
        "parameter": torch.nn.Parameter(random(torch.bfloat16, 2)),
    }
    torch.save(tensors, FIXTURES / "torch-saved.bin")
    save_file(
        {
            name: tensor.detach().clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        },
        FIXTURES / "torch-saved.safetensors",
    )
    seed = {
        "w": torch.arange(6.0).reshape(2, 3).t(),
        "b": torch.tensor([1.5], dtype=torch.bfloat16),
    }
    torch.save(seed, FIXTURES / "torch-seed.bin")
    split(
        {name: tensors[name] for name in ("float32", "rows", "transposed", "tied")},
        FIXTURES / "torch-sharded",
        2,
    )
    # A storage of 4 GiB of zeros, which are left out: the test puts them back as a hole.
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.bin"
        zeros = torch.zeros(1 << 30)
        torch.save({"zeros": zeros, "behind": torch.arange(3.0), "empty": torch.zeros(0)}, path)
        with path.open("rb") as file:
            head = file.read(768)
            file.seek(zeros.nbytes, 1)
            (FIXTURES / "torch-beyond-4GiB.pieces").write_bytes(head + file.read())


if __name__ == "__main__":
    write_fixtures() if sys.argv[1] == "--fixtures" else check(sys.argv[1])
