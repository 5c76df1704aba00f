"""Makes the one library that Wine 8 lacks and that TLS libraries demand: a DLL without code that forwards a call.

BoringSSL (in curl_cffi) and Rust (in cryptography) take their random bytes from ProcessPrng of bcryptprimitives.dll,
and end the process without it. Wine's SystemFunction036 of advapi32.dll does the same under the older name.
"""

from __future__ import annotations

import struct

NAME = "bcryptprimitives.dll"
EXPORT = b"ProcessPrng\0"
TARGET = b"advapi32.SystemFunction036\0"
BASE, PAGE, SECTOR = 0x1_8000_0000, 0x1000, 0x200
DIRECTORY_BYTES = 40


def library() -> bytes:
    """Return the file: headers in the first sector, the table of exports in the second (PE format, 6.3)."""
    return _headers(len(_exports())).ljust(SECTOR, b"\0") + _exports().ljust(SECTOR, b"\0")


def _exports() -> bytes:
    functions = PAGE + DIRECTORY_BYTES
    names, ordinals = functions + 4, functions + 8
    name = functions + 10
    export = name + len(NAME) + 1
    target = export + len(EXPORT)  # an address inside the table: not code, but the name of where the call goes
    directory = struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, name, 1, 1, 1, functions, names, ordinals)
    return directory + struct.pack("<IIH", target, export, 0) + NAME.encode() + b"\0" + EXPORT + TARGET


def _headers(export_bytes: int) -> bytes:
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, 1, 0, 0, 0, 240, 0x2022)  # x64; an executable, a DLL
    standard = struct.pack("<HBBIIIII", 0x20B, 14, 0, 0, SECTOR, 0, 0, PAGE)
    windows = struct.pack("<QIIHHHHHHIIIIHH", BASE, PAGE, SECTOR, 6, 0, 0, 0, 6, 0, 0, 2 * PAGE, SECTOR, 0, 2, 0x100)
    sizes = struct.pack("<QQQQII", 0x10_0000, 0x1000, 0x10_0000, 0x1000, 0, 16)
    tables = struct.pack("<II", PAGE, export_bytes).ljust(128, b"\0")
    section = struct.pack("<8sIIIIIIHHI", b".rdata", export_bytes, PAGE, SECTOR, SECTOR, 0, 0, 0, 0, 0x4000_0040)
    return dos + coff + standard + windows + sizes + tables + section
