"""Compares `karat tokenize` with the `tokenizers` package on real vocabularies and varied texts.

    tokenizer_check.py KARAT MODELS [--texts N] [--only NAME]

MODELS is the folder that scripts/models fills. For each vocabulary, at least N texts are encoded by both,
and the ids decoded by both; SentencePiece's files are also compared with the package of that name, and
llama.cpp's vocabularies with the ids that it expects. One difference fails.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer

import tokenizer_files as files
import tokenizer_texts

CASE_END = "\n__ggml_vocab_test__\n"
REFUSED = {"gemma-4": "gemma4"}  # other families, and what the refusal names


class Karat:
    def __init__(self, program, folder):
        self.program = program
        self.folder = Path(folder)

    def _run(self, tokenizer, flags, input):
        path = self.folder / "input"
        path.write_bytes(input)
        command = [self.program, "tokenize", str(tokenizer), "--file", str(path), "--null", *flags]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def encode(self, tokenizer, texts):
        output = self._run(tokenizer, [], b"".join(text.encode() + b"\0" for text in texts))
        return [[int(id) for id in line.split()] for line in output.split(b"\n")[:-1]]

    def decode(self, tokenizer, ids):
        output = self._run(tokenizer, ["--decode"], "".join(" ".join(map(str, list)) + "\n" for list in ids).encode())
        return [text.decode() for text in output.split(b"\0")[:-1]]


class Report:
    def __init__(self):
        self.failures = 0

    def compare(self, name, texts, ours, theirs):
        wrong = [(t, a, b) for t, a, b in zip(texts, ours, theirs, strict=True) if a != b]
        self.failures += len(wrong)
        print(f"{name}: {len(texts) - len(wrong)} of {len(texts)} agree")
        for text, a, b in wrong[:5]:
            place = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            print(f"  {text[:60]!r}, from {place}: {a[place:place + 8]!r}; reference {b[place:place + 8]!r}")


def check_package(karat, report, count, name, ours, theirs):
    package = Tokenizer.from_file(str(theirs))
    package.no_truncation()
    package.no_padding()
    texts = tokenizer_texts.texts(count, [token.content for token in package.get_added_tokens_decoder().values()])
    ids = [encoding.ids for encoding in package.encode_batch(texts, add_special_tokens=False)]
    report.compare(f"{name}, encoded", texts, karat.encode(ours, texts), ids)
    report.compare(f"{name}, decoded", texts, karat.decode(ours, ids), package.decode_batch(ids, skip_special_tokens=False))
    return texts


def check_sentencepiece(karat, report, name, converted, path):
    """The file's own program finds no special token in a text: those are left out of the texts here."""
    _, package = files.sentencepiece_model(path)
    special = [package.id_to_piece(id) for id in range(package.get_piece_size()) if package.is_control(id)] + ["<unk>"]
    texts = [text for text in tokenizer_texts.texts(12000) if not any(token in text for token in special)]
    report.compare(f"{name}, as sentencepiece", texts, karat.encode(converted, texts), package.encode(texts))


def check_vectors(karat, report, folder):
    """llama.cpp's own vectors; vocabularies of families that are not known must be refused by name."""
    for vocabulary in sorted(folder.glob("*.gguf")):
        name = vocabulary.stem.removeprefix("ggml-vocab-")
        if name in REFUSED:
            command = [karat.program, "tokenize", str(vocabulary), "--text", "a"]
            refusal = subprocess.run(command, capture_output=True, text=True)
            is_refused = refusal.returncode != 0 and f"'{REFUSED[name]}'" in refusal.stderr
            report.failures += not is_refused
            print(f"llama.cpp {name}: {'refused by name' if is_refused else 'NOT refused'}")
            continue
        texts = Path(f"{vocabulary}.inp").read_bytes().decode().split(CASE_END)[:-1]
        expected = [[int(id) for id in line.split()] for line in Path(f"{vocabulary}.out").read_text().split("\n")]
        report.compare(f"llama.cpp {name}", texts, karat.encode(vocabulary, texts), expected[: len(texts)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("karat")
    parser.add_argument("models", type=Path)
    parser.add_argument("--texts", type=int, default=12000)
    parser.add_argument("--only")
    options = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        karat = Karat(options.karat, folder)
        for name, ours, theirs in files.vocabularies(options.models, Path(folder)):
            if options.only and options.only not in name:
                continue
            theirs = theirs()
            check_package(karat, report, options.texts, name, ours, theirs)
            if name.startswith("mistral-v"):
                path = next((options.models / "tokenizers/mistral").glob(f"*.model.{name.removeprefix('mistral-')}"))
                check_sentencepiece(karat, report, name, theirs, path)
        if not options.only:
            check_vectors(karat, report, options.models / "tokenizers/llama.cpp")
    sys.exit(f"{report.failures} differences" if report.failures else 0)


if __name__ == "__main__":
    main()
