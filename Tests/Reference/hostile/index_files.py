"""Cases of model.safetensors.index.json: each is an index beside the same few shards."""

import struct

from cases import MARK, Cases, misfit, said, split_mark, utf8

cases = Cases("index")


def shard(**places):
    """A safetensors file of U8 tensors that hold one byte each."""
    entries = ",".join(
        f'"{name}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{i + 1}]}}'
        for i, name in enumerate(places))
    text = ("{" + entries + "}").encode()
    return struct.pack("<Q", len(text)) + text + bytes(places.values())


cases.add_beside("one.safetensors", shard(a=1, b=2))
cases.add_beside("two.safetensors", shard(c=3))
cases.add_beside("accents.safetensors", shard(**{"\\u00e9": 4, "e\\u0301": 5}))
cases.add_beside("none.safetensors", shard())
cases.add_beside("cut.safetensors", shard(d=6)[:-1])
cases.add_beside(" ünï cödé.safetensors", shard(e=7))
cases.add_beside("...", shard(f=8))


def position(text, place):
    """Line and column, both counted from 1, columns in characters."""
    before = text[:place].decode()
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def case(rule, label, text, fault=None, tensor=None, file=None):
    """Adds an index. `fault` says what is wrong: a function at the place of the mark, a text, or
    None where all is to be read; it is told of the index unless another file is named."""
    text, place = split_mark(text)
    name = f"{rule}-{label}{'' if fault else '-ok'}.json"
    if callable(fault):
        fault = f"{position(text, place)}: {fault(text, place)}"
    told = (file or name) + (f", '{tensor}'" if tensor is not None else "")
    cases.add(name, text, fault and f"{told}: {fault.replace('INDEX', name)}")


ONE = '"a":"one.safetensors","b":"one.safetensors"'
TWO = '"c":"two.safetensors"'


def index(*entries, before="", behind=""):
    return "{" + before + '"weight_map":{' + ",".join(entries) + "}" + behind + "}"


BASE = index(ONE, TWO)
NO_MAP = "it holds no object 'weight_map', which says what file each tensor is in."
VALUE, KEY, END = misfit("a value"), misfit("a key in double quotes"), misfit("the end of the text")

# I01: JSON by RFC 8259 in UTF-8, no key twice -------------------------------------------------

case("I01", "plain", BASE)
case("I01", "spread", BASE.replace(",", " ,\n\t").replace(":", "\r\n: ").replace("{", " {\n") + "\n")
case("I01", "escapes", index(ONE.replace('"a"', '"\\u0061"'), TWO.replace("two", "\\u0074wo")))
for label, text in [("array", "[]"), ("null", "null"), ("string", '"weight_map"'), ("number", "1")]:
    case("I01", label, text, NO_MAP)
for label, text, fault in [
    ("empty", MARK, VALUE), ("only-space", " \n " + MARK, VALUE), ("open", "{" + MARK, KEY),
    ("cut", BASE[:30] + MARK, misfit("'\"' or a character of the string")),
    ("trailing-comma", BASE[:-1] + f",{MARK}}}", KEY), ("trailing-text", f"{BASE}{MARK}x", END),
    ("two-objects", f"{BASE}\n{MARK}{{}}", END), ("zero-behind", f"{BASE}{MARK}\0", END),
    ("comment", f"{{{MARK}/**/" + BASE[1:], KEY), ("byte-order-mark", f"{MARK}\ufeff{BASE}", VALUE),
    ("utf-16", b"{" + MARK.encode() + BASE.encode("utf-16-le")[1:], KEY),
    ("nan", index(behind=f',"metadata":{MARK}NaN'), VALUE),
    ("deep", '{"metadata":' + "[" * 127 + MARK + "[" * 1000,
     said("arrays and objects are nested too deep.")),
    ("lone-surrogate", index(f'"{MARK}\\ud800":"one.safetensors"'),
     said("this surrogate has no partner; a pair of them stands for a character.")),
    ("not-utf8", utf8(index(f'"{MARK}')[:-2]) + b'\xff":"one.safetensors"}}',
     said("the string that starts here is not UTF-8.")),
    ("twice-in-metadata", BASE[:-1] + f',"metadata":{{"a":1,"a":2{MARK}}}}}',
     said("the value that ends here is a second one for the key 'a'.")),
]:
    case("I01", label, text, fault)
case("I01", "map-twice", BASE[:-1] + ',"weight_map":{}}', "it holds the key 'weight_map' twice.")
case("I01", "metadata-twice", BASE[:-1] + ',"metadata":{},"metadata":{}}',
     "it holds the key 'metadata' twice.")
case("I01", "map-twice-by-escape", BASE[:-1] + ',"weight\\u005fmap":{}}',
     "it holds the key 'weight_map' twice.")

# I02: the object 'weight_map' -----------------------------------------------------------------

case("I02", "no-tensors", index())
case("I02", "tensors-nowhere-else", index(TWO))
for label, text in [
    ("empty-object", "{}"), ("null", '{"weight_map":null}'), ("array", '{"weight_map":[]}'),
    ("string", '{"weight_map":"one.safetensors"}'), ("capitals", '{"Weight_Map":{}}'),
    ("inside", '{"metadata":' + BASE + "}"),
]:
    case("I02", label, text, NO_MAP)

# I03, I04: a plain name for each tensor -------------------------------------------------------

for label, value, kind in [
    ("number", "1", "a number"), ("null", "null", "null"), ("true", "true", "true or false"),
    ("array", '["one.safetensors"]', "an array"), ("object", '{"file":"one.safetensors"}', "an object"),
]:
    case("I03", label, index(TWO, f'"a":{value}'),
         f"'weight_map' gives {kind} for it; a file's name was needed.", tensor="a")
case("I03", "strings", index(TWO, ONE))
for label, value, shown in [
    ("above", "../one.safetensors", None), ("root", "/etc/passwd", None), ("folder", "x/y", None),
    ("dot", ".", None), ("dot-dot", "..", None), ("nothing", "", None), ("slash-behind", "one/", None),
    ("backslash", "x\\\\y", "x\\y"), ("zero", "one.safetensors\\u0000", "one.safetensors\\0"),
    ("escaped-slash", "\\u002e\\u002e\\/x", "../x"), ("windows", "C:\\\\x", "C:\\x"),
    ("here", "./one.safetensors", None),
]:
    case("I04", label, index(f'"a":"{value}"'),
         f"'weight_map' gives '{value if shown is None else shown}' for it; the name of a file"
         " beside the index was needed, without a folder.", tensor="a")
case("I04", "spaces-and-accents", index('"e":" ünï cödé.safetensors"'))
case("I04", "three-dots", index('"f":"..."'))

# I05: no tensor twice -------------------------------------------------------------------------

TWICE = "'weight_map' names it twice; readers would disagree on which one counts."
for label, again in [("same-file", '"a":"one.safetensors"'), ("other-file", '"a":"two.safetensors"'),
                     ("by-escape", '"\\u0061":"two.safetensors"')]:
    case("I05", label, index(ONE, TWO, again), TWICE, tensor="a")
case("I05", "canonical-equals",
     index('"\u00e9":"accents.safetensors"', '"e\u0301":"accents.safetensors"'))

# I06, I07, I08: index and files say the same --------------------------------------------------


def absent(file):
    return f"it is to be in {file}, and is not there. Fetch both files again."


case("I06", "nowhere", index(ONE, '"x":"one.safetensors"'), absent("one.safetensors"), tensor="x")
case("I06", "other-file", index('"a":"one.safetensors","b":"two.safetensors"', TWO),
     absent("two.safetensors"), tensor="b")
case("I06", "other-case", index('"A":"one.safetensors"'), absent("one.safetensors"), tensor="A")
case("I06", "metadata-is-no-tensor", index(ONE, '"__metadata__":"one.safetensors"'),
     absent("one.safetensors"), tensor="__metadata__")
case("I06", "in-file-without-tensors", index('"a":"none.safetensors"'), absent("none.safetensors"),
     tensor="a")
MISSING = "the index INDEX names this file, and it is not there. Fetch it as well."
case("I07", "no-such-file", index(ONE, '"x":"three.safetensors"'), MISSING, file="three.safetensors")
case("I07", "other-case", index('"a":"ONE.safetensors"'), MISSING, file="ONE.safetensors")
LOST = "the index INDEX does not say that it is in this file. Fetch both files again."
case("I08", "left-out", index('"a":"one.safetensors"'), LOST, "b", "one.safetensors")
case("I08", "one-of-two-spellings", index('"\\u00e9":"accents.safetensors"'), LOST, "e\u0301",
     "accents.safetensors")

# I09: each file is a safetensors file ---------------------------------------------------------

case("I09", "cut", index('"d":"cut.safetensors"'),
     "behind the header are 0 bytes; the tensors need 1. It was cut off; fetch it again.",
     file="cut.safetensors")
NUMBER = int.from_bytes(b'{"weight', "little")
case("I09", "itself", index('"a":"I09-itself.json"'),
     f"its first 8 bytes tell of a header of {NUMBER} bytes; at most 100000000 are allowed. It is"
     " no safetensors file, or damaged.")

# I10: what lies beside the map does not count -------------------------------------------------

for label, value in [
    ("total", '{"total_size":3}'), ("false-total", '{"total_size":99}'), ("null", "null"),
    ("total-as-text", '{"total_size":"3"}'), ("negative-total", '{"total_size":-1}'),
    ("huge-total", '{"total_size":18446744073709551616}'), ("fraction", '{"total_size":3e0}'),
    ("array", "[[],{}]"), ("text", '"x"'), ("empty", "{}"),
]:
    case("I10", f"metadata-{label}", index(ONE, TWO, before=f'"metadata":{value},'))
case("I10", "other-keys", index(ONE, TWO, before='"":0,"a":[{"b":null}],', behind=',"weight_maps":[]'))
