"""Times conversions of a large checkpoint side by side: cp, Karat, and safetensors with PyTorch.

    bench_convert.py KARAT CHECKPOINT_FOLDER WORK_FOLDER [--rounds 5]

Every contestant is a process and takes its turn in each round, each time right after a cp that is
timed too: what a page of memory costs changes from minute to minute, on virtual machines tenfold, and
so both find the memory alike. What is timed ends with the bytes on the disk: `sync FILE` follows what
does not flush by itself. Prints medians, gigabytes of input per second, and the median of the ratios
to the cp before.
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("karat")
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--rounds", type=int, default=5)
arguments = parser.parse_args()
karat, work = arguments.karat, arguments.work
model = arguments.folder / "model.safetensors"
gigabytes = model.stat().st_size / 1e9

TO_F16 = """
import sys, torch
from safetensors.torch import load_file, save_file
tensors = {name: tensor.to(torch.float16) for name, tensor in load_file(sys.argv[1]).items()}
save_file(tensors, sys.argv[2])
"""

kcf = work / "model.kcf"


def out(name: str) -> str:
    return str(work / name)


contestants: list[tuple[str, list[str], str, bool]] = [
    # What it is called, the command, what it writes, and whether that must still be flushed.
    ("cp, again", ["cp", str(model), out("copy")], "copy", True),
    ("cp, not flushed", ["cp", str(model), out("copy")], "copy", False),
    ("karat convert, BF16 to F16", [karat, "convert", str(model), out("f16.safetensors"), "--dtype", "f16"], "f16.safetensors", False),
    ("karat convert, to KCF", [karat, "convert", str(model), str(kcf)], "model.kcf", False),
    ("karat convert, KCF back", [karat, "convert", str(kcf), out("back.safetensors")], "back.safetensors", False),
    ("karat inspect --root of the KCF: decode and check", [karat, "inspect", "--root", str(kcf)], "", False),
    ("karat inspect --root of the safetensors: digest", [karat, "inspect", "--root", str(model)], "", False),
    ("karat quantize, INT8 weights, no hashes", [karat, "quantize", str(arguments.folder), out("int8"), "--preset", "int8-weights", "--no-hashes"], "int8", False),
    ("karat quantize, INT8 weights", [karat, "quantize", str(arguments.folder), out("int8"), "--preset", "int8-weights"], "int8", False),
    ("Python: safetensors and PyTorch, BF16 to F16", [sys.executable, "-c", TO_F16, str(model), out("python.safetensors")], "python.safetensors", True),
]


def remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def seconds(command: list[str], output: str, flushed: bool) -> float:
    if output:
        remove(work / output)
    subprocess.run(["sync", str(work)], check=True)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if flushed:
        subprocess.run(["sync", str(work / output)], check=True)
    return time.perf_counter() - start


def copy_seconds() -> float:
    """The yardstick: cp with its bytes flushed; the copy is removed."""
    taken = seconds(["cp", str(model), out("yardstick")], "yardstick", True)
    remove(work / "yardstick")
    return taken


work.mkdir(parents=True, exist_ok=True)
times: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in contestants}
for turn in range(arguments.rounds):
    for name, command, output, flushed in contestants:
        before = copy_seconds()
        times[name].append((seconds(command, output, flushed), before))
        # The disk has room for one large output at a time, and for the KCF.
        if output and output != "model.kcf":
            remove(work / output)
    print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr)
print(f"{gigabytes:.2f} GB of BF16, medians of {arguments.rounds} rounds")
copies = [before for found in times.values() for _, before in found]
print(f"{'cp':50} {statistics.median(copies):6.2f} s ({min(copies):.2f} to {max(copies):.2f})")
for name, found in times.items():
    median = statistics.median(taken for taken, _ in found)
    ratio = statistics.median(before / taken for taken, before in found)
    spread = f"{min(found)[0]:.2f} to {max(found)[0]:.2f}"
    print(f"{name:50} {median:6.2f} s ({spread}) {gigabytes / median:5.2f} GB/s, {ratio:5.2f} of cp")
python = "Python: safetensors and PyTorch, BF16 to F16"
karat_f16 = "karat convert, BF16 to F16"
speedup = statistics.median(p / k for (p, _), (k, _) in zip(times[python], times[karat_f16]))
print(f"karat converts BF16 to F16 {speedup:.1f} times as fast as Python")
print(f"the KCF has {kcf.stat().st_size / model.stat().st_size:.3f} of the bytes (random weights)")
