"""Varied texts for comparing tokenizers, the same in every run.

Prose, code, numbers, many scripts, emoji, combining marks, control characters, runs of spaces, all kinds
of line ends, near misses of special tokens, and random Unicode. No text holds a NUL: it ends each in
a file of them.
"""

import random
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPTS = [  # letters of one script; words of others are made in the same way
    (0x0041, 0x005A), (0x0061, 0x007A), (0x00C0, 0x024F), (0x0370, 0x03FF), (0x0400, 0x052F),
    (0x0531, 0x0587), (0x0590, 0x05FF), (0x0600, 0x06FF), (0x0700, 0x074F), (0x0900, 0x097F),
    (0x0980, 0x09FF), (0x0A00, 0x0A7F), (0x0B80, 0x0BFF), (0x0C00, 0x0C7F), (0x0D00, 0x0D7F),
    (0x0E00, 0x0E7F), (0x0E80, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x10A0, 0x10FF),
    (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1780, 0x17FF), (0x1800, 0x18AF),
    (0x1E00, 0x1FFF), (0x2C00, 0x2C5F), (0x3040, 0x30FF), (0x3400, 0x34FF), (0x4E00, 0x5E00),
    (0x5E00, 0x9FFF), (0xA000, 0xA48F), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB50, 0xFDFF),
    (0xFF00, 0xFFEF), (0x10330, 0x1034F), (0x10400, 0x1044F), (0x1D400, 0x1D7FF), (0x20000, 0x2A6DF),
]
MARKS = [chr(c) for c in (*range(0x0300, 0x036F), 0x0483, 0x05B0, 0x064B, 0x0670, 0x093C, 0x0E34, 0x20D0, 0x3099)]
SPACES = [" ", "  ", "\t", "\u00a0", "\u1680", "\u2003", "\u2009", "\u200a", "\u202f", "\u205f", "\u3000"]
LINE_ENDS = ["\n", "\r\n", "\r", "\n\n", "\n\n\n", " \n", "\n ", "\r\n\r\n", "\u0085", "\u2028", "\u2029", "\x0b", "\x0c"]
CONTROLS = [chr(c) for c in (*range(1, 32), *range(0x7F, 0xA0))] + list("\u00ad\u200b\u200c\u200d\u200e\u2066\ufeff\ufffd\ufffe\U000e0001")
EMOJI = ["😀", "🚀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🧑🏿‍🚀", "🇯🇵🇩🇪", "❤️", "☺", "1️⃣", "🤦🏼‍♂️", "🫠", "♟️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
CLITICS = ["'s", "'S", "'t", "'re", "'RE", "'ve", "'m", "'ll", "'LL", "'d", "’s", " '", "n't", "'ſ"]
PUNCTUATION = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + list("–—…“”‘’«»¿¡。、！？（）【】·•§¶€£¥±×÷≤≠∞→")


def _lines(folder, pattern):
    return [
        line
        for path in sorted((ROOT / folder).rglob(pattern))
        for line in path.read_text(encoding="utf-8").split("\n")
    ]


def prose():
    return [line for line in _lines("fixtures/text", "botchan-*.txt") if line]


def code():
    return [line for line in _lines("Sources", "*.swift") + _lines("Sources", "*.c") + _lines("Tests/Reference", "*.py") if line]


def _word(rng):
    low, high = rng.choice(SCRIPTS)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 12)))


def _number(rng):
    return rng.choice([
        str(rng.randint(0, 10 ** rng.randint(1, 20))), f"{rng.uniform(-1e4, 1e4):.{rng.randint(0, 6)}f}",
        f"{rng.randint(1, 999):,}", hex(rng.randint(0, 1 << 40)), f"{rng.randint(0, 23)}:{rng.randint(0, 59):02}",
        "".join(chr(rng.choice([0x0660, 0x0966, 0xFF10, 0x1D7CE]) + rng.randint(0, 9)) for _ in range(5)), "½²Ⅷ⑨㊈",
    ])


def _scalar(rng):
    while True:
        value = rng.choice([rng.randint(1, 0x2FF), rng.randint(1, 0xFFFF), rng.randint(1, 0x10FFFF)])
        if not 0xD800 <= value < 0xE000:
            return chr(value)


def _look_alike(rng, special):
    token = rng.choice(special) if special else "<s>"
    kind = rng.randint(0, 5)
    place = rng.randint(0, len(token))
    return [
        token, " " + token + " ", token[:place], token[place:], token[:place] + " " + token[place:], token + token,
    ][kind]


def _mixed(rng, special):
    makers = [
        lambda: _word(rng), lambda: _number(rng), lambda: rng.choice(SPACES), lambda: rng.choice(LINE_ENDS),
        lambda: rng.choice(CONTROLS), lambda: rng.choice(EMOJI), lambda: rng.choice(PUNCTUATION) * rng.randint(1, 4),
        lambda: rng.choice(CLITICS), lambda: rng.choice("aeinoクक가ا") + "".join(rng.choices(MARKS, k=rng.randint(1, 4))),
        lambda: " ", lambda: rng.choice(["the", "The", "HELLO", "camelCaseWord", "snake_case", "https://a.b/c?d=e&f", "<p>"]),
        lambda: _look_alike(rng, special), lambda: _scalar(rng),
    ]
    return "".join(rng.choice(makers)() for _ in range(rng.randint(1, 24)))


def _long(rng):
    count = rng.choice([60, 63, 64, 65, 130, 500, 3000])
    return rng.choice([
        " " * count, "\t" * count, "\n" * count, "a" * count, "ab" * count, "=" * count, "0" * count, "\r\n" * count,
        "".join(rng.choices("abcdefgh", k=count)), "e\u0301" * count, "漢" * count, " x" + " " * count + "y",
        "\u00a0" * count + "z", "🚀" * count,
    ])


def texts(count, special=()):
    """At least `count` texts; `special` are the tokenizer's own special tokens."""
    rng = random.Random(1)
    special = sorted(special)[:200]
    found = prose() + rng.sample(code(), 2500)
    found += [" ".join(_word(rng) for _ in range(rng.randint(1, 10))) for _ in range(2000)]
    found += ["".join(_scalar(rng) for _ in range(rng.randint(1, 30))) for _ in range(1000)]
    found += [_long(rng) for _ in range(200)]
    found += ["", " ", "\n", "\r", "\t", "\u00a0"]
    while len(found) < count:
        found.append(_mixed(rng, special))
    return found
