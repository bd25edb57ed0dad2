"""Each of the 34 operations as it may stand, cut off, and without its values."""

import struct

from pickle_bytes import *


def write(add_pickle):
    fine = {
        "PROTO": whole(("t", T)),
        "STOP": whole(("t", T)),
        "MARK": with_value(MARK + TUPLE),
        "EMPTY_TUPLE": with_value(EMPTY_TUPLE),
        "EMPTY_LIST": with_value(EMPTY_LIST),
        "EMPTY_DICT": with_value(EMPTY_DICT),
        "EMPTY_SET": with_value(b"\x8f"),
        "NONE": with_value(NONE),
        "NEWTRUE": with_value(TRUE),
        "NEWFALSE": with_value(FALSE),
        "BINFLOAT": with_value(b"G" + struct.pack(">d", 1.5)),
        "BININT": with_value(number(-5)),
        "BININT1": with_value(number(5)),
        "BININT2": with_value(number(500)),
        "LONG1": with_value(number(1 << 70)),
        "BINUNICODE": with_value(text("é")),
        "SHORT_BINSTRING": with_value(b"U\x02ab"),
        "TUPLE": with_value(tup(number(1), number(2))),
        "TUPLE1": with_value(number(1) + b"\x85"),
        "TUPLE2": with_value(number(1) + number(2) + b"\x86"),
        "TUPLE3": with_value(number(1) + number(2) + number(3) + b"\x87"),
        "APPEND": with_value(EMPTY_LIST + number(1) + APPEND),
        "APPENDS": with_value(lst(number(1), number(2))),
        "SETITEM": with_value(EMPTY_DICT + text("k") + number(1) + SETITEM),
        "SETITEMS": with_value(dic(("k", number(1)), ("l", number(2)))),
        "BINPUT": with_value(number(1) + b"q\x00"),
        "LONG_BINPUT": with_value(number(1) + b"r\x00\x00\x00\x00"),
        "BINGET": with_value(number(1) + b"q\x00h\x00\x86"),
        "LONG_BINGET": with_value(number(1) + b"q\x00j\x00\x00\x00\x00\x86"),
        "GLOBAL": with_value(glob("torch", "float32")),
        "BINPERSID": with_value(storage()),
        "REDUCE": with_value(call("Size", numbers((1, 2)), module="torch")),
        "NEWOBJ": with_value(ORDERED + EMPTY_TUPLE + NEWOBJ),
        "BUILD": with_value(EMPTY_ORDERED + dic(("_metadata", EMPTY_ORDERED)) + BUILD),
    }
    assert len(fine) == 34
    for name, pickle in fine.items():
        add_pickle(f"P02-{name}-ok", pickle)
    # The operation is there, and the bytes that belong to it are not, or not all.
    start = PROTO + EMPTY_DICT + text("t") + T + SETITEM
    cut = {
        "PROTO": b"\x80",
        "BINFLOAT": start + b"G\x3f\xf8\0\0\0\0\0",
        "BININT": start + b"J\1\0\0",
        "BININT1": start + b"K",
        "BININT2": start + b"M\1",
        "LONG1": start + b"\x8a\x04\1\2\3",
        "LONG1-length": start + b"\x8a",
        "BINUNICODE": start + b"X\x04\0\0\0abc",
        "BINUNICODE-length": start + b"X\x04\0\0",
        "BINUNICODE-4GB": start + b"X\xff\xff\xff\xffabc.",
        "SHORT_BINSTRING": start + b"U\xffabc",
        "SHORT_BINSTRING-length": start + b"U",
        "BINPUT": start + b"q",
        "LONG_BINPUT": start + b"r\0\0\0",
        "BINGET": start + b"q\0h",
        "LONG_BINGET": start + b"q\0j\0\0\0",
        "GLOBAL-module": start + b"ctorch",
        "GLOBAL-name": start + b"ctorch\nfloat32",
    }
    for name, pickle in cut.items():
        add_pickle(f"P04-{name}", pickle)
    # Every operation at the end of the pickle: there is no STOP.
    for name, pickle in fine.items():
        if name not in ("STOP", "PROTO"):
            add_pickle(
                f"P03-after-{name}",
                pickle[: pickle.index(text("x")) + 6]
                + {
                    "NEWOBJ": ORDERED + EMPTY_TUPLE + NEWOBJ,
                    "TUPLE": MARK + TUPLE,
                    "BINPERSID": storage(),
                    "BUILD": EMPTY_ORDERED + EMPTY_DICT + BUILD,
                    "MARK": MARK,
                    "GLOBAL": ORDERED,
                    "REDUCE": EMPTY_ORDERED,
                }.get(name, NONE),
            )
    # Nothing is on the stack, or too little, for those that take something.
    few = {
        "STOP": STOP,
        "TUPLE1": b"\x85",
        "TUPLE2": NONE + b"\x86",
        "TUPLE3": NONE + NONE + b"\x87",
        "APPEND": EMPTY_LIST + APPEND,
        "APPENDS-list": MARK + NONE + APPENDS,
        "SETITEM": EMPTY_DICT + NONE + SETITEM,
        "SETITEMS-dict": MARK + text("k") + NONE + SETITEMS,
        "BINPUT": b"q\0",
        "LONG_BINPUT": b"r\0\0\0\0",
        "BINPERSID": PERSID,
        "REDUCE": EMPTY_TUPLE + REDUCE,
        "NEWOBJ": EMPTY_TUPLE + NEWOBJ,
        "BUILD": EMPTY_DICT + BUILD,
        "BINGET": b"h\0",
        "LONG_BINGET": b"j\0\0\0\0",
    }
    for name, body in few.items():
        add_pickle(f"P05-{name}", PROTO + body + (b"" if name == "STOP" else STOP))
    # A mark hides what is below it.
    hidden = {
        "TUPLE1": b"\x85",
        "TUPLE2": NONE + b"\x86",
        "APPEND": NONE + APPEND,
        "SETITEM": NONE + NONE + SETITEM,
        "BINPUT": b"q\0",
        "BINPERSID": PERSID,
        "REDUCE": EMPTY_TUPLE + REDUCE,
        "BUILD": EMPTY_DICT + BUILD,
    }
    for name, body in hidden.items():
        add_pickle(f"P06-hidden-from-{name}", PROTO + EMPTY_DICT + MARK + body + STOP)
    for name, code in (("TUPLE", TUPLE), ("APPENDS", APPENDS), ("SETITEMS", SETITEMS)):
        add_pickle(f"P06-{name}-without-mark", PROTO + EMPTY_DICT + NONE + NONE + code + STOP)
    add_pickle("P06-64-marks-ok", with_value(MARK * 63 + TUPLE * 63))
    add_pickle("P06-129-marks", with_value(MARK * 128 + TUPLE * 128))
