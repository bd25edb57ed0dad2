"""Pickles as such: what operations work on, keys, the memo, names, calls, storages."""

import struct

from pickle_bytes import *


def write(add_pickle):
    # P01: the version.
    for version in (0, 1, 3, 4, 5, 255):
        add_pickle(f"P01-protocol-{version}", b"\x80" + bytes([version]) + GOOD[2:])
    add_pickle("P01-no-proto", GOOD[2:])
    add_pickle("P01-proto-twice", PROTO + GOOD)
    add_pickle("P01-proto-inside", PROTO + EMPTY_DICT + PROTO + STOP)
    add_pickle("P01-empty", b"")
    # P02: operations that are not read, each where it would work in Python.
    refused = {
        "POP": NONE + b"0",
        "POP_MARK": MARK + b"1",
        "DUP": b"2",
        "FLOAT": b"F1.5\n",
        "INT": b"I1\n",
        "LONG": b"L1L\n",
        "PERSID": b"P0\n",
        "STRING": b"S'a'\n",
        "BINSTRING": b"T\1\0\0\0a",
        "UNICODE": b"Va\n",
        "DICT": MARK + b"d",
        "GET": b"g0\n",
        "INST": MARK + b"ios\nsystem\n",
        "LIST": MARK + b"l",
        "OBJ": MARK + ORDERED + b"o",
        "PUT": b"p0\n",
        "EXT1": b"\x82\1",
        "EXT2": b"\x83\1\0",
        "EXT4": b"\x84\1\0\0\0",
        "LONG4": b"\x8b\1\0\0\0\1",
        "BINBYTES": b"B\1\0\0\0a",
        "SHORT_BINBYTES": b"C\1a",
        "SHORT_BINUNICODE": b"\x8c\1a",
        "BINUNICODE8": b"\x8d\1" + bytes(7) + b"a",
        "BINBYTES8": b"\x8e\1" + bytes(7) + b"a",
        "ADDITEMS": b"\x8f" + MARK + b"\x90",
        "FROZENSET": MARK + b"\x91",
        "NEWOBJ_EX": ORDERED + b")}\x92",
        "STACK_GLOBAL": text("os") + text("system") + b"\x93",
        "MEMOIZE": b"\x94",
        "FRAME": b"\x95\1" + bytes(7),
        "BYTEARRAY8": b"\x96\1" + bytes(7) + b"a",
        "NEXT_BUFFER": b"\x97",
        "READONLY_BUFFER": b"\x98",
    }
    for name, code in refused.items():
        add_pickle(f"P02-{name}", with_value(code))
    for byte in (0x00, 0x0A, 0x41, 0x7F, 0x99, 0xFF):
        add_pickle(f"P02-{byte:02x}", with_value(bytes([byte])))
    # P03: the end.
    add_pickle("P03-two-values", PROTO + NONE + dic(("t", T)) + STOP)
    add_pickle("P03-open-mark", PROTO + MARK + dic(("t", T)) + STOP)
    add_pickle("P03-bytes-behind", GOOD + b"\n")
    add_pickle("P03-pickle-behind", GOOD + PROTO + glob("os", "system") + text("true") + b"\x85R.")
    add_pickle("P03-zeros-behind", GOOD + bytes(64))
    # P07: what operations work on.
    for name, value in {
        "list": EMPTY_LIST,
        "tuple": EMPTY_TUPLE,
        "None": NONE,
        "int": number(1),
        "str": text("s"),
        "set": b"\x8f",
        "storage": storage(),
        "tensor": T,
        "global": ORDERED,
        "float": b"G" + bytes(8),
        "bool": TRUE,
    }.items():
        add_pickle(f"P07-SETITEM-on-{name}", with_value(value + text("k") + number(1) + SETITEM))
        if name != "list":
            add_pickle(f"P07-APPEND-on-{name}", with_value(value + number(1) + APPEND))
        add_pickle(f"P07-BUILD-on-{name}", with_value(value + EMPTY_DICT + BUILD))
    add_pickle("P07-SETITEMS-on-list", with_value(EMPTY_LIST + MARK + text("k") + NONE + SETITEMS))
    add_pickle("P07-SETITEMS-odd", with_value(EMPTY_DICT + MARK + text("k") + SETITEMS))
    add_pickle("P07-SETITEMS-nothing-ok", with_value(EMPTY_DICT + MARK + SETITEMS))
    add_pickle("P07-APPENDS-on-dict", with_value(EMPTY_DICT + MARK + NONE + APPENDS))
    add_pickle("P07-APPENDS-nothing-ok", with_value(EMPTY_LIST + MARK + APPENDS))
    add_pickle("P07-BUILD-on-dict", with_value(EMPTY_DICT + EMPTY_DICT + BUILD))
    add_pickle("P07-BUILD-state-tuple", with_value(EMPTY_ORDERED + EMPTY_TUPLE + BUILD))
    add_pickle("P07-BUILD-state-None", with_value(EMPTY_ORDERED + NONE + BUILD))
    add_pickle("P07-NEWOBJ-arguments", with_value(ORDERED + number(1) + b"\x85" + NEWOBJ))
    add_pickle("P07-NEWOBJ-Size", with_value(glob("torch", "Size") + EMPTY_TUPLE + NEWOBJ))
    add_pickle(
        "P07-NEWOBJ-Parameter",
        with_value(glob("torch.nn.parameter", "Parameter") + EMPTY_TUPLE + NEWOBJ),
    )
    # P08: keys.
    add_pickle("P08-int-ok", PROTO + EMPTY_DICT + number(7) + T + SETITEM + STOP)
    for name, key in {
        "None": NONE,
        "bool": TRUE,
        "float": b"G" + bytes(8),
        "tuple": EMPTY_TUPLE,
        "list": EMPTY_LIST,
        "large-int": number(1 << 64),
        "storage": storage(),
    }.items():
        add_pickle(f"P08-{name}", PROTO + EMPTY_DICT + key + T + SETITEM + STOP)
    add_pickle("P08-twice", whole(("t", T), ("t", T)))
    add_pickle("P08-twice-by-SETITEM", PROTO + dic(("t", T)) + text("t") + T + SETITEM + STOP)
    add_pickle(
        "P08-twice-old-and-new-str",
        PROTO + EMPTY_DICT + MARK + text("t") + T + b"U\1t" + T + SETITEMS + STOP,
    )
    add_pickle("P08-canonical-equals-ok", whole(("\u00e9", T), ("e\u0301", T)))
    add_pickle("P08-str-of-Python-2-ok", PROTO + EMPTY_DICT + b"U\1t" + T + SETITEM + STOP)
    # P09: the memo.
    add_pickle("P09-starts-at-1", with_value(NONE + b"q\1"))
    add_pickle("P09-gap", with_value(NONE + b"q\0" + b"q\2"))
    add_pickle("P09-number-twice", with_value(NONE + b"q\0" + b"q\0"))
    add_pickle("P09-long-2-32", with_value(NONE + b"r\xff\xff\xff\xff"))
    add_pickle("P09-get-before-put", with_value(b"h\0" + b"q\0"))
    add_pickle("P09-get-beyond", with_value(NONE + b"q\0h\1\x86"))
    add_pickle("P09-long-get-2-32", with_value(NONE + b"q\0j\xff\xff\xff\xff\x86"))
    add_pickle("P09-long-and-short-ok", with_value(NONE + b"q\0r\1\0\0\0h\1\x86"))
    # P10: names.
    forbidden = [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("sys", "modules"),
        ("runpy", "_run_code"),
        ("importlib", "import_module"),
        ("pickle", "loads"),
        ("torch", "load"),
        ("torch.serialization", "load"),
        ("torch.jit", "load"),
        ("torch.hub", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_qtensor"),
        ("torch._utils", "_rebuild_sparse_tensor"),
        ("torch.utils.data.datapipes.utils.decoder", "basichandlers"),
        ("torch", "QInt8Storage"),
        ("torch", "quint8"),
        ("torch.cuda", "FloatStorage"),
        ("torch", "_utils"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "dtype"),
        ("argparse", "Namespace"),
        ("pip", "main"),
        ("collections", "Counter"),
        ("collections", "defaultdict"),
        ("functools", "partial"),
        ("operator", "attrgetter"),
        ("collections.OrderedDict", "__init__"),
        ("collections", "OrderedDict.clear"),
        ("", ""),
        ("torch", ""),
        ("collections OrderedDict", ""),
        ("", "collections OrderedDict"),
        ("torch\r", "Size"),
        ("Torch", "Size"),
        ("os\0", "system"),
        ("torch ", "float32"),
    ]
    for module, name in forbidden:
        plain = "".join(c if c.isalnum() or c in "._" else "-" for c in f"{module}.{name}")
        add_pickle(f"P10-{plain}", with_value(glob(module, name)))
    add_pickle("P10-not-ASCII", with_value(glob("torch", "Size\u212a")))
    add_pickle("P10-long", with_value(glob("torch", "S" * 300)))
    for module, name in (
        ("torch", "float32"),
        ("torch", "FloatStorage"),
        ("torch.storage", "UntypedStorage"),
        ("torch", "device"),
        ("torch", "Tensor"),
        ("torch.nn.parameter", "Parameter"),
        ("builtins", "set"),
        ("__builtin__", "bytearray"),
        ("torch", "float8_e4m3fn"),
        ("_codecs", "encode"),
    ):
        add_pickle(f"P10-{module}.{name}-ok", with_value(glob(module, name)))
    # P11: calls.
    for name, function in {
        "storage": glob("torch", "FloatStorage"),
        "dtype": glob("torch", "float32"),
        "Tensor": glob("torch", "Tensor"),
        "str": text("eval"),
        "None": NONE,
        "tuple": EMPTY_TUPLE,
        "tensor": T,
        "dict": EMPTY_DICT,
    }.items():
        add_pickle(f"P11-calls-{name}", with_value(function + EMPTY_TUPLE + REDUCE))
    for name, arguments in {
        "None": NONE,
        "list": EMPTY_LIST,
        "dict": EMPTY_DICT,
        "int": number(1),
    }.items():
        add_pickle(f"P11-arguments-{name}", with_value(ORDERED + arguments + REDUCE))
    add_pickle(
        "P11-OrderedDict-of-list", with_value(call("OrderedDict", EMPTY_LIST, module="collections"))
    )
    for name, value in {
        "set": call("set", lst(number(1)), module="__builtin__"),
        "complex": call("complex", number(1), number(2), module="builtins"),
        "bytes": call("encode", text("ab"), text("latin1"), module="_codecs"),
        "device": call("device", text("cuda"), number(0), module="torch"),
    }.items():
        add_pickle(f"P11-{name}-ok", with_value(value))
    # P12: persistent identifiers.
    items = [text("storage"), glob("torch", "FloatStorage"), text("0"), text("cpu"), number(4)]

    def identifier(**changes):
        changed = [changes.get(f"at{i}", item) for i, item in enumerate(items)]
        return with_value(tup(*changed) + PERSID)

    add_pickle("P12-not-storage", identifier(at0=text("module")))
    add_pickle("P12-first-int", identifier(at0=number(1)))
    add_pickle("P12-type-dtype", identifier(at1=glob("torch", "float32")))
    add_pickle("P12-type-str", identifier(at1=text("FloatStorage")))
    add_pickle("P12-key-int", identifier(at2=number(0)))
    add_pickle("P12-location-None", identifier(at3=NONE))
    add_pickle("P12-count-negative", identifier(at4=number(-1)))
    add_pickle("P12-count-float", identifier(at4=b"G" + bytes(8)))
    add_pickle("P12-count-2-64", identifier(at4=number(1 << 64)))
    add_pickle("P12-count-bool", identifier(at4=TRUE))
    add_pickle("P12-four", with_value(tup(*items[:4]) + PERSID))
    add_pickle("P12-six", with_value(tup(*items, NONE) + PERSID))
    add_pickle("P12-list", with_value(lst(*items) + PERSID))
    add_pickle("P12-str", with_value(text("storage") + PERSID))
    add_pickle("P12-int", with_value(number(0) + PERSID))
    # P13: texts and numbers.
    add_pickle("P13-not-UTF-8", with_value(text(b"\xff")))
    add_pickle("P13-overlong", with_value(text(b"\xc0\x80")))
    add_pickle("P13-surrogate", with_value(text("\ud800")))
    add_pickle("P13-bytes-of-Python-2", with_value(b"U\x01\xff"))
    add_pickle("P13-LONG1-empty-ok", whole(("t", tensor(offset=0)), ("x", b"\x8a\x00")))
    add_pickle(
        "P13-LONG1-as-size-ok",
        PROTO + dic(("t", tensor().replace(numbers((4,)), tup(b"\x8a\x01\x04")))) + STOP,
    )
    add_pickle(
        "P13-LONG1-2-63-as-size",
        PROTO + dic(("t", tensor().replace(numbers((4,)), tup(number(1 << 63))))) + STOP,
    )
    add_pickle("P13-LONG1-255-bytes-ok", with_value(b"\x8a\xff" + b"\x01" * 255))
