"""Real vocabularies in other files than tokenizer.json, made into one for the `tokenizers` package.

Nothing of Karat's is used. As a program, it writes one tokenizer.json for each vocabulary:

    tokenizer_files.py MODELS FOLDER
"""

import base64
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

SPLIT_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN_SPECIAL = [  # files from before they were listed in the file itself
    {"rank": rank, "token_str": text}
    for rank, text in enumerate(["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"])
]
SPLIT_QWEN = SPLIT_LLAMA3.replace("{1,3}", "")


def _byte_characters():
    """GPT-2's printable character for each byte."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in kept]
    table = {byte: chr(byte) for byte in kept}
    table.update({byte: chr(0x100 + place) for place, byte in enumerate(others)})
    return table


CHARACTERS = _byte_characters()


def _spell(token):
    return "".join(CHARACTERS[byte] for byte in token)


def _halves(token, ranks):
    """The two tokens of lower rank that merging by rank leaves of a token, just before it is one."""
    parts = [bytes([byte]) for byte in token]
    own = ranks[token]
    while len(parts) > 2:
        rank, place = min((ranks.get(a + b, own), i) for i, (a, b) in enumerate(zip(parts, parts[1:])))
        if rank >= own:
            return None
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def _document(model, added, normalizer=None, pre_tokenizer=None, post_processor=None, decoder=None):
    tokens = [
        {
            "id": id, "content": text, "special": special,
            "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
        }
        for text, id, special in added
    ]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": post_processor, "decoder": decoder, "model": model,
    }


def _byte_level(vocab, merges, split, added, normalizer=None, ignore_merges=False):
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    isolated = {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False}
    model = {"type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": ignore_merges}
    steps = {"type": "Sequence", "pretokenizers": [isolated, level]}
    return _document(model, added, normalizer, steps, None, level)


def _ranked(ranks, split, special, first_id=0, normalizer=None):
    vocab = {_spell(token): first_id + rank for token, rank in ranks.items()}
    vocab.update({text: id for text, id, _ in special})  # the package numbers others anew
    merges = []
    for token in sorted((t for t in ranks if len(t) > 1), key=ranks.get):
        halves = _halves(token, ranks)
        if halves:
            merges.append([_spell(half) for half in halves])
    # What merging never makes is a token as a whole piece only: that is how the files' own program reads them.
    return _byte_level(vocab, merges, split, special, normalizer, ignore_merges=True)


def tiktoken(path, special):
    """Qwen's `.tiktoken`: a token in base64 and its rank a line."""
    ranks = {}
    for line in path.read_bytes().split(b"\n"):
        if line:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    added = [(text, len(ranks) + place, True) for place, text in enumerate(special)]
    return _ranked(ranks, SPLIT_QWEN, added, normalizer={"type": "NFC"})


def tekken(path):
    """Mistral's `tekken.json`: special tokens come first, then tokens by rank."""
    file = json.loads(path.read_text(encoding="utf-8"))
    config = file["config"]
    count = config["default_num_special_tokens"]
    ranks = {
        base64.b64decode(entry["token_bytes"]): entry["rank"]
        for entry in file["vocab"][: config["default_vocab_size"] - count]
    }
    names = {entry["rank"]: entry["token_str"] for entry in file.get("special_tokens", TEKKEN_SPECIAL)}
    special = [(names.get(id, f"<SPECIAL_{id}>"), id, True) for id in range(count)]
    return _ranked(ranks, config["pattern"], special, first_id=count)


def _score_merges(vocab, scores):
    """SentencePiece joins neighbours that make the piece of the highest score, whichever they are."""
    merges = []
    for piece, id in vocab.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocab and right in vocab:
                merges.append((-scores[id], id, vocab[left], vocab[right], [left, right]))
    return [merge[4] for merge in sorted(merges)]


def sentencepiece(pieces, scores, added, unknown):
    """A BPE vocabulary of SentencePiece with a token for each byte."""
    vocab = {piece: id for id, piece in enumerate(pieces)}
    control = {text for text, _, _ in added}
    model = {
        "type": "BPE", "unk_token": unknown, "fuse_unk": True, "byte_fallback": True, "vocab": vocab,
        "merges": _score_merges({p: i for p, i in vocab.items() if p not in control}, scores),
    }
    space = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    decoders = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    return _document(
        model, added, {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, space]},
        decoder={"type": "Sequence", "decoders": decoders},
    )


def sentencepiece_model(path):
    """A `.model` file, by the `sentencepiece` package."""
    from sentencepiece import SentencePieceProcessor

    package = SentencePieceProcessor(model_file=str(path))
    ids = range(package.get_piece_size())
    pieces = [package.id_to_piece(id) for id in ids]
    added = [(pieces[id], id, True) for id in ids if package.is_control(id) or package.is_unknown(id)]
    return sentencepiece(pieces, [package.get_score(id) for id in ids], added, package.id_to_piece(package.unk_id())), package


def gguf(path):
    """A vocabulary in GGUF, by the `gguf` package: byte-level in the ways of Llama 3 and Qwen, or SentencePiece."""
    import gguf

    reader = gguf.GGUFReader(path)

    def value(key):
        field = reader.fields.get("tokenizer.ggml." + key)
        return field.contents() if field else None

    tokens = value("tokens")
    added = [(tokens[id], id, kind == 3) for id, kind in enumerate(value("token_type")) if kind in (2, 3, 4)]
    if value("model") == "llama":
        return sentencepiece(tokens, value("scores"), added, tokens[value("unknown_token_id")])
    vocab = {token: id for id, token in enumerate(tokens)}
    merges = [merge.split(" ") for merge in value("merges")]
    if value("pre") == "llama-bpe":
        return _byte_level(vocab, merges, SPLIT_LLAMA3, added, ignore_merges=True)
    return _byte_level(vocab, merges, SPLIT_QWEN, added)


def vocabularies(models, folder):
    """For each vocabulary its name, the file that Karat reads, and a function that gives the package's."""
    tokenizers = models / "tokenizers"
    mistral = tokenizers / "mistral"
    for name, path in [
        ("smollm2", ROOT / "fixtures/tokenizers/smollm2.json"),
        ("minilm", models / "minilm/tokenizer.json"),
        ("deepseek-v3", tokenizers / "deepseek/tokenizer.json"),
    ]:
        yield name, path, lambda path=path: path
    for name, path, make in [
        ("qwen", tokenizers / "qwen/qwen.tiktoken", lambda path: tiktoken(path, QWEN_SPECIAL)),
        ("mistral-tekken", mistral / "tekken_240911.json", tekken),
        ("mistral-v1", mistral / "tokenizer.model.v1", lambda path: sentencepiece_model(path)[0]),
        ("mistral-v3", mistral / "mistral_instruct_tokenizer_240323.model.v3", lambda path: sentencepiece_model(path)[0]),
        ("llama3", tokenizers / "llama.cpp/ggml-vocab-llama-bpe.gguf", gguf),
        ("qwen2", tokenizers / "llama.cpp/ggml-vocab-qwen2.gguf", gguf),
        ("llama2", tokenizers / "llama.cpp/ggml-vocab-llama-spm.gguf", gguf),
    ]:
        written = folder / f"{name}.json"

        def write(path=path, make=make, written=written):
            written.write_text(json.dumps(make(path), ensure_ascii=False), encoding="utf-8")
            return written

        yield name, path if path.suffix == ".gguf" else written, write


def main():
    models, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for name, _, file in vocabularies(models, folder):
        path = file()
        if path.parent != folder:
            (folder / f"{name}.json").write_bytes(path.read_bytes())


if __name__ == "__main__":
    main()
