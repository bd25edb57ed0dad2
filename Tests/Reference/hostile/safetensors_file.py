"""How the cases of fixtures/hostile/safetensors are written down."""

import struct

from cases import MARK, Cases, misfit, said, split_mark, utf8

BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}
DATA = bytes(range(8))
cases = Cases("safetensors")


def tensor(name="a", dtype="F32", shape="[2]", offsets="[0,8]"):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


def header(*members):
    return "{" + ",".join(members) + "}"


def u8(name, begin, end, shape=None):
    """A U8 tensor that lies at these bytes."""
    return tensor(name, "U8", shape or f"[{end - begin}]", f"[{begin},{end}]")


def case(rule, label, text, fault=None, data=DATA, length=None, tensor=None):
    """Adds a file. `fault` says what is wrong: a function at the place of the mark, a text, or None
    where the file is to be read."""
    text, place = split_mark(text)
    size = len(text) if length is None else length
    file = f"{rule}-{label}{'' if fault else '-ok'}.safetensors"
    if callable(fault):
        assert place is not None, file
        message = f"{file}: the header at byte {8 + place}: {fault(text[:size], place)}"
    elif fault:
        message = f"{file}, '{tensor}': {fault}" if tensor is not None else f"{file}: {fault}"
    else:
        message = None
    cases.add(file, struct.pack("<Q", size) + text + data, message)


def raw(rule, label, content, fault=None):
    file = f"{rule}-{label}{'' if fault else '-ok'}.safetensors"
    cases.add(file, content, f"{file}: {fault}" if fault else None)


BASE = header(tensor())
TWICE = "the header names it twice; readers would disagree on which one counts."
AFTER = "Holes and overlaps are not allowed."


def starts(begin, cursor):
    return f"its bytes start at {begin}; those of the tensors before it end at {cursor}. {AFTER}"


def holds(begin, end, shape, dtype, needed):
    size = end - begin
    return f"bytes {begin}..<{end} are {size} bytes; shape {shape} of {dtype} needs {needed}."


def cut(present, needed):
    return (f"behind the header are {present} bytes; the tensors need {needed}. It was cut off;"
            " fetch it again.")


def left(present, used):
    return f"behind the header are {present} bytes; the tensors account for {used} only."


OBJECT, KEY, STRING = misfit("an object"), misfit("a key in double quotes"), misfit("a string")
NUMBER, ARRAY, END = misfit("a number"), misfit("an array"), misfit("the end of the text")
