"""Zip archives, put together field by field, and the records of a PyTorch file."""

import struct
import zlib

DATA = struct.pack("<4f", 1, 2, 3, 4)


class Record:
    """A record of a zip archive; keyword arguments overwrite fields: `l_` those of the local header."""

    def __init__(self, name, data, **fields):
        self.name = name if isinstance(name, bytes) else name.encode()
        self.data = data
        self.fields = fields


def padding(offset, name, extra=b""):
    """PyTorch's extra field, which aligns the bytes behind it to 64."""
    start = offset + 30 + len(name) + len(extra) + 4
    return b"FB" + struct.pack("<H", -start % 64) + b"Z" * (-start % 64)


def archive(records, torch=False, before=b"", gap=b"", after=b"", order=None, **end):
    """Joins records to an archive: as torch.save does, or as plain as can be.

    Keyword arguments overwrite fields of the end records: comment, disk, count, size, offset, and
    those of ZIP64 with the prefix w_.
    """
    body, directory = before, []
    for record in records:
        f = record.fields
        crc, size, at = (
            f.get("crc", zlib.crc32(record.data)),
            f.get("size", len(record.data)),
            len(body),
        )
        flags = f.get("flags", 0x808 if torch and record.data else 0)
        described = bool(flags & 8)
        l_extra = f.get("l_extra", b"")
        if torch:
            l_extra += padding(at, record.name, l_extra)
        l_name = f.get("l_name", record.name)
        body += (
            struct.pack(
                "<IHHHHHIIIHH",
                f.get("l_signature", 0x04034B50),
                f.get("l_version", 0),
                f.get("l_flags", flags),
                f.get("l_method", f.get("method", 0)),
                0,
                0,
                f.get("l_crc", 0 if described else crc),
                f.get("l_csize", 0 if described else size),
                f.get("l_usize", 0 if described else size),
                len(l_name),
                f.get("l_extralen", len(l_extra)),
            )
            + l_name
            + l_extra
            + record.data
        )
        if "descriptor" in f:
            body += f["descriptor"]
        elif described:
            body += struct.pack("<IIII", 0x08074B50, crc, size, size)
        body += f.get("gap", b"")
        extra, comment = f.get("extra", b""), f.get("comment", b"")
        directory.append(
            struct.pack(
                "<IHHHHHHIIIHHHHHII",
                f.get("signature", 0x02014B50),
                0,
                0,
                flags,
                f.get("method", 0),
                0,
                0,
                crc,
                f.get("csize", size),
                f.get("usize", size),
                len(record.name),
                len(extra),
                len(comment),
                f.get("disk", 0),
                0,
                0,
                f.get("offset", at),
            )
            + record.name
            + extra
            + comment
        )
    if order:
        directory = [directory[i] for i in order]
    body += gap
    start, directory = len(body), b"".join(directory) + end.get("directory_tail", b"")
    body += directory
    count = end.get("count", len(records))
    size, offset = end.get("size", len(directory)), end.get("offset", start)
    if torch or any(key.startswith("w_") for key in end):
        at = len(body)
        body += struct.pack(
            "<IQHHIIQQQQ",
            end.get("w_signature", 0x06064B50),
            end.get("w_length", 44),
            0x031E,
            45,
            end.get("w_disk", 0),
            0,
            end.get("w_count", len(records)),
            end.get("w_allcount", end.get("w_count", len(records))),
            end.get("w_size", len(directory)),
            end.get("w_offset", start),
        ) + end.get("w_between", b"")
        body += struct.pack(
            "<IIQI",
            end.get("w_locator", 0x07064B50),
            end.get("w_locator_disk", 0),
            end.get("w_locator_offset", at),
            end.get("w_disks", 1),
        )
    comment = end.get("comment", b"")
    body += (
        struct.pack(
            "<IHHHHIIH",
            end.get("signature", 0x06054B50),
            end.get("disk", 0),
            end.get("disk", 0),
            end.get("count_here", count),
            count,
            size,
            offset,
            end.get("comment_length", len(comment)),
        )
        + comment
    )
    return body + after


def records(pickle, storages=None, version=b"3\n", more=(), **fields):
    """The records of an archive; fields are for the storage `0`."""
    storages = {"0": DATA} if storages is None else storages
    return [
        Record("a/data.pkl", pickle),
        *(
            Record(f"a/data/{key}", data, **(fields if key == "0" else {}))
            for key, data in storages.items()
        ),
        *more,
        *([Record("a/version", version)] if version is not None else []),
    ]


def saved(pickle, storages=None, **kwargs):
    return archive(records(pickle, storages), **kwargs)
