"""The safetensors files of mdgan-server: an 8-byte little-endian header length, a
JSON header with each tensor's dtype, shape and place, then the data without a gap.

A small reader of its own, so that PyTorch is all that is needed. It trusts
nothing: it allocates the header (at most 1 MiB) and, once that is found to agree
with the file's size, the tensors that are asked for.
"""
import json
import math
import os
import struct

import torch

MAX_HEADER_BYTES = 1 << 20
MAX_RANK = 8
DTYPES = {"F32": (torch.float32, 4), "I32": (torch.int32, 4),
          "I64": (torch.int64, 8)}


def is_count(value):
    """A whole number from 0; JSON's true and false are ints in Python."""
    return type(value) is int and value >= 0


def parse_json(text):
    """Like json.loads, but refuses a key that is there twice, and says every
    error as a ValueError."""
    def unique(pairs):
        keys = dict(pairs)
        if len(keys) < len(pairs):
            raise ValueError("has a key twice")
        return keys
    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON ({error})") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


class SafetensorsFile:
    """An open file whose header has been checked: `metadata` (of strings) and
    `shapes` (a tuple for each tensor's name). Use it in a `with` statement."""

    def __init__(self, path):
        """Raises ValueError, which names the file and what is wrong with it, and
        OSError where the file cannot be opened."""
        self.path = os.fspath(path)
        self._file = open(path, "rb")
        try:
            self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def read(self, prefix=""):
        """The tensors whose names begin with `prefix`, by the rest of their
        names."""
        return {name[len(prefix):]: self._tensor(name)
                for name in self.shapes if name.startswith(prefix)}

    def wrong(self, what):
        return ValueError(f"cannot use {self.path}: {what}")

    def _read_header(self):
        size = os.fstat(self._file.fileno()).st_size
        start = self._file.read(8)
        if len(start) < 8:
            raise self.wrong(f"it is truncated: {size} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > MAX_HEADER_BYTES:
            raise self.wrong(f"its header would be {length} bytes, more than "
                             f"{MAX_HEADER_BYTES}")
        text = self._file.read(length)
        if len(text) < length:
            raise self.wrong(f"it is truncated: a header of {length} bytes, a "
                             f"file of {size}")
        try:
            header = parse_json(text)
        except ValueError as error:
            raise self.wrong(f"its header {error}") from None
        if not isinstance(header, dict):
            raise self.wrong("its header is not a JSON object")
        self.metadata = header.pop("__metadata__", {})
        if not (isinstance(self.metadata, dict) and
                all(isinstance(value, str) for value in self.metadata.values())):
            raise self.wrong("its metadata is not an object of strings")
        self._entries = {name: self._entry(name, described)
                         for name, described in header.items()}
        self.shapes = {name: shape
                       for name, (_, shape, _, _) in self._entries.items()}
        self._begin = 8 + length
        self._check_places(size - self._begin)

    def _entry(self, name, described):
        """(dtype, shape, begin, end) of what the header says of a tensor."""
        def wrong(what):
            return self.wrong(f"tensor {name!r} {what}")
        if not isinstance(described, dict):
            raise wrong("is not described by an object")
        dtype = described.get("dtype")
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise wrong(f"has a dtype other than {', '.join(DTYPES)}")
        shape = described.get("shape")
        if not (isinstance(shape, list) and len(shape) <= MAX_RANK and
                all(map(is_count, shape))):
            raise wrong("has no valid shape")
        places = described.get("data_offsets")
        if not (isinstance(places, list) and len(places) == 2 and
                all(map(is_count, places)) and places[0] <= places[1]):
            raise wrong("has no valid data_offsets")
        begin, end = places
        needed = math.prod(shape) * DTYPES[dtype][1]
        if needed != end - begin:
            raise wrong(f"needs {needed} bytes but data_offsets give it "
                        f"{end - begin}")
        return DTYPES[dtype][0], tuple(shape), begin, end

    def _check_places(self, data_bytes):
        expected = 0
        for name, (_, _, begin, end) in sorted(
                self._entries.items(), key=lambda item: item[1][2:]):
            if begin != expected:
                raise self.wrong(f"tensor {name!r} begins at {begin} where "
                                 f"{expected} was expected")
            expected = end
        if expected != data_bytes:
            raise self.wrong(f"its header describes {expected} bytes of data, it "
                             f"has {data_bytes}")

    def _tensor(self, name):
        dtype, shape, begin, end = self._entries[name]
        if begin == end:
            return torch.empty(shape, dtype=dtype)
        data = bytearray(end - begin)
        self._file.seek(self._begin + begin)
        if self._file.readinto(data) < len(data):
            raise self.wrong("it became shorter while it was read")
        return torch.frombuffer(data, dtype=dtype).reshape(shape)
