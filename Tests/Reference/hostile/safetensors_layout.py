"""Cases of lengths, offsets, shapes and sizes: S01 to S03 and S08 to S19."""

from safetensors_file import *

# S01: at least 8 bytes ------------------------------------------------------------------------

for size, label in [(0, "empty"), (1, "one-byte"), (4, "four-bytes"), (7, "seven-bytes")]:
    raw("S01", label, struct.pack("<Q", 2)[:size],
        f"it holds {size} bytes; a safetensors file starts with 8 that tell how long its header is."
        " Fetch it again.")
case("S01", "ten-bytes", "{}", data=b"")

# S02: at most 100,000,000 bytes of header -----------------------------------------------------

for length, label in [
    (100_000_001, "100000001"), (2**31, "2-31"), (2**32, "2-32"), (2**32 + len(BASE), "2-32-more"),
    (2**63 - 1, "2-63-less"), (2**63, "2-63"), (2**64 - 8, "2-64-less"), (2**64 - 1, "2-64"),
    (struct.unpack("<Q", b"GGUF\3\0\0\0")[0], "gguf"), (struct.unpack("<Q", b"PK\3\4\24\0\0\0")[0],
                                                         "zip"),
]:
    fault = (f"its first 8 bytes tell of a header of {length} bytes; at most 100000000 are allowed."
             " It is no safetensors file, or damaged.")
    if length > 100_000_000:
        case("S02", f"length-{label}", BASE, fault, length=length)
case("S02", "length-256", BASE + " " * (256 - len(BASE)))
case("S02", "length-65536", BASE + " " * (65536 - len(BASE)))

# S03: the header lies in the file -------------------------------------------------------------


def beyond(end, size):
    return (f"the header is to end at byte {end}; the file ends at byte {size}. It was cut off;"
            " fetch it again.")


case("S03", "header-cut", BASE[:20], beyond(62, 28), b"", length=len(BASE))
case("S03", "length-100000000", BASE, beyond(100_000_008, 70), length=100_000_000)
case("S03", "one-too-long", BASE, beyond(63, 62), b"", length=len(BASE) + 1)
case("S03", "length-of-file", BASE, beyond(78, 70), length=70)
case("S03", "only-length", "", beyond(10, 8), b"", length=2)
case("S03", "ends-with-file", header(u8("a", 0, 0)), data=b"")
case("S03", "one-too-short", BASE[:-1] + MARK + "}", misfit("',' or '}'"), length=len(BASE) - 1)

# S08, S09: no header, no tensors --------------------------------------------------------------

case("S08", "no-header", MARK, OBJECT, b"")
case("S08", "no-header-but-data", MARK, OBJECT)
case("S08", "only-spaces", "        " + MARK, OBJECT, b"")
case("S08", "space-in-object", "{ }", data=b"")
case("S09", "no-tensors", "{}", data=b"")
case("S09", "no-tensors-padded", "{}      ", data=b"")
case("S09", "only-metadata", '{"__metadata__":{"format":"pt"}}', data=b"")
case("S09", "no-tensors-but-data", "{}", left(1, 0), b"x")
case("S09", "only-metadata-but-data", '{"__metadata__":{}}', left(8, 0))

# S10, S11: no holes, no overlaps --------------------------------------------------------------

A4, B4 = u8("a", 0, 4), u8("b", 4, 8)
case("S10", "two", header(A4, B4))
case("S10", "any-order", header(B4, A4))
case("S10", "five-backwards", header(*[u8(f"t{i}", i, i + 1) for i in (4, 3, 2, 1, 0)]),
     data=DATA[:5])
case("S10", "many", header(*[u8(f"t{i}", i * 7 % 64, i * 7 % 64 + 1) for i in range(64)]),
     data=bytes(64))
case("S10", "hole", header(u8("a", 0, 2), B4), starts(4, 2), tensor="b")
case("S10", "hole-of-one", header(u8("a", 0, 3), B4), starts(4, 3), tensor="b")
case("S10", "overlap", header(u8("a", 0, 6), B4), starts(4, 6), tensor="b")
case("S10", "overlap-of-one", header(u8("a", 0, 5), B4), starts(4, 5), tensor="b")
case("S10", "inside", header(u8("a", 0, 8), u8("b", 2, 4)), starts(2, 8), tensor="b")
case("S10", "same-range", header(tensor("a"), tensor("b")), starts(0, 8), tensor="b")
case("S10", "same-start", header(u8("a", 0, 8), u8("b", 0, 4)), starts(0, 4), tensor="a")
case("S10", "start-not-zero", header(tensor(shape="[1]", offsets="[4,8]")), starts(4, 0), tensor="a")
case("S10", "start-one", header(u8("a", 1, 8)), starts(1, 0), tensor="a")
case("S10", "start-behind-end", header(A4, u8("b", 100, 104)), starts(100, 4), tensor="b")
case("S10", "start-2-64", header(u8("a", 0, 8), u8("b", 2**64 - 1, 2**64 - 1)),
     starts(2**64 - 1, 8), tensor="b")
case("S10", "hole-backwards", header(u8("b", 5, 8), A4), starts(5, 4), tensor="b")
BACK = "its bytes start at {} and end before, at {}."
case("S11", "end-before-begin", header(tensor("a"), tensor("b", offsets="[8,0]")),
     BACK.format(8, 0), tensor="b")
case("S11", "end-one-before-begin", header(u8("a", 0, 8), tensor("b", "U8", "[0]", "[8,7]")),
     BACK.format(8, 7), tensor="b")
case("S11", "minus-four", header(u8("a", 0, 4), tensor("b", "U8", "[4]", "[4,0]")),
     BACK.format(4, 0), tensor="b")
case("S11", "begin-2-64", header(tensor(offsets="[18446744073709551615,0]")), starts(2**64 - 1, 0),
     tensor="a")
case("S11", "begin-is-end", header(u8("a", 0, 0), u8("b", 0, 8)))

# S12, S13: products that have no number -------------------------------------------------------


def product(extents):
    return f"the product of the extents {extents} is not below 2^63."


BIG = said("the extent 9223372036854775808 is not below 2^63.")
for label, extents in [
    ("overflow", [2**32, 2**32]), ("overflow-63", [2**62, 4, 0]), ("two-62-twice", [2**62, 2, 0]),
    ("three", [2**21, 2**21, 2**21]), ("largest-times-two", [2**63 - 1, 2]),
    ("wraps-to-two", [2**32 + 1, 2**32 - 1 + 2**31, 2]), ("wraps-to-zero", [2**33, 2**33]),
]:
    end = 8 if 0 not in extents else 0
    case("S12", label, header(tensor(dtype="U8", shape=str(extents).replace(" ", ""),
                                     offsets=f"[0,{end}]")),
         product(extents), DATA[:end], tensor="a")
case("S12", "overflow-then-zero",
     header(tensor(dtype="U8", shape=f"[{MARK}9223372036854775808,2,0]", offsets="[0,0]"))
     .replace(f"{MARK}9223372036854775808", f"9223372036854775808{MARK}"), BIG, b"")
case("S12", "zero-then-2-63",
     header(tensor(dtype="U8", shape=f"[0,9223372036854775808{MARK}]", offsets="[0,0]")), BIG, b"")
for label, extents in [
    ("many-ones", [1] * 1000), ("zero-then-large", [0, 2**62, 4]),
    ("zero-between", [2**62, 0, 2**62]), ("zero-then-largest", [0, 2**63 - 1, 2**63 - 1]),
]:
    size = 4 if 0 not in extents else 0
    dtype = "F32" if size else "U8"
    case("S12", label, header(tensor(dtype=dtype, shape=str(extents).replace(" ", ""),
                                     offsets=f"[0,{size}]")), data=DATA[:size])
for label, dtype, count in [("bytes-overflow", "F64", 2**61), ("c64", "C64", 2**60),
                            ("f16", "F16", 2**62), ("f32", "F32", 2**61)]:
    size = count * BITS[dtype] // 8
    fault = (f"shape [{count}] of {dtype} takes more than 2^63 bytes." if size >= 2**63
             else holds(0, 8, [count], dtype, size))
    case("S13", label, header(tensor(dtype=dtype, shape=f"[{count}]")), fault, tensor="a")
case("S13", "bits-2-64", header(u8("a", 0, 8, f"[{2**61}]")), holds(0, 8, [2**61], "U8", 2**61),
     tensor="a")
case("S13", "bits-below-2-64", header(u8("a", 0, 8, f"[{2**61 - 1}]")),
     holds(0, 8, [2**61 - 1], "U8", 2**61 - 1), tensor="a")
case("S13", "f4-2-62", header(tensor(dtype="F4", shape=f"[{2**62}]")),
     holds(0, 8, [2**62], "F4", 2**61), tensor="a")
case("S13", "none-of-many", header(tensor(dtype="F64", shape=f"[0,{2**61}]", offsets="[0,0]")),
     data=b"")

# S14: 4- and 6-bit floats fill whole bytes ----------------------------------------------------

for dtype, block, label in [("F4", 2, "f4"), ("F6_E2M3", 4, "f6-e2m3"), ("F6_E3M2", 4, "f6-e3m2")]:
    for extents in [[], [1], [3], [5], [7, 1]] + ([[2], [6], [1, 2, 3]] if block == 4 else []):
        count = 1
        for extent in extents:
            count *= extent
        size = -(-count * BITS[dtype] // 8)
        name = "rank-0" if not extents else "by".join(str(extent) for extent in extents)
        case("S14", f"{label}-{name}",
             header(tensor(dtype=dtype, shape=str(extents).replace(" ", ""),
                           offsets=f"[0,{size}]")),
             f"shape {extents} holds {count} elements; {dtype} fills whole bytes with {block} only.",
             DATA[:size], tensor="a")
    for extents in [[0], [block], [3 * block], [2, 2], [1, block, 5]]:
        count = 1
        for extent in extents:
            count *= extent
        size = count * BITS[dtype] // 8
        case("S14", f"{label}-{'by'.join(str(extent) for extent in extents)}",
             header(tensor(dtype=dtype, shape=str(extents).replace(" ", ""),
                           offsets=f"[0,{size}]")), data=bytes(range(size)))

# S15, S32: every type, in its size, and one byte less and more --------------------------------

for dtype, bits in BITS.items():
    label = dtype.lower().replace("_", "-")
    for change, name in [(0, ""), (-1, "-too-few"), (1, "-too-many")]:
        size = bits + change  # of 8 elements
        case("S15" if change else "S32", label + name,
             header(tensor(dtype=dtype, shape="[2,4]", offsets=f"[0,{size}]")),
             holds(0, size, [2, 4], dtype, bits) if change else None,
             bytes(255 - i for i in range(size)), tensor="a" if change else None)
case("S15", "too-few-bytes", header(tensor(shape="[3]")), holds(0, 8, [3], "F32", 12), tensor="a")
case("S15", "too-many-bytes", header(tensor(shape="[1]")), holds(0, 8, [1], "F32", 4), tensor="a")
case("S15", "rank-0", header(tensor(shape="[]")), holds(0, 8, [], "F32", 4), tensor="a")
case("S15", "none", header(tensor(shape="[0]")), holds(0, 8, [0], "F32", 0), tensor="a")
case("S15", "no-bytes", header(tensor(offsets="[0,0]")), holds(0, 0, [2], "F32", 8), b"", tensor="a")
case("S15", "fits", header(tensor(dtype="I16", shape="[2,2]")))

# S16: the tensors fill the file ---------------------------------------------------------------

case("S16", "data-short", BASE, cut(7, 8), DATA[:7])
case("S16", "no-data", BASE, cut(0, 8), b"")
case("S16", "data-long", BASE, left(9, 8), DATA + b"\0")
case("S16", "data-twice", BASE, left(16, 8), DATA * 2)
case("S16", "padded-to-64", BASE, left(8 + 58, 8), DATA + bytes(58))
case("S16", "polyglot-zip", BASE, left(30, 8), DATA + b"PK\5\6" + bytes(18))
case("S16", "polyglot-safetensors", BASE, left(18, 8), DATA + b"\2" + bytes(7) + b"{}")
case("S16", "hole-at-end", header(u8("a", 0, 4)), left(8, 4))
case("S16", "exact", header(u8("a", 0, 1)), data=b"x")
case("S16", "offsets-near-2-64",
     header(u8("a", 0, 0), tensor("b", "U8", "[1]", "[0,18446744073709551615]")),
     holds(0, 2**64 - 1, [1], "U8", 1), tensor="b")
case("S16", "sum-near-2-64",
     header(*[u8(f"t{i:02}", i << 60, min((i + 1) << 60, 2**64 - 1)) for i in range(16)]),
     cut(8, 2**64 - 1))
case("S16", "sum-near-2-63", header(u8("a", 0, 2**60), u8("b", 2**60, 2**61 - 1)), cut(8, 2**61 - 1))

# S17: of several faults the first is told: in the text, in two names, by place, of the file ----

case("S17", "text-before-place", header(u8("a", 4, 8), u8("b", 0, 8))[:-1] + MARK,
     misfit("',' or '}'"), b"")
case("S17", "name-before-place", header(u8("a", 4, 8), u8("a", 1, 8)), TWICE, tensor="a")
case("S17", "place-before-shape", header(tensor(shape="[9223372036854775807,2]", offsets="[4,8]")),
     starts(4, 0), tensor="a")
case("S17", "place-before-size", header(tensor(shape="[3]", offsets="[4,8]")), starts(4, 0),
     tensor="a")
case("S17", "shape-before-size", header(tensor(dtype="F4", shape="[3]")),
     "shape [3] holds 3 elements; F4 fills whole bytes with 2 only.", tensor="a")
case("S17", "size-before-file", header(tensor(shape="[3]")), holds(0, 8, [3], "F32", 12), b"",
     tensor="a")
case("S17", "first-by-place", header(u8("b", 4, 8, "[5]"), u8("a", 0, 4, "[3]")),
     holds(0, 4, [3], "U8", 3), tensor="a")
case("S17", "no-fault", header(u8("b", 4, 8), A4))

# S18: tensors without elements ----------------------------------------------------------------


def empty(name, place, shape="[0]", dtype="F32"):
    return tensor(name, dtype, shape, f"[{place},{place}]")


case("S18", "empty-tensors", header(empty("a", 0), tensor("b"), empty("c", 8, "[3,0]"),
                                    empty("d", 8, "[0,4]")))
case("S18", "only-one", header(empty("a", 0)), data=b"")
case("S18", "hundred-at-one-place", header(*[empty(f"t{i:02}", 0) for i in range(100)]), data=b"")
case("S18", "between", header(A4, empty("e", 4), B4))
case("S18", "behind-in-header", header(tensor("b"), empty("a", 0)))
case("S18", "every-type", header(*[empty(d.lower(), 0, "[2,0,3]", d) for d in BITS]), data=b"")
case("S18", "inside", header(tensor("a"), empty("e", 4)), starts(4, 8), tensor="e")
case("S18", "behind-end", header(tensor("a"), empty("e", 9)), starts(9, 8), tensor="e")
case("S18", "not-at-start", header(empty("e", 1)), starts(1, 0), b"", tensor="e")
case("S18", "with-bytes", header(tensor("a", "F32", "[0]", "[0,8]")), holds(0, 8, [0], "F32", 0),
     tensor="a")
case("S18", "element-without-bytes", header(tensor("a"), empty("e", 8, "[1]")),
     holds(8, 8, [1], "F32", 4), tensor="e")

# S19: every rank ------------------------------------------------------------------------------

case("S19", "rank-0", header(tensor(dtype="F64", shape="[]")))
case("S19", "rank-0-bool", header(tensor(dtype="BOOL", shape="[]", offsets="[0,1]")), data=b"\1")
for rank in (1, 2, 3, 4, 5, 8, 9, 16, 32, 33, 64, 65, 255, 256):
    shape = "[" + ",".join(["1"] * (rank - 1) + ["2"]) + "]"
    case("S19", f"rank-{rank}", header(tensor(shape=shape)))
case("S19", "rank-0-too-many", header(tensor(dtype="F32", shape="[]")), holds(0, 8, [], "F32", 4),
     tensor="a")
case("S19", "rank-0-none", header(tensor(dtype="F32", shape="[]", offsets="[0,0]")),
     holds(0, 0, [], "F32", 4), b"", tensor="a")
case("S19", "rank-33-too-few", header(tensor(shape="[" + "1," * 32 + "3]")),
     holds(0, 8, [1] * 32 + [3], "F32", 12), tensor="a")

# S33, S34: alignment and the elements are the writer's affair ---------------------------------

case("S33", "not-aligned", header(u8("a", 0, 1), tensor("b", "F32", "[1]", "[1,5]")), data=DATA[:5])
case("S33", "header-of-odd-length", BASE + " ")
case("S33", "f64-at-odd-offset", header(u8("a", 0, 3), tensor("b", "F64", "[1]", "[3,11]")),
     data=bytes(range(11)))
case("S33", "padding-between", header(u8("a", 0, 1), tensor("b", "F32", "[1]", "[4,8]")),
     starts(4, 1), tensor="b")
case("S34", "nan", BASE, data=b"\xff" * 8)
case("S34", "infinity", BASE, data=struct.pack("<ff", float("inf"), float("-inf")))
case("S34", "signalling-nan", BASE, data=struct.pack("<II", 0x7F800001, 0xFF800001))
case("S34", "bool-2", header(tensor(dtype="BOOL", shape="[8]")), data=b"\0\1\2\3\x7f\x80\xfe\xff")
case("S34", "text-in-data", header(u8("a", 0, 2)), data=b"{}")
case("S34", "nan-cut", BASE, cut(7, 8), b"\xff" * 7)
