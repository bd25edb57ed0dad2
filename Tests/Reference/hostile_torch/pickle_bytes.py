"""Pickles of protocol 2, put together operation by operation."""

import struct

PROTO, STOP, MARK, EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE = b"\x80\x02", b".", b"(", b"}", b"]", b")"
NONE, TRUE, FALSE, REDUCE, BUILD, PERSID = b"N", b"\x88", b"\x89", b"R", b"b", b"Q"
SETITEM, SETITEMS, APPEND, APPENDS, TUPLE, NEWOBJ = b"s", b"u", b"a", b"e", b"t", b"\x81"


def text(s):
    b = s.encode("utf-8", "surrogatepass") if isinstance(s, str) else s
    return b"X" + struct.pack("<I", len(b)) + b


def number(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    if 0 <= n < 65536:
        return b"M" + struct.pack("<H", n)
    if -(1 << 31) <= n < 1 << 31:
        return b"J" + struct.pack("<i", n)
    b = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(b)]) + b


def glob(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def tup(*items):
    return MARK + b"".join(items) + TUPLE


def lst(*items):
    return EMPTY_LIST + MARK + b"".join(items) + APPENDS


def dic(*pairs):
    return EMPTY_DICT + MARK + b"".join(text(k) + v for k, v in pairs) + SETITEMS


ORDERED = glob("collections", "OrderedDict")
EMPTY_ORDERED = ORDERED + EMPTY_TUPLE + REDUCE


def storage(kind="FloatStorage", key="0", count=4, module="torch"):
    return tup(text("storage"), glob(module, kind), text(key), text("cpu"), number(count)) + PERSID


def untyped(count=16, key="0"):
    return storage("UntypedStorage", key, count, "torch.storage")


def numbers(items):
    return tup(*map(number, items))


def call(name, *arguments, module="torch._utils"):
    return glob(module, name) + tup(*arguments) + REDUCE


def tensor(size=(4,), stride=(1,), offset=0, of=None, **kwargs):
    of = storage(**kwargs) if of is None else of
    return call(
        "_rebuild_tensor_v2",
        of,
        number(offset),
        numbers(size),
        numbers(stride),
        FALSE,
        EMPTY_ORDERED,
    )


def tensor3(dtype, size=(4,), stride=(1,), offset=0, of=None, metadata=b""):
    return call(
        "_rebuild_tensor_v3",
        untyped() if of is None else of,
        number(offset),
        numbers(size),
        numbers(stride),
        FALSE,
        EMPTY_ORDERED,
        glob("torch", dtype),
        *([metadata] if metadata else []),
    )


T = tensor()


def whole(*pairs):
    """A pickle of a dict of names and values."""
    return PROTO + dic(*pairs) + STOP


def with_value(value):
    """A pickle of a tensor and another value beside it."""
    return whole(("t", T), ("x", value))


GOOD = whole(("t", T))
