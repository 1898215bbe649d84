#!/usr/bin/env python3
"""Write the seeds of tests/fuzz/corpus that are made, not found: small files of every
format, honest and lying. Run from the top: python3 tests/fuzz/make_corpus.py"""
import gzip
import io
import pathlib
import struct
import zipfile

TOP = pathlib.Path("tests/fuzz/corpus")


def put(folder, name, content):
    (TOP / folder).mkdir(parents=True, exist_ok=True)
    (TOP / folder / name).write_bytes(content if isinstance(content, bytes)
                                      else content.encode())


def idx(kind, shape, data):
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


put("idx", "images", idx(8, (2, 3, 2), bytes(range(12))))
put("idx", "labels", idx(8, (3,), bytes([7, 0, 7])))
put("idx", "f4", idx(0x0D, (1, 2), struct.pack(">2f", 1.5, -2)))
put("idx", "f8_nan", idx(0x0E, (2, 2), struct.pack(">4d", 1, 2, 3, float("nan"))))
put("idx", "i4", idx(0x0C, (2, 1), struct.pack(">2i", -5, 1 << 30)))
put("idx", "rank4", idx(9, (2, 1, 2, 1), b"\x01\xff\x7f\x80"))
put("idx", "overflow", idx(8, (0xFFFFFFFF,) * 4, b"abc"))
put("idx", "no_rows", idx(8, (0, 0xFFFFFFFF), b""))
put("idx", "tera", idx(14, (1 << 20, 1 << 20), b"12345678"))
put("idx", "gz", gzip.compress(idx(8, (2, 2, 2), bytes(8)), mtime=0))

put("ts", "plain", "@problemName p\n@classLabel true 1 2\n@data\n1,2,3:1\n4,?,6:2\n")
put("ts", "words", "# c\n@dimensions 2\n@classLabel true run walk\n@data\n1,2:3,4:run\n5:6:walk\n")
put("ts", "targets", "@targetlabel true\n@data\n1,2:0.5\nNaN,1,2,3,4,5:?\n")
put("ts", "dates", "@timestamps true\n@classLabel true 1\n@data\n"
    "(2007-01-01 00:00:00,1),(2007-01-02 00:00,2):1\n")
put("ts", "numbers", "@timestamps true\n@dimensions 2\n@data\n(1,1),(2,?):(1,3),(2,4)\n")
put("ts", "unequal", "@data\n1,2:3\n")
put("ts", "brackets", "@timestamps true\n@data\n(1,2),(((,)),3):(\n")
put("ts", "many_words", "@classLabel true " + " ".join(f"w{i}" for i in range(300)) + "\n@data\n1:w7\n")
put("ts", "no_data", "@problemName p\n@dimensions 99999999999\n")
put("ts", "commas", "@data\n" + "," * 500 + "1\n" + ":" * 200 + "\n")

PAIR = ("@relation r\n@attribute s relational\n@attribute t0 numeric\n@attribute t1 numeric\n"
        "@end s\n@attribute class {run,walk}\n@data\n")
put("arff", "plain", "@relation g\n@attribute a numeric\n@attribute b real\n"
    "@attribute target {1,2}\n@data\n1,2,1\n%c\n3,?,2\n")
put("arff", "relation", PAIR + "'1,2\\n3,4',run\n\"5,?\\n6,?\",walk\n")
put("arff", "quotes", "@relation 'a b'\n@attribute 'x y' numeric\n@attribute c {'u v',w}\n"
    "@data\n1,'u v'\n'2',w\n")
put("arff", "open_quote", PAIR + "'1,2\\n3,4\\',run\n")
put("arff", "sparse", "@relation r\n@attribute a numeric\n@data\n{0 1}\n")
put("arff", "types", "@relation r\n@attribute a string\n@attribute b date\n@data\nx,y\n")
put("arff", "no_end", "@relation r\n@attribute s relational\n@attribute a numeric\n")
put("arff", "rows", PAIR + "'" + "\\n".join(["1,2"] * 50) + "',run\n")


def npy(descr, shape, data):
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() + data


def npz(members, method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members.items():
            z.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return out.getvalue()


X = npy("<f8", "(2, 3)", struct.pack("<6d", *range(6)))
Y = npy("|u1", "(2,)", b"\x01\x00")
T = npy("<f4", "(3,)", struct.pack("<3f", 0, 1, 3))
ALL = {"x.npy": X, "y.npy": Y, "time.npy": T, "target.npy": npy("<f8", "(2,)", bytes(16))}
put("npz", "stored", npz(ALL, zipfile.ZIP_STORED))
put("npz", "deflated", npz(ALL, zipfile.ZIP_DEFLATED))
put("npz", "one", npz({"whatever.npy": X, "readme.txt": b"no"}, zipfile.ZIP_STORED))
put("npz", "none", npz({}, zipfile.ZIP_STORED))
BOMB = npz({"x.npy": npy("|u1", "(1, 20000)", bytes(20000))}, zipfile.ZIP_DEFLATED)
put("npz", "zeros", BOMB)
put("npz", "promises", BOMB.replace(struct.pack("<I", 20000 + len(npy("|u1", "(1, 20000)", b""))),
                                    struct.pack("<I", 0x7FFFFFFF)))
put("npz", "comment", npz(ALL, zipfile.ZIP_STORED)[:-2] + b"\x05\0abcde")
put("npz", "gz", gzip.compress(npz(ALL, zipfile.ZIP_STORED), mtime=0))

put("gzip", "table", gzip.compress(b"1\t2\t3\n2\t4\t5\n", mtime=0))
put("gzip", "twice", gzip.compress(gzip.compress(b"1 2\n", mtime=0), mtime=0))
put("gzip", "members", gzip.compress(b"1 2\n", mtime=0) * 3 + bytes(20))
put("gzip", "zeros", gzip.compress(bytes(100000), mtime=0))
put("gzip", "cut", gzip.compress(b"1\t2\t3\n2\t4\t5\n", mtime=0)[:-9])
put("gzip", "named", b"\x1f\x8b\x08\x1c" + bytes(6) + b"\x03\0ab0name\0comment\0" + b"\x03\0" + bytes(8))
put("gzip", "deflate", gzip.compress(b"abc" * 30, mtime=0)[10:-8])


def cards(*lines):
    text = "".join(f"{line:<80}" for line in lines + ("END",))
    return (text + " " * (-len(text) % 2880)).encode()


def table(rows, columns, *more):
    width = struct.calcsize(">" + "".join(c[2] for c in columns))
    lines = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", f"NAXIS1  = {width}",
             f"NAXIS2  = {len(rows)}", "PCOUNT  = 0", "GCOUNT  = 1",
             f"TFIELDS = {len(columns)}"]
    for k, (name, form, _) in enumerate(columns, 1):
        lines += [f"TTYPE{k}  = '{name}'", f"TFORM{k}  = '{form}'"]
    data = b"".join(struct.pack(">" + "".join(c[2] for c in columns), *row) for row in rows)
    return cards(*lines, *more) + data + bytes(-len(data) % 2880)


PRIMARY = cards("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0")
NAN = float("nan")
KEPLER = [("TIME", "1D", "d"), ("PDCSAP_FLUX", "1E", "f"), ("SAP_QUALITY", "1J", "i")]
PAIR2 = [("TIME", "D", "d"), ("A", "I", "h"), ("B", "1B", "B"), ("QUALITY", "J", "i")]
put("fits", "kepler", PRIMARY + table([(1, 5, 0), (2, NAN, 8), (NAN, 4, 0), (4, 6, 1)], KEPLER,
                                      "OBJECT  = 'KIC 1'"))
put("fits", "columns", PRIMARY + table([(1, 2, 3, 0), (2, 3, 4, 0)], PAIR2, "TSCAL2  = 0.5",
                                       "TZERO2  = 10", "TNULL3  = 4"))
put("fits", "tera", PRIMARY + cards("XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2",
    "NAXIS1  = 8", "NAXIS2  = 1099511627776", "PCOUNT  = 0", "GCOUNT  = 1", "TFIELDS = 1",
    "TTYPE1  = 'TIME'", "TFORM1  = 'D'"))
put("fits", "heap", PRIMARY + table([(1, 0, 0), (2, 0, 0)], [("TIME", "D", "d"),
    ("PDCSAP_FLUX", "1PE(3)", "i"), ("Q", "J", "i")]))
put("fits", "image", cards("SIMPLE  = T", "BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 2",
                           "NAXIS2  = 2") + bytes(2880))
put("fits", "no_end", PRIMARY[:-2880] + b"SIMPLE  = T" + b" " * 2869)
