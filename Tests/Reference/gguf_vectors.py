"""Writes most of fixtures/hostile/gguf byte by byte: files that each keep or break one rule of
formats/gguf.md, and the exact message of each in expected.json, or null where it must be read.

    python3 Tests/Reference/gguf_vectors.py

Files of that folder that are not named here were written the same way, by hand, and stay.
"""

import json
import pathlib
import struct

folder = pathlib.Path(__file__).parents[2] / "fixtures" / "hostile" / "gguf"
expected = {}

# Numbers of the element types: name, elements of a block, bytes of a block.
TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1),
    25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
}
READ = ", ".join(name for name, _, _ in TYPES.values())


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return u64(len(data)) + data


def entry(key, kind, value):
    return text(key) + u32(kind) + value


def array(kind, count, values=b""):
    return u32(kind) + u64(count) + values


def tensor(name, extents, kind=0, offset=0):
    return text(name) + u32(len(extents)) + b"".join(map(u64, extents)) + u32(kind) + u64(offset)


def header(values=(), tensors=(), version=3, counts=None, magic=b"GGUF"):
    tensor_count, value_count = counts or (len(tensors), len(values))
    start = magic + u32(version) + u64(tensor_count) + u64(value_count)
    return start + b"".join(values) + b"".join(tensors)


def file(values=(), tensors=(), data=b"", alignment=32, **more):
    start = header(values, tensors, **more)
    return start + bytes(-len(start) % alignment) + data


def add(name, content, message=None, tensor=None):
    """A message begins behind the file's name, and the tensor's where there is one."""
    name += ".gguf"
    (folder / name).write_bytes(content)
    place = name if tensor is None else f"{name}, '{tensor}'"
    expected[name] = None if message is None else f"{place}: {message}"


ONE = tensor("a", [8])
CUT = "It was cut off; fetch it again."


def ends(offset, needed, size):
    return f"the header goes on at byte {offset} with {needed} bytes; the file ends at byte {size}. {CUT}"


def cannot_hold(offset, count, what, left):
    return f"at byte {offset} it tells of {count} {what}; the {left} bytes that are left cannot hold them."


def g01_and_g02():
    for name, version in [("v5", 5), ("v-65537", 65537), ("v-2-32", 2**32 - 1)]:
        add(f"G01-{name}", file(version=version),
            f"it is of GGUF version {version}; versions 2 and 3 are read.")
    big_endian = "it is big-endian; only little-endian GGUF is read."
    add("G02-big-endian-v2", file(version=2 << 24), big_endian)
    add("G02-version-3-65536", file(version=3 << 16), big_endian)
    for name, magic in [("lower-case", b"gguf"), ("backwards", b"FUGG"), ("ggla", b"ggla")]:
        add(f"G02-{name}", file(magic=magic), "it does not start with 'GGUF'.")
    for size, offset, needed in [(1, 0, 4), (6, 4, 4), (8, 8, 8), (15, 8, 8), (23, 16, 8)]:
        add(f"G02-{size}-bytes", file()[:size], ends(offset, needed, size))
    add("G02-24-bytes-ok", header())


def g03():
    values = [entry("a", 4, u32(1)), entry("b", 4, u32(2))]
    add("G03-two-values-ok", file(values))
    content = file(values, counts=(0, 3))
    # What is left, the padding, is shorter than the length of a key.
    add("G03-one-value-more", content, ends(58, 8, 64))
    for name, count in [("tensors-most", 5), ("tensors-2-32", 2**32)]:
        content = file(tensors=[ONE], data=bytes(32), counts=(count, 0))
        add(f"G03-{name}", content, cannot_hold(24, count, "tensors", len(content) - 24))
    content = file(values, counts=(0, 8))
    add("G03-values-most", content, cannot_hold(24, 8, "values of metadata", len(content) - 24))


def g04():
    number = u32(1)
    add("G04-key-long-ok", file([entry("k" * 300, 4, number)]))
    add("G04-key-unicode-ok", file([entry("schlüssel.鍵", 4, number)]))
    add("G04-keys-by-case-ok", file([entry("k", 4, number), entry("K", 4, number)]))
    add("G04-canonical-equals-ok", file([entry("\u00e9", 4, number), entry("e\u0301", 4, number)]))
    add("G04-key-twice-other-type", file([entry("k", 4, number), entry("k", 0, b"\1")]),
        "the key 'k' is there twice.")
    values = [entry(f"k{i}", 4, number) for i in range(20)] + [entry("k0", 4, number)]
    add("G04-key-twice-far-apart", file(values), "the key 'k0' is there twice.")
    for name, key in [("overlong", b"\xc0\xaf"), ("surrogate", b"\xed\xa0\x80"), ("cut", b"\xe2\x82")]:
        add(f"G04-key-utf8-{name}", file([entry(key, 4, number)]), "a key at byte 32 is not UTF-8.")


def g05():
    scalars = [
        (0, b"\xff"), (1, b"\xff"), (2, b"\xff\xff"), (3, b"\xff\xff"), (4, b"\xff" * 4),
        (5, b"\xff" * 4), (6, b"\0\0\xc0\x7f"), (7, b"\0"), (8, text("é\0")), (10, b"\xff" * 8),
        (11, b"\xff" * 8), (12, b"\0" * 6 + b"\xf0\x7f"),
    ]
    add("G05-every-type-ok", file([entry(f"k{kind}", kind, value) for kind, value in scalars]))
    add("G05-string-empty-ok", file([entry("k", 8, text(""))]))
    for kind, size in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (7, 1), (10, 8), (11, 8), (12, 8)]:
        # The value is all that is missing: 24 bytes, and 13 of a key's length, one letter, a type.
        content = header([entry("k", kind, b"")], counts=(0, 1))
        add(f"G05-value-{kind}-cut", content, ends(37, size, 37))
    content = header([entry("k", 8, u64(9) + b"eight by")])
    add("G05-string-one-short", content, cannot_hold(45, 9, "bytes of the value of 'k'", 8))
    for kind in (14, 255, 2**32 - 1):
        add(f"G05-type-{kind}", file([entry("k", kind, b"\0" * 8)]),
            f"'k' has a value of type {kind}; 0 to 12 are known.")
    add("G05-bool-255", file([entry("k", 7, b"\xff")]),
        "'k' holds the truth value 255; 0 or 1 was needed.")
    for name, value in [("overlong", b"\xe0\x80\xaf"), ("surrogate", b"\xed\xbf\xbf"), ("too-high", b"\xf4\x90\x80\x80")]:
        add(f"G05-string-utf8-{name}", file([entry("k", 8, text(value))]),
            "the value of 'k' at byte 45 is not UTF-8.")


def g06():
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 8: 8, 10: 8, 11: 8, 12: 8}
    for kind, size in sizes.items():
        add(f"G06-array-{kind}-ok", header([entry("k", 9, array(kind, 2, bytes(2 * size)))]))
        content = header([entry("k", 9, array(kind, 3, bytes(3 * size - 1)))])
        add(f"G06-array-{kind}-short", content, cannot_hold(49, 3, "elements of 'k'", 3 * size - 1))
    content = header([entry("k", 9, array(4, 2**30 + 1))])
    add("G06-array-2-30-and-1", content, f"'k' has {2**30 + 1} elements; at most {2**30} are read.")
    content = header([entry("k", 9, array(8, 2, text("ab") + text(b"\xff")))])
    add("G06-string-in-array-not-utf8", content, "element 1 of 'k' at byte 67 is not UTF-8.")
    content = header([entry("k", 9, array(8, 2, text("abcdefgh") + u64(5)))])
    add("G06-string-in-array-cut", content, cannot_hold(73, 5, "bytes of element 1 of 'k'", 0))
    add("G06-array-of-arrays-empty", header([entry("k", 9, array(9, 0))]), "'k' is an array of arrays.")
    content = header([entry("k", 9, u32(4))])
    add("G06-no-count", content, ends(41, 8, len(content)))
    add("G06-no-type", header([entry("k", 9, b"")]), ends(37, 4, 37))


def g07():
    def content(alignment, kind=4, value=None):
        value = u32(alignment) if value is None else value
        return file([entry("general.alignment", kind, value)], [ONE], bytes(32), max(alignment, 1))

    for alignment in (16, 32, 128, 256):
        add(f"G07-alignment-{alignment}-written-ok", content(alignment))
    for alignment in (1, 2, 3, 12, 40, 2**32 - 1):
        shown = f"uint32({alignment})"
        start = content(alignment if alignment < 100 else 32, value=u32(alignment))
        add(f"G07-alignment-{alignment}", start,
            f"general.alignment is {shown}; a power of two from 8 on was needed, as uint32.")
    for name, kind, value, shown in [
        ("i32", 5, u32(32), "int32(32)"), ("u16", 2, b"\x20\0", "uint16(32)"),
        ("string", 8, text("32"), 'string("32")'), ("bool", 7, b"\1", "bool(true)"),
        ("f32", 6, struct.pack("<f", 32), "float32(32.0)"),
    ]:
        add(f"G07-alignment-{name}", content(32, kind, value),
            f"general.alignment is {shown}; a power of two from 8 on was needed, as uint32.")


def g08():
    def two(first, second):
        return file(tensors=[tensor(first, [8]), tensor(second, [8], offset=32)], data=bytes(64))

    for name, text_ in [("1", "x"), ("unicode", "ü" * 31 + "x"), ("newline", "a\nb"), ("space", " ")]:
        add(f"G08-name-{name}-ok", file(tensors=[tensor(text_, [8])], data=bytes(32)))
    add("G08-canonical-equals-ok", two("\u00e9", "e\u0301"))
    add("G08-names-by-case-ok", two("a", "A"))
    add("G08-name-unicode-64", file(tensors=[tensor("ü" * 32, [8])], data=bytes(32)),
        "the name has 64 bytes; 1 to 63 without a zero byte are allowed.", "ü" * 32)
    for name, text_, shown in [("first", "\0a", r"\0a"), ("last", "a\0", r"a\0"), ("only", "\0", r"\0")]:
        add(f"G08-name-zero-{name}", file(tensors=[tensor(text_, [8])], data=bytes(32)),
            f"the name has {len(text_)} bytes; 1 to 63 without a zero byte are allowed.", shown)
    three = [tensor("a", [8]), tensor("b", [8], offset=32), tensor("a", [8], offset=64)]
    add("G08-third-name-twice", file(tensors=three, data=bytes(96)),
        "there are two tensors of this name.", "a")
    content = file(tensors=[u64(2**40) + b"name"], data=bytes(96))
    add("G08-name-2-40", content, cannot_hold(32, 2**40, "bytes of a tensor's name", len(content) - 32))


def g09():
    for rank in (1, 2, 3):
        add(f"G09-rank-{rank}-ok", file(tensors=[tensor("a", [2] * rank)], data=bytes(32)))
    for rank in (6, 255):
        content = file(tensors=[text("a") + u32(rank) + bytes(60)], data=bytes(32))
        add(f"G09-rank-{rank}", content, f"it has {rank} dimensions; at most 4 are allowed.", "a")
    start = header(tensors=[text("a") + u32(4) + u64(1) * 2 + b"\1"])
    add("G09-extents-cut", start, ends(53, 8, len(start)))


def g10():
    add("G10-blocks-of-none-ok", file(tensors=[tensor("a", [32, 0], 8)]))
    add("G10-none-by-many-ok", file(tensors=[tensor("a", [0, 2**40], 0)]))
    for name, extents in [("none-by-2-63", [0, 2**63]), ("2-62-by-2", [2**62, 2]), ("2-16-four", [2**16] * 4)]:
        add(f"G10-{name}", file(tensors=[tensor("a", extents)], data=bytes(32)),
            f"the product of the extents [{', '.join(map(str, extents))}] is not below 2^63.", "a")
    add("G10-f32-2-61", file(tensors=[tensor("a", [2**61])], data=bytes(32)),
        f"shape [{2**61}] of F32 takes more than 2^63 bytes.", "a")


def g11():
    for number, (name, elements, size) in TYPES.items():
        slug = name.lower().replace("_", "-")
        data = bytes(size * 2)
        add(f"G11-{slug}-ok", file(tensors=[tensor("a", [elements, 2], number)], data=data + bytes(-len(data) % 32)))
        if elements > 1:
            for row in (elements - 1, elements + elements // 2):
                add(f"G11-{slug}-row-{row}", file(tensors=[tensor("a", [row, elements], number)], data=bytes(4096)),
                    f"its rows hold {row} elements; {name} comes in blocks of {elements}.", "a")
    others = {9: "Q8_1", 15: "Q8_K", 41: "Q1_0"}
    for number in (5, 9, 15, 31, 32, 33, 36, 37, 38, 41, 42, 100, 2**31, 2**32 - 1):
        found = f"type is {others[number]}" if number in others else f"type has the unknown number {number}"
        add(f"G11-type-{number}", file(tensors=[tensor("a", [256], number)], data=bytes(512)),
            f"its {found}; these are read: {READ}. Convert the original to one of them.", "a")


def g12():
    def content(second, size=8):
        return file(tensors=[tensor("a", [size]), tensor("b", [8], offset=second)], data=bytes(256))[:-160]

    def refused(name, second, end, size=8):
        add(f"G12-{name}", content(second, size),
            f"its bytes start at {second}; those of the tensors before it, filled up to 32, end at {end}.", "b")

    add("G12-padded-ok", file(tensors=[tensor("a", [1]), tensor("b", [8], offset=32)], data=bytes(64)))
    add("G12-after-none-ok", file(tensors=[tensor("a", [0]), tensor("b", [8])], data=bytes(32)))
    refused("not-padded", 4, 32, 1)
    refused("one-byte-off", 33, 32)
    refused("next-place", 64, 32)
    refused("minus-32", 2**64 - 32, 32)
    swapped = [tensor("a", [8], offset=32), tensor("b", [8])]
    add("G12-swapped", file(tensors=swapped, data=bytes(64)),
        "its bytes start at 32; those of the tensors before it, filled up to 32, end at 0.", "a")


def g13():
    two = [tensor("a", [8]), tensor("b", [8], offset=32)]
    add("G13-two-ok", file(tensors=two, data=bytes(64)))
    start = len(file(tensors=two))
    add("G13-second-cut", file(tensors=two, data=bytes(63)),
        f"its 32 bytes end behind the file's end at byte {start + 63}. {CUT}", "b")
    add("G13-second-missing", file(tensors=two, data=bytes(32)),
        f"its 32 bytes end behind the file's end at byte {start + 32}. {CUT}", "b")
    add("G13-padding-behind", file(tensors=two, data=bytes(96)),
        f"the tensors end at byte {start + 64}; the file goes on to byte {start + 96}.")
    add("G13-behind-no-tensors", file() + b"x",
        "the tensors end at byte 32; the file goes on to byte 33.")
    add("G13-last-is-none-ok", file(tensors=[ONE, tensor("b", [0], offset=32)], data=bytes(32)))
    start = header(tensors=[tensor("a", [0])])
    add("G13-header-not-padded", start,
        f"its 0 bytes end behind the file's end at byte {len(start)}. {CUT}", "a")


def g14():
    def part(number, count, total=None, kind=2, tensors=(ONE,)):
        values = [] if number is None else [entry("split.no", 2, struct.pack("<H", number))]
        values.append(entry("split.count", kind, struct.pack({2: "<H", 4: "<I", 5: "<i"}[kind], count)))
        if total is not None:
            values.append(entry("split.tensors.count", 5, u32(total)))
        return file(values, tensors, bytes(32))

    other = (tensor("b", [8]),)

    def pair(name, second, message=None, total=2, tensor=None, at=2):
        """Two parts; the message is that of opening the first, about part `at`."""
        first_name, second_name = (f"G14-{name}-0000{i}-of-00002" for i in (1, 2))
        add(first_name, part(0, 2, total), message, tensor)
        if message and at == 2:
            expected[first_name + ".gguf"] = expected[first_name + ".gguf"].replace(first_name, second_name)
        (folder / f"{second_name}.gguf").write_bytes(second)

    pair("split-ok", part(1, 2, 2, tensors=other))
    name = "G14-split-ok-00002-of-00002"
    add(name, part(1, 2, 2, tensors=other),
        "it is part 2 of 2 of a model. Open the first one,"
        f" 'G14-split-ok-00001-of-00002.gguf'.")
    pair("no-total-ok", part(1, 2, tensors=other), total=None)
    pair("total", part(1, 2, tensors=other), "its parts hold 2 tensors; 'split.tensors.count' says 3.", 3, at=1)
    pair("twice", part(1, 2), "an earlier part of the model holds a tensor of this name too.", tensor="a")
    needed = "part 2 of 2 was needed."
    pair("number", part(0, 2, tensors=other), f"it says that it is part 1 of 2; {needed}")
    pair("count", part(1, 3, tensors=other), f"it says that it is part 2 of 3; {needed}")
    pair("no-part", file(tensors=other, data=bytes(32)), f"it does not say that it is a part; {needed}")
    pair("broken", b"GGUF", ends(4, 4, 4))
    add("G14-part", part(0, 3), "it is part 1 of 3 of a model; its name must end in"
        " '-00001-of-00003.gguf' for the others to be found.")
    add("G14-count-0-ok", part(0, 0))
    add("G14-count-100000", part(0, 100_000, kind=4), "'split.count' is 100000; 0 to 99999 was needed.")
    add("G14-count-minus-1", part(0, -1, kind=5), "'split.count' is -1; 0 to 99999 was needed.")
    add("G14-count-text", file([entry("split.count", 8, text("2"))]), "'split.count' is '2'; 0 to 99999 was needed.")
    add("G14-no-number", part(None, 2), "'split.no' is not there; a number below the 2 of 'split.count' was needed.")
    add("G14-number-beyond", part(2, 2), "'split.no' is 2; a number below the 2 of 'split.count' was needed.")


for group in (g01_and_g02, g03, g04, g05, g06, g07, g08, g09, g10, g11, g12, g13, g14):
    group()
path = folder / "expected.json"
known = json.loads(path.read_text())
known.update(expected)
path.write_text(json.dumps(dict(sorted(known.items())), indent=2, ensure_ascii=False) + "\n")
print(len(expected), "of", len(known), "files written")
