"""Cases of the header's text: S04 to S07 and S20 to S32."""

from safetensors_file import *

# S04: UTF-8 -----------------------------------------------------------------------------------

NOT_UTF8 = said("the string that starts here is not UTF-8.")
PARTS = [part.encode() for part in (f'{{"{MARK}a', BASE[3:])]
for label, bad in [
    ("not-utf8", b"\xff"), ("overlong-utf8", b"\xc0\x80"), ("overlong-three", b"\xe0\x80\xaf"),
    ("overlong-four", b"\xf0\x80\x80\xaf"), ("utf8-surrogate", b"\xed\xa0\x80"),
    ("utf8-surrogate-pair", b"\xed\xa0\xbd\xed\xb8\x80"), ("beyond-10ffff", b"\xf4\x90\x80\x80"),
    ("byte-f5", b"\xf5\x80\x80\x80"), ("continuation-alone", b"\x80"), ("cut-two", b"\xc3"),
    ("cut-three", b"\xe2\x82"), ("cut-four", b"\xf0\x9f\x98"), ("latin-1", b"\xe9t\xe9"),
]:
    case("S04", label, PARTS[0] + bad + PARTS[1], NOT_UTF8)
case("S04", "in-metadata", f'{{"__metadata__":{{"a":"{MARK}'.encode() + b'\xff"}}', NOT_UTF8, b"")
case("S04", "in-metadata-key", f'{{"__metadata__":{{"{MARK}'.encode() + b'\xff":""}}', NOT_UTF8, b"")
case("S04", "in-dtype", BASE.replace('"F32', f'"{MARK}F32').encode().replace(b"F32", b"F\xff32"),
     NOT_UTF8)
case("S04", "between", BASE[:-1].encode() + MARK.encode() + b"\xff}", misfit("',' or '}'"))
for label, text in [("two-bytes", "ä"), ("three-bytes", "重み"), ("four-bytes", "😀"),
                    ("largest", "\U0010ffff"), ("no-characters", "\uffff\ufffe")]:
    case("S04", label, header(tensor(text)))

# S05: JSON by RFC 8259, of the types that the format has --------------------------------------

for label, text in [("array", "[]"), ("null", "null"), ("string", '"a"'), ("true", "true"),
                    ("number", "0"), ("close", "}")]:
    case("S05", label, MARK + text, OBJECT, b"")
for label, text in [("comment", "/**/" + BASE[1:]), ("line-comment", "//\n" + BASE[1:]),
                    ("bare-key", "a" + BASE[4:]), ("single-quotes", "'a'" + BASE[4:]),
                    ("number-key", "1" + BASE[4:]), ("leading-comma", "," + BASE[1:]),
                    ("only-open", "")]:
    case("S05", label, "{" + MARK + text, KEY, DATA if text else b"")
for label, text, fault in [
    ("trailing-comma", f",{MARK}}}", KEY), ("two-commas", f",{MARK},}}", KEY),
    ("unclosed", MARK, misfit("',' or '}'")), ("wrong-close", f"{MARK}]", misfit("',' or '}'")),
    ("no-comma", f'{MARK}"b":{{}}}}', misfit("',' or '}'")),
    ("trailing-text", f"}}{MARK}x", END), ("two-objects", f"}}{MARK}{{}}", END),
    ("trailing-brace", f"}}{MARK}}}", END), ("trailing-zero-bytes", f"}}{MARK}\0\0", END),
]:
    case("S05", label, BASE[:-1] + text, fault)
for label, text, fault in [
    ("no-colon", f'{MARK}{{}}', misfit("':'")), ("equals", f"{MARK}={{}}", misfit("':'")),
    ("entry-null", f":{MARK}null", OBJECT), ("entry-string", f':{MARK}"F32"', OBJECT),
    ("entry-number", f":{MARK}1", OBJECT), ("entry-true", f":{MARK}true", OBJECT),
    ("entry-nothing", f":{MARK}", OBJECT),
]:
    case("S05", label, f'{{"a"{text}}}', fault, b"")
for label, text, fault in [
    ("shape-string", f'{MARK}"2"', ARRAY), ("shape-null", f"{MARK}null", ARRAY),
    ("shape-number", f"{MARK}2", ARRAY), ("shape-object", f'{MARK}{{"0":2}}', ARRAY),
    ("shape-trailing-comma", f"[2,{MARK}]", NUMBER), ("shape-leading-comma", f"[{MARK},2]", NUMBER),
    ("shape-two-commas", f"[2,{MARK},1]", NUMBER), ("shape-no-comma", f"[2 {MARK}1]",
                                                    misfit("',' or ']'")),
    ("shape-unclosed", f"[2{MARK}", misfit("',' or ']'")),
]:
    case("S05", label, header(tensor(shape=text)) if "unclosed" not in label
         else '{"a":{"dtype":"F32","shape":' + text, fault)
for label, text in [("null", "null"), ("number", "32"), ("array", '["F32"]'), ("true", "true")]:
    case("S05", f"dtype-{label}", BASE.replace('"F32"', MARK + text), STRING)
LACKS = said("'a' lacks one of dtype, shape and data_offsets.")
for label, text in [("no-dtype", '"shape":[2],"data_offsets":[0,8]'), ("empty-entry", ""),
                    ("no-shape", '"dtype":"F32","data_offsets":[0,8]')]:
    case("S05", label, f'{{"a":{{{text}}}{MARK}}}', LACKS)
for label, escape, fault in [
    ("escape-x", f"\\{MARK}x41", misfit('one of "\\/bfnrtu behind the backslash')),
    ("escape-quote", f"\\{MARK}'", misfit('one of "\\/bfnrtu behind the backslash')),
    ("escape-large-u", f"\\{MARK}U0041", misfit('one of "\\/bfnrtu behind the backslash')),
    ("escape-three-digits", f'\\u004{MARK}', misfit("a hexadecimal digit")),
    ("escape-no-digit", f"\\u00g{MARK}1".replace(f"g{MARK}", f"{MARK}g"),
     misfit("a hexadecimal digit")),
]:
    case("S05", label, header(tensor("n" + escape)), fault)
case("S05", "string-unclosed", f'{{"abc{MARK}', misfit("'\"' or a character of the string"), b"")
case("S05", "string-ends-in-backslash", f'{{"abc\\{MARK}',
     misfit('one of "\\/bfnrtu behind the backslash'), b"")
case("S05", "escapes", header(tensor('\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\uD83D\\ude00')))
case("S05", "keys-by-escape", BASE.replace("dtype", "\\u0064type").replace("shape", "sh\\u0061pe"))

# S06, S07: white space, that of JSON and no other ---------------------------------------------

case("S06", "trailing-space", BASE + " \t\r\n")
case("S06", "padded-to-a-page", BASE + " " * (4096 - 8 - len(BASE)))
case("S07", "leading-space", " \n\t\r" + BASE)
case("S07", "between", BASE.translate(
    {ord(c): f" \n{c}\t\r" for c in "{}[]:,"}).replace('"F32"', ' "F32" '))
case("S07", "inside-name", header(tensor(" a b ")))
for label, text in [("form-feed", "\f"), ("vertical-tab", "\v"), ("no-break-space", "\u00a0"),
                    ("line-separator", "\u2028"), ("next-line", "\u0085"), ("zero", "\0"),
                    ("ideographic-space", "\u3000")]:
    case("S06", f"trailing-{label}", BASE + MARK + text, END)
    case("S07", f"leading-{label}", MARK + text + BASE, OBJECT)
case("S07", "form-feed-between", BASE[:-1] + MARK + "\f}", misfit("',' or '}'"))

KNOWN = "these are: " + ", ".join(BITS) + "."
for label, dtype in [
    ("gguf-dtype", "Q8_0"), ("lower-case", "f32"), ("unknown-dtype", "F33"), ("empty", ""),
    ("space-before", " F32"), ("space-behind", "F32 "), ("long", "F" * 1000), ("torch", "float32"),
    ("torch-prefix", "torch.float32"), ("numpy", "<f4"), ("f8", "F8"), ("i4", "I4"), ("u1", "U1"),
    ("c128", "C128"), ("f8-e3m4", "F8_E3M4"), ("bf-16", "BF_16"), ("bool-lower", "Bool"),
    ("full-width", "Ｆ32"),
]:
    case("S32", label, header(tensor(dtype=dtype)).replace(f'"{dtype}","shape', f'"{dtype}"{MARK},"shape'),
         said(f"the dtype '{dtype}' is not known; {KNOWN}"))
case("S32", "zero-behind", header(tensor(dtype="F32\\u0000")).replace(',"shape', f'{MARK},"shape'),
     said(f"the dtype 'F32\\0' is not known; {KNOWN}"))
case("S32", "by-escape", header(tensor(dtype="F\\u00332")))

# S20, S21, S22: metadata ----------------------------------------------------------------------


def metadata(value):
    return header(f'"__metadata__":{value}', tensor())


case("S20", "metadata", metadata('{"format":"pt","":"\\u0000"}'))
case("S20", "empty", metadata("{}"))
case("S20", "at-the-end", header(tensor(), '"__metadata__":{"a":"b"}'))
case("S20", "hundred-keys", metadata(header(*[f'"k{i}":"{i}"' for i in range(100)])))
case("S20", "long-value", metadata('{"a":"' + "x" * 5000 + '"}'))
case("S20", "escapes", metadata('{"\\n\\"":"\\ud83d\\ude00 \\\\ \\t"}'))
case("S20", "name-by-escape", header('"__meta\\u0064ata__":{"a":"b"}', tensor()))
case("S20", "tensor-of-like-name", header(tensor("__METADATA__")))
case("S20", "tensor-of-longer-name", header(tensor("__metadata__ ")))
for label, value in [("list", "[]"), ("string", '"pt"'), ("number", "1"), ("true", "true")]:
    case("S20", "metadata-" + label, metadata(MARK + value), OBJECT)
for label, value in [("nested", "{}"), ("number", "1"), ("value-null", "null"), ("true", "true"),
                     ("value-list", '["b"]')]:
    case("S20", f"metadata-{label}" if label in ("nested", "value-null", "value-list")
         else f"metadata-value-{label}", metadata(f'{{"a":{MARK}{value}}}'), STRING)
case("S20", "metadata-as-tensor",
     header(tensor("__metadata__").replace('shape":', 'shape":' + MARK)), STRING)
case("S20", "metadata-trailing-comma", metadata(f'{{"a":"b",{MARK}}}'), KEY)
case("S21", "metadata-null", metadata("null"))
case("S21", "null-at-the-end", header(tensor(), '"__metadata__":null'))
for label, value in [("false", "false"), ("zero", "0"), ("empty-string", '""')]:
    case("S21", label, metadata(MARK + value), OBJECT)
case("S21", "nul", metadata("nul" + MARK), misfit("'null'"))
AGAIN = said("'__metadata__' is there twice.")
case("S22", "metadata-twice", header('"__metadata__":{}', f'"__metadata__":{MARK}{{}}', tensor()),
     AGAIN)
case("S22", "metadata-twice-apart", header('"__metadata__":{}', tensor(), f'"__metadata__":{MARK}{{}}'),
     AGAIN)
case("S22", "metadata-null-and-object", header('"__metadata__":null', f'"__metadata__":{MARK}{{}}'),
     AGAIN, b"")
case("S22", "metadata-twice-by-escape",
     header('"__metadata__":{}', f'"_\\u005fmetadata__":{MARK}{{}}', tensor()), AGAIN)
KEY_TWICE = said("the metadata 'a' is there twice.")
case("S22", "metadata-key-twice", metadata(f'{{"a":"1","a":"2"{MARK}}}'), KEY_TWICE)
case("S22", "metadata-key-twice-equal", metadata(f'{{"a":"1","a":"1"{MARK}}}'), KEY_TWICE)
case("S22", "metadata-key-twice-by-escape", metadata(f'{{"a":"1","b":"","\\u0061":"2"{MARK}}}'),
     KEY_TWICE)
case("S22", "metadata-canonical-equals", metadata(f'{{"\\u00e9":"1","e\\u0301":"2"{MARK}}}'),
     said("the metadata 'e\u0301' is there before in other bytes of the same text; rename one."))
case("S22", "metadata-keys-by-case", metadata('{"a":"1","A":"2"}'))

# S23, S24: the same name twice ----------------------------------------------------------------

case("S23", "name-twice", header(tensor(), tensor()), TWICE, tensor="a")
case("S23", "name-twice-two-ranges", header(u8("a", 0, 4), u8("a", 4, 8)), TWICE,
     tensor="a")
case("S23", "name-twice-by-escape", header(u8("a", 0, 4), u8("\\u0061", 4, 8)), TWICE, tensor="a")
case("S23", "name-twice-other-type", header(tensor(), tensor("a", "F64", "[1]")), TWICE, tensor="a")
case("S23", "name-twice-other-shape", header(tensor(), tensor("a", "F32", "[1,2]")), TWICE,
     tensor="a")
case("S23", "name-twice-first-false", header(tensor("a", "F64", "[7]", "[3,9]"), tensor()), TWICE,
     tensor="a")
case("S23", "name-twice-empty", header(*[tensor("a", "U8", "[0]", "[0,0]")] * 2), TWICE, b"",
     tensor="a")
case("S23", "name-twice-apart", header(*[u8(f"t{i % 7}", i, i + 1) for i in range(8)]), TWICE,
     tensor="t0")
case("S23", "name-thrice", header(*[tensor()] * 3), TWICE, tensor="a")
case("S23", "name-twice-solidus", header(u8("a/b", 0, 4), u8("a\\/b", 4, 8)), TWICE, tensor="a/b")
case("S23", "name-twice-pair", header(u8("😀", 0, 4), u8("\\ud83d\\ude00", 4, 8)), TWICE, tensor="😀")
case("S23", "name-twice-hex-case", header(u8("\\u00e9", 0, 4), u8("\\u00E9", 4, 8)), TWICE,
     tensor="é")
case("S23", "name-twice-of-nothing", header(u8("", 0, 4), u8("", 4, 8)), TWICE, tensor="")
for label, one, other in [
    ("canonical-equals", "\\u00e9", "e\\u0301"), ("kelvin-and-k", "K", "\u212a"),
    ("angstrom", "\u00c5", "\u212b"), ("hangul", "\uac00", "\u1100\u1161"), ("case", "a", "A"),
    ("width", "a", "ａ"), ("ligature", "ﬁ", "fi"), ("joiner", "a", "a\u200d"),
    ("mark-order", "a\u0323\u0307", "a\u0307\u0323"), ("space-behind", "a", "a "),
]:
    case("S23", label, header(u8(one, 0, 4), u8(other, 4, 8)))
for label, again in [("dtype", '"dtype":"F32"'), ("shape", '"shape":[2]'),
                     ("data_offsets", '"data_offsets":[0,8]')]:
    case("S24", f"{label.split('_')[0]}-twice", BASE[:-2] + f",{again}{MARK}}}}}",
         said(f"'a' has the key '{label}' twice."))
case("S24", "dtype-twice-other", BASE[:-2] + f',"dtype":"I32"{MARK}}}}}',
     said("'a' has the key 'dtype' twice."))
case("S24", "dtype-twice-by-escape", BASE[:-2] + f',"dtyp\\u0065":"F32"{MARK}}}}}',
     said("'a' has the key 'dtype' twice."))
case("S24", "keys-once", '{"a":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}}')

# S25, S26, S27: what describes a tensor -------------------------------------------------------


def unknown(key):
    return said(f"'a' has the key '{key}'; dtype, shape and data_offsets are known.")


for label, key, value in [
    ("unknown-key", "strides", "[1]"), ("null", "x", "null"), ("empty-key", "", "0"),
    ("capital", "Dtype", '"F32"'), ("offsets", "offsets", "[0,8]"), ("deep", "x", "[" * 500),
    ("comment", "_comment", '"fine-tuned"'), ("space-behind", "dtype ", '"F32"'),
]:
    case("S25", label, BASE[:-2] + f',"{key}":{MARK}{value}}}}}', unknown(key))
case("S25", "unknown-key-first", f'{{"a":{{"x":{MARK}0,' + BASE[6:], unknown("x"))
for number, order in enumerate([(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]):
    parts = ['"dtype":"F32"', '"shape":[2]', '"data_offsets":[0,8]']
    case("S25", f"key-order-{number}", '{"a":{' + ",".join(parts[i] for i in order) + "}}")
case("S26", "entry-array", f'{{"a":{MARK}["F32",[2],[0,8]]}}', OBJECT)
case("S26", "entry-array-short", f'{{"a":{MARK}["F32",[2]]}}', OBJECT)
case("S26", "dtype-object", BASE.replace('"F32"', MARK + '{"F32":null}'), STRING)
case("S26", "dtype-object-of-object", BASE.replace('"F32"', MARK + '{"F32":{}}'), STRING)
case("S26", "objects", header(u8("a", 0, 8)))
TWO = said("data_offsets hold two numbers, where a tensor's bytes start and end.")
case("S27", "no-offsets", f'{{"a":{{"dtype":"F32","shape":[2]}}{MARK}}}', LACKS)
for label, offsets, fault in [
    ("offsets-empty", f"[]{MARK}", TWO), ("one-offset", f"[8]{MARK}", TWO),
    ("three-offsets", f"[0,8,{MARK}8]", TWO), ("offsets-null", f"{MARK}null", ARRAY),
    ("offsets-object", f'{MARK}{{"0":0,"1":8}}', ARRAY), ("offsets-string", f'{MARK}"0,8"', ARRAY),
    ("offsets-nested", f"[{MARK}[0,8]]", NUMBER), ("offsets-number", f"{MARK}8", ARRAY),
    ("offsets-trailing-comma", f"[0,8,{MARK}]", TWO), ("offsets-with-null", f"[{MARK}null,8]", NUMBER),
]:
    case("S27", label, header(tensor(offsets=offsets)), fault)
case("S27", "two-offsets", header(tensor(offsets="[ 0 , 8 ]")))

# S28: whole numbers without a sign, up to 2^64 - 1 --------------------------------------------

WHOLE = "where a whole number of 0 to 2^64 - 1 was needed."
for label, number in [
    ("2-64", "18446744073709551616"), ("2-64-more", "18446744073709551618"),
    ("2-65", "36893488147419103234"), ("hundred-digits", "2" * 100),
    ("negative", "-2"), ("minus-zero", "-0"), ("minus-2-63", "-9223372036854775808"),
    ("fraction", "2.0"), ("half", "0.5"), ("long-fraction", "2." + "0" * 40),
    ("exponent", "2e0"), ("large-exponent", "1E400"), ("exponent-minus", "20e-1"),
    ("exponent-plus", "2e+0"), ("zero-exponent", "0e9999999999"),
]:
    for part in ("extent", "begin", "end"):
        text = {
            "extent": tensor(shape=f"[{MARK}{number}]"),
            "begin": tensor(offsets=f"[{MARK}{number},8]"), "end": tensor(offsets=f"[0,{MARK}{number}]"),
        }[part]
        case("S28", f"{part}-{label}", header(text), said(f"found {number}, {WHOLE}"))
for label, number, fault in [
    ("leading-zero", f"{MARK}02", said("a number may not start with a zero.")),
    ("zero-zero", f"{MARK}00", said("a number may not start with a zero.")),
    ("minus-leading-zero", f"{MARK}-02", said("a number may not start with a zero.")),
    ("plus", f"{MARK}+2", NUMBER), ("null", f"{MARK}null", NUMBER), ("string", f'{MARK}"2"', NUMBER),
    ("true", f"{MARK}true", NUMBER), ("nan", f"{MARK}NaN", NUMBER), ("infinity", f"{MARK}Infinity", NUMBER),
    ("point-first", f"{MARK}.5", NUMBER), ("arabic-digit", f"{MARK}٢", NUMBER),
    ("full-width-digit", f"{MARK}２", NUMBER), ("hexadecimal", f"0{MARK}x2", misfit("',' or ']'")),
    ("underscore", f"2{MARK}_0", misfit("',' or ']'")), ("suffix", f"2{MARK}u", misfit("',' or ']'")),
    ("point-last", f"2.{MARK}", misfit("a digit")), ("exponent-alone", f"2e{MARK}", misfit("a digit")),
    ("two-signs", f"-{MARK}-2", misfit("a digit")), ("minus-alone", f"-{MARK}", misfit("a digit")),
    ("exponent-sign-alone", f"2e+{MARK}", misfit("a digit")),
]:
    case("S28", f"extent-{label}", header(tensor(shape=f"[{number}]")), fault)
case("S28", "offset-2-64", header(tensor(offsets=f"[0,{MARK}18446744073709551624]")),
     said(f"found 18446744073709551624, {WHOLE}"))
case("S28", "extent-2-64-less", header(tensor(shape=f"[18446744073709551615{MARK}]")),
     said("the extent 18446744073709551615 is not below 2^63."))
case("S28", "end-2-64-less", header(tensor(offsets="[0,18446744073709551615]")),
     holds(0, 2**64 - 1, [2], "F32", 8), tensor="a")
# Numbers that a double cannot hold must come out as they were written.
case("S28", "extent-2-53-more", header(u8("a", 0, 8, f"[{2**53 + 1}]")),
     holds(0, 8, [2**53 + 1], "U8", 2**53 + 1), tensor="a")
case("S28", "offset-2-53-more", header(u8("a", 0, 2**53 + 1)), cut(8, 2**53 + 1))
case("S28", "offset-2-53-more-start", header(u8("a", 0, 8), u8("b", 2**53 + 1, 2**53 + 1)),
     starts(2**53 + 1, 8), tensor="b")
case("S28", "extent-2-53-more-of-none", header(u8("a", 0, 0, f"[0,{2**53 + 1}]")), data=b"")
case("S28", "extent-2-63-less-of-none", header(u8("a", 0, 0, f"[0,{2**63 - 1}]")), data=b"")
case("S28", "zero", header(u8("a", 0, 0, "[0]")), data=b"")

# S29: nesting ---------------------------------------------------------------------------------

case("S29", "deep", '{"a":' + MARK + "[" * 10_000, OBJECT, b"")
case("S29", "deep-objects", '{"a":{"a":' + MARK + '{"a":' * 1000, unknown("a"), b"")
case("S29", "deep-shape", header(tensor(shape=f"[{MARK}[2]]")), NUMBER)
case("S29", "deep-shape-unclosed", '{"a":{"dtype":"F32","shape":[' + MARK + "[" * 5000, NUMBER, b"")
case("S29", "deep-metadata", '{"__metadata__":{"a":' + MARK + '{"a":' * 1000, STRING, b"")
case("S29", "deep-arrays-around", MARK + "[" * 1000, OBJECT, b"")
case("S29", "as-deep-as-needed", header('"__metadata__":{"a":"[[[[{{{{"}', tensor()))

# S30, S31: names ------------------------------------------------------------------------------

for label, name in [
    ("empty-name", ""), ("control-name", "a\\n\\u001b[2J"), ("delete", "\x7f"), ("space", " "),
    ("quote", '\\"'), ("backslash", "\\\\"), ("path", "../../etc/passwd"), ("url", "http://a/b?c#d"),
    ("line-separator", "a\u2028b"), ("right-to-left", "a\u202eb"), ("emoji-pair", "\\ud83d\\ude00"),
    ("zero-width", "\u200b"), ("mark-inside", "\ufeff"), ("all-controls",
     "".join(f"\\u{i:04x}" for i in range(1, 32))), ("long", "n" * 10_000), ("long-escaped",
     "\\u00e9" * 1000), ("dots", "..."), ("like-json", "{\\\"a\\\":1}"), ("noncharacter", "\\uffff"),
    ("number", "0"), ("true", "true"), ("key-name", "dtype"), ("fifteen-bytes", "n" * 15),
    ("sixteen-bytes", "n" * 16),
]:
    case("S30", label, header(tensor(name)))
case("S30", "raw-control", header(tensor(f"a{MARK}\nb")), misfit("'\"' or a character of the string"))
for label, byte in [("raw-zero", "\0"), ("raw-tab", "\t"), ("raw-1f", "\x1f")]:
    case("S30", label, header(tensor(f"abcdefgh{MARK}{byte}")),
         misfit("'\"' or a character of the string"))
for label, name, shown in [("zero-in-name", "a\\u0000b", "a\\0b"), ("zero-alone", "\\u0000", "\\0"),
                           ("zero-at-end", "a\\u0000", "a\\0"), ("zero-at-start", "\\u0000a", "\\0a")]:
    case("S30", label, header(tensor(name).replace(":", f":{MARK}", 1)),
         said(f"the name '{shown}' holds a zero byte, behind which others stop."))
case("S30", "zero-in-metadata", metadata('{"a\\u0000":"\\u0000b"}'))
ALONE = said("this surrogate has no partner; a pair of them stands for a character.")
for label, name in [
    ("lone-surrogate", f"{MARK}\\ud800"), ("low-surrogate", f"{MARK}\\udc00"),
    ("reversed-surrogates", f"{MARK}\\ude00\\ud83d"), ("two-high-surrogates", f"{MARK}\\ud83d\\ud83d"),
    ("surrogate-and-letter", f"{MARK}\\ud83d\\u0041"), ("surrogate-and-text", f"a{MARK}\\ud83dabc"),
    ("surrogate-and-escape", f"{MARK}\\ud83d\\n"),
]:
    case("S31", label, header(tensor(name)), ALONE)
case("S31", "surrogate-in-metadata", metadata(f'{{"a":"{MARK}\\udfff"}}'), ALONE)
case("S31", "surrogate-and-raw-surrogate",
     utf8(header(tensor(f"{MARK}\\ud83d"))).replace(b"\\ud83d", b"\\ud83d\xed\xb8\x80"), ALONE)
case("S31", "byte-order-mark", MARK + "\ufeff" + BASE, OBJECT)
case("S31", "byte-order-mark-behind", BASE + MARK + "\ufeff", END)
case("S31", "utf-16", b"{" + MARK.encode() + BASE.encode("utf-16-le")[1:], KEY)
case("S31", "utf-16-marked", MARK.encode() + BASE.encode("utf-16"), OBJECT)
case("S31", "zero-padding", BASE + MARK + "\0\0\0\0\0", END)
case("S31", "zero-before", MARK + "\0" + BASE, OBJECT)
case("S31", "no-padding", header(tensor("pair \\uD83D\\uDE00 and \\uFFFD")))
