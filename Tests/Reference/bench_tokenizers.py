"""A peer for `karat bench --encode`: times the `tokenizers` package on one thread.

    bench_tokenizers.py TOKENIZER TEXTS

Encodes the lines of TEXTS for every line 'run' on standard input, and prints the seconds it took.
"""

import os
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer  # noqa: E402: reads the environment


def main():
    tokenizer = Tokenizer.from_file(sys.argv[1])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = Path(sys.argv[2]).read_bytes().decode().split("\n")
    for line in sys.stdin:
        if line.strip() == "run":
            start = time.perf_counter()
            # The variant that keeps no offsets, which Karat does not make either.
            tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
