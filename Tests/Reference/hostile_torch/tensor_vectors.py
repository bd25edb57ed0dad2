"""How tensors hang together, are made, and lie in their storages."""

from pickle_bytes import *
from zip_bytes import DATA


def write(add_pickle):
    # T01: the root.
    for name, root in {
        "tensor": T,
        "list": lst(T),
        "tuple": tup(T),
        "None": NONE,
        "str": text("t"),
        "storage": storage(),
    }.items():
        add_pickle(f"T01-{name}", PROTO + root + STOP)
    add_pickle("T01-nothing-ok", PROTO + EMPTY_DICT + STOP)
    add_pickle(
        "T01-OrderedDict-ok",
        PROTO + EMPTY_ORDERED + text("t") + T + SETITEM + dic(("_metadata", NONE)) + BUILD + STOP,
    )
    # T02: names.
    add_pickle("T02-nested-ok", whole(("a", dic(("b", T), ("c", lst(T, tup(T)))))))
    add_pickle("T02-empty-names-ok", whole(("", T), ("a", dic(("", T)))))
    add_pickle("T02-same-name", whole(("a.b", T), ("a", dic(("b", T)))))
    add_pickle(
        "T02-same-name-int",
        PROTO + EMPTY_DICT + MARK + number(1) + T + text("1") + T + SETITEMS + STOP,
    )
    add_pickle("T02-zero-byte", whole(("a\0b", T)))
    add_pickle("T02-512-bytes-ok", whole(("n" * 512, T)))
    add_pickle("T02-513-bytes", whole(("n" * 513, T)))
    add_pickle("T02-513-bytes-nested", whole(("n" * 500, dic(("m" * 12, T)))))
    # T03: wrappers.
    add_pickle("T03-state_dict-ok", whole(("epoch", number(3)), ("state_dict", dic(("t", T)))))
    add_pickle(
        "T03-model-and-optimizer-ok",
        whole(("model", dic(("t", T))), ("optimizer", dic(("state", dic(("m", T)))))),
    )
    add_pickle(
        "T03-model-and-state_dict", whole(("model", dic(("t", T))), ("state_dict", dic(("t", T))))
    )
    add_pickle("T03-model-and-ema", whole(("model", dic(("t", T))), ("model_ema", dic(("t", T)))))
    add_pickle("T03-model-and-head", whole(("model", dic(("t", T))), ("head", dic(("t", T)))))
    add_pickle("T03-tensor-beside-model-ok", whole(("model", dic(("t", T))), ("u", T)))
    add_pickle(
        "T03-model-without-tensors-ok", whole(("model", dic(("t", NONE))), ("head", dic(("t", T))))
    )
    # T04: what holds what.
    deep = lambda n: b"".join(EMPTY_DICT + text("d") for _ in range(n)) + T + SETITEM * n
    add_pickle("T04-63-deep-ok", whole(("a", deep(63))))
    add_pickle("T04-65-deep", whole(("a", deep(65))))
    add_pickle("T04-tuples-300-deep", whole(("t", T), ("x", NONE + b"\x85" * 300)))
    add_pickle(
        "T04-holds-itself",
        PROTO + EMPTY_DICT + b"q\0" + text("a") + b"h\0" + SETITEM + text("t") + T + SETITEM + STOP,
    )
    add_pickle(
        "T04-list-holds-itself", whole(("t", T), ("x", EMPTY_LIST + b"q\0" + b"h\0" + APPEND))
    )
    add_pickle("T04-shared-dict", whole(("a", dic(("t", T)) + b"q\0"), ("b", b"h\0")))
    add_pickle(
        "T04-shared-without-tensors-ok", whole(("t", T), ("a", tup(NONE) + b"q\0"), ("b", b"h\0"))
    )
    add_pickle("T04-shared-tensor-ok", whole(("a", T + b"q\0"), ("b", b"h\0")))
    layers = dic(("t", T)) + b"q\0"
    doubled = EMPTY_DICT + MARK + text("a") + layers + text("b") + b"h\0" + SETITEMS
    for i in range(1, 30):
        doubled = (
            EMPTY_DICT
            + MARK
            + text("a")
            + doubled
            + b"q"
            + bytes([i])
            + text("b")
            + b"h"
            + bytes([i])
            + SETITEMS
        )
    add_pickle("T04-doubled-30-times", PROTO + doubled + STOP)
    add_pickle("T04-set-of-tensors", whole(("x", call("set", lst(T), module="__builtin__"))))
    # T05: how tensors are made.
    args = [storage(), number(0), numbers((4,)), numbers((1,)), FALSE, EMPTY_ORDERED]
    v2 = lambda *a: whole(("t", call("_rebuild_tensor_v2", *a)))
    add_pickle("T05-v1-ok", whole(("t", call("_rebuild_tensor", *args[:4]))))
    add_pickle("T05-v1-five", whole(("t", call("_rebuild_tensor", *args[:5]))))
    add_pickle("T05-v2-five", v2(*args[:5]))
    add_pickle("T05-v2-eight", v2(*args, NONE, NONE))
    add_pickle("T05-v2-none", v2())
    add_pickle("T05-v2-metadata-None-ok", v2(*args, NONE))
    add_pickle("T05-v2-metadata-empty-ok", v2(*args, EMPTY_DICT))
    add_pickle("T05-v2-metadata-false", v2(*args, dic(("conj", FALSE), ("neg", FALSE))))
    add_pickle("T05-v2-conj", v2(*args, dic(("conj", TRUE))))
    add_pickle("T05-v2-neg", v2(*args, dic(("neg", TRUE))))
    add_pickle("T05-v2-metadata-list", v2(*args, EMPTY_LIST))
    add_pickle("T05-storage-None", v2(NONE, *args[1:]))
    add_pickle("T05-storage-tensor", v2(T, *args[1:]))
    add_pickle("T05-offset-None", v2(args[0], NONE, *args[2:]))
    add_pickle("T05-offset-bool", v2(args[0], FALSE, *args[2:]))
    add_pickle("T05-size-list", v2(*args[:2], lst(number(4)), *args[3:]))
    add_pickle("T05-size-int", v2(*args[:2], number(4), *args[3:]))
    add_pickle(
        "T05-size-Size-ok", v2(*args[:2], call("Size", numbers((4,)), module="torch"), *args[3:])
    )
    add_pickle("T05-size-floats", v2(*args[:2], tup(b"G" + bytes(8)), *args[3:]))
    add_pickle("T05-size-bools", v2(*args[:2], tup(TRUE), *args[3:]))
    add_pickle("T05-stride-None", v2(*args[:3], NONE, *args[4:]))
    add_pickle("T05-fewer-strides", v2(*args[:2], numbers((2, 2)), numbers((1,)), *args[4:]))
    add_pickle("T05-rank-64-ok", v2(*args[:2], numbers((1,) * 64), numbers((1,) * 64), *args[4:]))
    add_pickle("T05-rank-65", v2(*args[:2], numbers((1,) * 65), numbers((1,) * 65), *args[4:]))
    add_pickle("T05-rank-0-ok", v2(*args[:2], EMPTY_TUPLE, EMPTY_TUPLE, *args[4:]))
    add_pickle("T05-parameter-ok", whole(("t", call("_rebuild_parameter", T, TRUE, EMPTY_ORDERED))))
    add_pickle(
        "T05-parameter-with-state-ok",
        whole(("t", call("_rebuild_parameter_with_state", T, TRUE, EMPTY_ORDERED, EMPTY_DICT))),
    )
    add_pickle(
        "T05-parameter-of-None", whole(("t", call("_rebuild_parameter", NONE, TRUE, EMPTY_ORDERED)))
    )
    add_pickle(
        "T05-parameter-of-set",
        whole(
            (
                "t",
                call(
                    "_rebuild_parameter",
                    call("set", EMPTY_LIST, module="builtins"),
                    TRUE,
                    EMPTY_ORDERED,
                ),
            )
        ),
    )
    add_pickle("T05-parameter-two", whole(("t", call("_rebuild_parameter", T, TRUE))))
    nested = T
    for _ in range(5):
        nested = call("_rebuild_parameter", nested, TRUE, EMPTY_ORDERED)
    add_pickle("T05-parameter-of-parameters", whole(("t", nested)))
    v2f = glob("torch._utils", "_rebuild_tensor_v2")
    from_type = lambda *a: whole(("t", call("_rebuild_from_type_v2", *a, module="torch._tensor")))
    add_pickle("T05-attributes-ok", from_type(v2f, glob("torch", "Tensor"), tup(*args), EMPTY_DICT))
    add_pickle(
        "T05-attributes-parameter-ok",
        from_type(v2f, glob("torch.nn.parameter", "Parameter"), tup(*args), EMPTY_DICT),
    )
    add_pickle(
        "T05-attributes-function",
        from_type(ORDERED, glob("torch", "Tensor"), tup(*args), EMPTY_DICT),
    )
    add_pickle("T05-attributes-type", from_type(v2f, ORDERED, tup(*args), EMPTY_DICT))
    add_pickle(
        "T05-attributes-arguments", from_type(v2f, glob("torch", "Tensor"), EMPTY_LIST, EMPTY_DICT)
    )
    # T06: storages and their records.
    add_pickle("T06-no-record", whole(("t", tensor(key="1"))))
    add_pickle("T06-key-with-folder", whole(("t", tensor(key="../0"))))
    add_pickle("T06-count-more", whole(("t", tensor(count=5))))
    add_pickle("T06-count-less", whole(("t", tensor(size=(3,), count=3))))
    add_pickle("T06-count-2-61", whole(("t", tensor(count=1 << 61))))
    add_pickle("T06-count-2-62", whole(("t", tensor(count=(1 << 62) + 4))))
    add_pickle("T06-two-types", whole(("t", T), ("u", tensor(kind="IntStorage"))))
    add_pickle("T06-two-counts", whole(("t", T), ("u", tensor(size=(3,), count=3))))
    add_pickle(
        "T06-bytes-and-uint8-ok",
        whole(
            ("t", tensor(size=(16,), kind="ByteStorage", count=16)), ("u", tensor3("uint16", (8,)))
        ),
    )
    add_pickle("T06-unused-record-ok", whole(("t", T)), {"0": DATA, "1": b"unused"})
    add_pickle("T06-empty-ok", whole(("t", tensor(size=(0,), count=0))), {"0": b""})
    add_pickle("T06-key-text-ok", whole(("t", tensor(key="weights"))), {"weights": DATA})
    # T07: bounds.
    for name, kwargs in {
        "offset-0-ok": {},
        "offset-1": dict(offset=1),
        "offset-1-of-3-ok": dict(offset=1, size=(3,)),
        "offset-4-of-0-ok": dict(offset=4, size=(0,)),
        "offset-5-of-0": dict(offset=5, size=(0,)),
        "offset-2-62": dict(offset=1 << 62),
        "offset-2-63": dict(offset=(1 << 63) - 1, size=(2,)),
        "offset-negative": dict(offset=-1),
        "size-5": dict(size=(5,)),
        "size-negative": dict(size=(-1,)),
        "size-2-40": dict(size=(1 << 40,)),
        "size-2-62": dict(size=(1 << 62,)),
        "size-product-2-64": dict(size=(1 << 32, 1 << 32), stride=(0, 0)),
        "size-product-2-126-zero": dict(size=(1 << 63 - 1, 1 << 62, 0), stride=(1, 1, 1)),
        "size-zero-first-ok": dict(size=(0, 1 << 62, 1 << 62), stride=(1, 1, 1)),
        "bytes-2-63": dict(size=(1 << 61,), stride=(0,)),
        "stride-2": dict(stride=(2,)),
        "stride-2-of-2-ok": dict(size=(2,), stride=(2,)),
        "stride-negative": dict(stride=(-1,)),
        "stride-2-62": dict(size=(3,), stride=(1 << 62,)),
        "stride-2-63": dict(size=(2,), stride=((1 << 63) - 1,)),
        "stride-of-one-ok": dict(size=(1, 4), stride=(1 << 62, 1)),
        "sum-overflows": dict(size=(2, 2), stride=((1 << 63) - 1, (1 << 63) - 1)),
        "transposed-ok": dict(size=(2, 2), stride=(1, 2)),
        "overlapping-ok": dict(size=(3, 2), stride=(1, 1)),
        "transposed-beyond": dict(size=(2, 3), stride=(1, 2)),
        "expanded-ok": dict(size=(1000, 4), stride=(0, 1)),
        "expanded-8-MiB-ok": dict(size=(1 << 21,), stride=(0,)),
        "expanded-33-MiB": dict(size=(33 << 18,), stride=(0,)),
        "expanded-2-60": dict(size=(1 << 60,), stride=(0,)),
    }.items():
        add_pickle(f"T07-{name}", whole(("t", tensor(**kwargs))))
    many = tensor(size=(1 << 22,), stride=(0,))
    add_pickle(
        "T07-expanded-three-times-16-MiB", whole(("a", many + b"q\0"), ("b", b"h\0"), ("c", b"h\0"))
    )
    # T08: types.
    for kind, size in {
        "DoubleStorage": 8,
        "HalfStorage": 2,
        "BFloat16Storage": 2,
        "LongStorage": 8,
        "IntStorage": 4,
        "ShortStorage": 2,
        "CharStorage": 1,
        "ByteStorage": 1,
        "BoolStorage": 1,
        "ComplexFloatStorage": 8,
    }.items():
        n = 16 // size
        add_pickle(f"T08-{kind}-ok", whole(("t", tensor(size=(n,), kind=kind, count=n))))
    add_pickle(
        "T08-ComplexDoubleStorage",
        whole(("t", tensor(size=(1,), kind="ComplexDoubleStorage", count=1))),
    )
    for dtype, size in {
        "uint16": 2,
        "uint32": 4,
        "uint64": 8,
        "float8_e4m3fn": 1,
        "float8_e5m2": 1,
        "float8_e4m3fnuz": 1,
        "float8_e5m2fnuz": 1,
        "float8_e8m0fnu": 1,
        "float4_e2m1fn_x2": 1,
        "float32": 4,
    }.items():
        add_pickle(f"T08-{dtype}-ok", whole(("t", tensor3(dtype, size=(16 // size,)))))
    add_pickle("T08-complex32", whole(("t", tensor3("complex32"))))
    add_pickle("T08-float4-rank-0", whole(("t", tensor3("float4_e2m1fn_x2", (), ()))))
    add_pickle("T08-float4-2-63", whole(("t", tensor3("float4_e2m1fn_x2", (1 << 62,), (0,)))))
    add_pickle(
        "T08-float4-transposed-ok", whole(("t", tensor3("float4_e2m1fn_x2", (4, 4), (1, 4))))
    )
    add_pickle("T08-v3-beyond", whole(("t", tensor3("uint64", (3,)))))
    add_pickle("T08-v3-of-typed", whole(("t", tensor3("float32", of=storage()))))
    add_pickle(
        "T08-v3-dtype-None",
        whole(("t", tensor3("float32").replace(glob("torch", "float32"), NONE))),
    )
    add_pickle("T08-v2-of-untyped", whole(("t", tensor(of=untyped()))))
    add_pickle(
        "T08-v3-odd-bytes-ok",
        whole(("t", tensor3("uint16", (8,), of=untyped(17)))),
        {"0": DATA + b"\0"},
    )
    add_pickle("T08-v3-conj", whole(("t", tensor3("uint16", metadata=dic(("conj", TRUE))))))
