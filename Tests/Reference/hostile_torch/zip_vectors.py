"""What is in the archive, and the archive itself."""

import struct
import zlib

from pickle_bytes import GOOD
from zip_bytes import *


def write(add):
    def pieces(**kwargs):
        return records(GOOD, **kwargs)

    # A: what is in the archive.
    add("A01-no-pickle", archive([r for r in pieces() if r.name != b"a/data.pkl"]))
    add("A01-two-folders", archive([*pieces()[:2], Record("b/version", b"3\n")]))
    add("A01-no-folder", archive([Record("data.pkl", GOOD)]))
    add("A01-unknown-record", archive(pieces(more=[Record("a/extra.txt", b"x")])))
    add("A01-folder-in-data", archive(pieces(more=[Record("a/data/1/2", b"x")])))
    add(
        "A01-hidden-records-ok",
        archive(
            pieces(
                more=[
                    Record("a/.format_version", b"1"),
                    Record("a/.storage_alignment", b"64"),
                    Record("a/.data/serialization_id", b"1"),
                ]
            )
        ),
    )
    add(
        "A01-program",
        archive(
            pieces(more=[Record("a/code/__torch__.py", b"x"), Record("a/constants.pkl", b"x")])
        ),
    )
    add(
        "A01-exported", archive([Record("a/models/model.json", b"{}"), Record("a/version", b"0\n")])
    )
    for name, version in {
        "1-ok": b"1",
        "10-ok": b"10\n",
        "0": b"0\n",
        "11": b"11\n",
        "text": b"three",
        "empty": b"",
        "2-64": b"18446744073709551616\n",
        "two-lines": b"3\n\n",
        "long": b"3" * 65,
    }.items():
        add(f"A02-version-{name}", archive(pieces(version=version)))
    add("A02-no-version", archive(pieces(version=None)))
    for name, order in {
        "little-ok": b"little",
        "big": b"big",
        "empty": b"",
        "other": b"LITTLE",
    }.items():
        add(f"A03-{name}", archive(pieces(more=[Record("a/byteorder", order)])))
    bad = 0x12345678
    add("A04-pickle-checksum", archive([Record("a/data.pkl", GOOD, crc=bad), *pieces()[1:]]))
    add("A04-version-checksum", archive([*pieces()[:2], Record("a/version", b"3\n", crc=bad)]))
    add("A04-byteorder-checksum", archive(pieces(more=[Record("a/byteorder", b"little", crc=bad)])))
    add("A04-storage-checksum", archive(pieces(crc=bad)))
    add("A04-no-checksums", archive([Record(r.name, r.data, crc=0) for r in pieces()], torch=True))
    add("A04-unused-checksum-ok", archive(pieces(more=[Record("a/data/1", b"unused", crc=bad)])))
    add("A05-before-1.6", bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + b"\x80\x02M\xe9\x03.")
    add("A05-bare-pickle-2", GOOD)
    add("A05-bare-pickle-4", b"\x80\x04\x95" + bytes(8) + b"N.")
    add("A05-tar", b"sys_info".ljust(100, b"\0") + bytes(412))

    # Z: the archive itself.
    add("Z01-as-torch-ok", archive(pieces(), torch=True))
    add("Z01-plain-ok", archive(pieces()))
    add("Z01-zip64-end-ok", archive(pieces(), w_count=3))
    add(
        "Z01-zip64-end-all-ones-ok",
        archive(pieces(), w_count=3, count=0xFFFF, size=0xFFFFFFFF, offset=0xFFFFFFFF),
    )
    add("Z01-directory-in-other-order-ok", archive(pieces(), order=(2, 0, 1)))
    add("Z02-only-end", archive([]))
    add("Z02-21-bytes", archive([])[:-1])
    good = archive(pieces())
    add("Z02-cut", good[:-1])
    add("Z02-cut-half", good[: len(good) // 2])
    add("Z02-signature", archive(pieces(), signature=0x06054B51))
    add("Z03-byte-before", archive(pieces(), before=b"\0"))
    add("Z03-archive-before", good + good)
    add("Z03-shell-script-before", b"#!/bin/sh\n" + good)
    add("Z03-byte-behind", archive(pieces(), after=b"\0"))
    add("Z03-end-record-behind", good + good[-22:])
    add("Z03-comment", archive(pieces(), comment=b"hello"))
    add("Z03-comment-announced", archive(pieces(), comment_length=5))
    add("Z03-archive-in-comment", archive(pieces(), comment=good))
    add("Z04-disk", archive(pieces(), disk=1))
    add("Z04-count-here", archive(pieces(), count_here=2))
    add("Z04-record-on-disk-1", archive(pieces(disk=1)))
    add("Z04-zip64-disk", archive(pieces(), w_disk=1))
    add("Z04-zip64-two-disks", archive(pieces(), w_disks=2))
    add("Z05-directory-offset-less", archive(pieces(), offset=len(good) - 300))
    add("Z05-directory-offset-2-32", archive(pieces(), offset=0xFFFFFFFF))
    add("Z05-directory-size-more", archive(pieces(), size=400))
    add("Z05-directory-size-0", archive(pieces(), size=0))
    add("Z05-directory-tail", archive(pieces(), directory_tail=b"\0"))
    add("Z05-count-less", archive(pieces(), count=2))
    add("Z05-count-more", archive(pieces(), count=4))
    add("Z05-count-65534", archive(pieces(), count=0xFFFE))
    add("Z05-entry-signature", archive(pieces(signature=0x02014B51)))
    add("Z06-zip64-signature", archive(pieces(), w_signature=0x06064B51))
    add("Z06-zip64-length", archive(pieces(), w_length=45))
    add("Z06-zip64-extensible", archive(pieces(), w_length=52, w_between=bytes(8)))
    add("Z06-zip64-locator-offset", archive(pieces(), w_locator_offset=0))
    add("Z06-zip64-locator-2-64", archive(pieces(), w_locator_offset=(1 << 64) - 1))
    add("Z06-zip64-count-differs", archive(pieces(), w_count=4))
    add("Z06-zip64-counts-differ", archive(pieces(), w_count=3, w_allcount=4))
    add("Z06-zip64-size-differs", archive(pieces(), w_size=10))
    add("Z06-zip64-offset-differs", archive(pieces(), w_offset=10))
    add("Z06-zip64-count-2-64", archive(pieces(), w_count=(1 << 64) - 1, count=0xFFFF))
    add("Z06-zip64-size-2-64", archive(pieces(), w_size=(1 << 64) - 1, size=0xFFFFFFFF))
    add("Z06-zip64-offset-2-63", archive(pieces(), w_offset=1 << 63, offset=0xFFFFFFFF))
    add("Z06-zip64-in-20-bytes", struct.pack("<IIQI", 0x07064B50, 0, 0, 1) + archive([]))
    add("Z07-gap", archive(pieces(gap=b"\0")))
    add("Z07-record-in-gap", archive(pieces(gap=good[: good.index(b"PK\x03\x04", 4)])))
    add("Z07-gap-before-directory", archive(pieces(), gap=b"\0"))
    add(
        "Z07-overlap",
        archive(
            [
                *pieces()[:2],
                Record("a/data/1", DATA, offset=good.index(b"PK\x03\x04", 4)),
                pieces()[2],
            ]
        ),
    )
    add(
        "Z07-overlap-inside",
        archive(
            [
                *pieces()[:2],
                Record("a/data/1", b"", offset=good.index(b"PK\x03\x04", 4) + 4),
                pieces()[2],
            ]
        ),
    )
    add("Z07-offset-beyond", archive(pieces(offset=1 << 31)))
    add("Z07-offset-not-a-header", archive(pieces(offset=5)))
    add("Z08-name-twice", archive(pieces(more=[Record("a/data/0", DATA)])))
    add("Z08-pickle-twice", archive([Record("a/data.pkl", GOOD), *pieces()]))
    add("Z08-other-local-name", archive(pieces(l_name=b"a/data/1")))
    add("Z08-longer-local-name", archive(pieces(l_name=b"a/data/01")))
    for name, text_ in {
        "empty": "",
        "absolute": "/a/data/1",
        "parent": "a/../data/1",
        "dot": "a/./1",
        "two-slashes": "a//1",
        "folder": "a/data/",
        "backslash": "a\\data\\1",
        "control": "a/data/1\n",
        "zero": "a/data/1\0.txt",
    }.items():
        add(f"Z09-name-{name}", archive(pieces(more=[Record(text_, b"")])))
    add("Z09-name-not-UTF-8", archive(pieces(more=[Record(b"a/data/\xff", b"")])))
    add("Z09-name-UTF-8-ok", archive(pieces(more=[Record("a/data/é", b"")])))
    for name, kwargs in {
        "deflated": dict(method=8),
        "method-1": dict(method=1),
        "local-method": dict(l_method=8),
        "sizes-differ": dict(csize=15),
        "usize-differs": dict(usize=17),
    }.items():
        add(f"Z10-{name}", archive(pieces(**kwargs)))
    for name, flags in {
        "encrypted": 1,
        "strong": 0x41,
        "masked": 1 << 13,
        "bit-1": 2,
        "patched": 1 << 5,
        "bit-15": 1 << 15,
    }.items():
        add(f"Z11-{name}", archive(pieces(flags=flags)))
    add("Z11-local-flags", archive(pieces(l_flags=1)))
    add("Z11-UTF-8-ok", archive(pieces(flags=1 << 11)))
    crc = zlib.crc32(DATA)
    for name, kwargs in {
        "local-signature": dict(l_signature=0x04034B51),
        "local-checksum": dict(l_crc=0),
        "local-size": dict(l_csize=15, l_usize=15),
        "local-size-0": dict(l_csize=0, l_usize=0),
        "local-usize": dict(l_usize=0),
        "local-size-2-32": dict(l_csize=0xFFFFFFFF, l_usize=0xFFFFFFFF),
        "size-more": dict(size=1000),
        "size-2-32-1": dict(size=0xFFFFFFFE),
        "size-less": dict(size=15),
    }.items():
        add(f"Z12-{name}", archive(pieces(**kwargs)))
    for name, descriptor in {
        "ok": struct.pack("<IIII", 0x08074B50, crc, 16, 16),
        "missing": b"",
        "no-signature": struct.pack("<III", crc, 16, 16),
        "checksum": struct.pack("<IIII", 0x08074B50, crc ^ 1, 16, 16),
        "size": struct.pack("<IIII", 0x08074B50, crc, 15, 16),
        "usize": struct.pack("<IIII", 0x08074B50, crc, 16, 15),
        "long": struct.pack("<IIQQ", 0x08074B50, crc, 16, 16),
    }.items():
        add(f"Z13-descriptor-{name}", archive(pieces(flags=8, descriptor=descriptor)))
    add(
        "Z13-descriptor-repeats-header-ok",
        archive(pieces(flags=8, l_crc=crc, l_csize=16, l_usize=16)),
    )
    add(
        "Z13-descriptor-contradicts-header",
        archive(pieces(flags=8, l_crc=crc, l_csize=15, l_usize=16)),
    )
    at = good.index(b"PK\x03\x04", 4)
    wide = lambda *n: struct.pack("<HH", 1, 8 * len(n)) + struct.pack(f"<{len(n)}Q", *n)
    long_descriptor = struct.pack("<IIQQ", 0x08074B50, crc, 16, 16)
    for name, kwargs in {
        "sizes-ok": dict(csize=0xFFFFFFFF, usize=0xFFFFFFFF, extra=wide(16, 16)),
        "offset-ok": dict(offset=0xFFFFFFFF, extra=wide(at)),
        "all-ok": dict(
            csize=0xFFFFFFFF, usize=0xFFFFFFFF, offset=0xFFFFFFFF, extra=wide(16, 16, at)
        ),
        "local-ok": dict(l_csize=0xFFFFFFFF, l_usize=0xFFFFFFFF, l_extra=wide(16, 16)),
        "local-differs": dict(l_csize=0xFFFFFFFF, l_usize=0xFFFFFFFF, l_extra=wide(16, 15)),
        "missing": dict(csize=0xFFFFFFFF, usize=0xFFFFFFFF),
        "one-missing": dict(csize=0xFFFFFFFF, usize=0xFFFFFFFF, extra=wide(16)),
        "not-announced": dict(extra=wide(16)),
        "empty": dict(extra=wide(), usize=0xFFFFFFFF, csize=0xFFFFFFFF),
        "twice": dict(extra=wide() + wide()),
        "four": dict(extra=wide(1, 2, 3, 4)),
        "odd": dict(extra=struct.pack("<HH", 1, 7) + bytes(7)),
        "size-2-63": dict(csize=0xFFFFFFFF, usize=0xFFFFFFFF, extra=wide(1 << 63, 1 << 63)),
        "size-differs": dict(csize=0xFFFFFFFF, usize=0xFFFFFFFF, extra=wide(16, 17)),
        "offset-2-64": dict(offset=0xFFFFFFFF, extra=wide((1 << 64) - 1)),
        "local-repeats-ok": dict(l_extra=wide(16, 16)),
        "local-other-number": dict(l_extra=wide(17)),
        "descriptor-ok": dict(flags=8, l_extra=wide(16, 0), descriptor=long_descriptor),
        "descriptor-offset-ok": dict(flags=8, l_extra=wide(at), descriptor=long_descriptor),
        "descriptor-short": dict(flags=8, l_extra=wide(16, 0)),
        "descriptor-other-number": dict(flags=8, l_extra=wide(17, 0), descriptor=long_descriptor),
        "descriptor-size": dict(
            flags=8,
            l_extra=wide(16, 0),
            descriptor=struct.pack("<IIQQ", 0x08074B50, crc, 16, 1 << 40),
        ),
    }.items():
        add(f"Z14-zip64-{name}", archive(pieces(**kwargs)))
    for name, kwargs in {
        "padding-ok": dict(l_extra=b"FB\2\0ZZ"),
        "padding-in-directory-ok": dict(extra=b"FB\0\0"),
        "padding-twice": dict(l_extra=b"FB\0\0FB\0\0"),
        "other": dict(l_extra=b"UT\1\0\0"),
        "second-name": dict(extra=struct.pack("<HHBI", 0x7075, 6, 1, 0) + b"b"),
        "cut": dict(l_extra=b"FB\3\0ZZ"),
        "cut-head": dict(extra=b"FB\0"),
        "length": dict(l_extralen=1000),
        "into-data": dict(l_extralen=4),
        "comment": dict(comment=b"x"),
    }.items():
        add(f"Z15-extra-{name}", archive(pieces(**kwargs)))
