"""Writes a quantized folder anew with codes in some blocks only, and floats of the same values elsewhere.

    isolate_blocks.py QUANTIZED FLOATS OUT 'PATTERN'

QUANTIZED is a compressed-tensors folder, FLOATS the same decompressed, PATTERN a regular expression
of block numbers, such as '0|15'. A fault of the arithmetic in a block shows in it undiminished: with
all blocks quantized, rounding edges that are turned over by chance hide small ones.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file


def main() -> None:
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    quantized, floats, out = map(Path, sys.argv[1:4])
    blocks = sys.argv[4]
    shutil.copytree(quantized, out)
    codes, values = (load_file(folder / "model.safetensors") for folder in (quantized, floats))

    def is_inside(name: str) -> bool:
        return re.search(rf"\.layers\.({blocks})\.", name) is not None

    tensors = {name: tensor for name, tensor in codes.items() if is_inside(name)}
    tensors |= {name: tensor for name, tensor in values.items() if not is_inside(name)}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((out / "config.json").read_text())
    config["quantization_config"]["ignore"].append(rf"re:.*\.layers\.(?!({blocks})\.)\d+\..*")
    (out / "config.json").write_text(json.dumps(config, indent=2))


if __name__ == "__main__":
    main()
