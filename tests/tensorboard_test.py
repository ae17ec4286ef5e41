"""TensorBoard's event files of a run, read by another reader than who wrote them.

  tensorboard_test.py FOLDER_OF_MDGAN_SERVER

The records and their sums are read here by hand; the events by protobuf, with
TensorFlow's field numbers, where Debian's python3-protobuf is installed, else by
hand, too.
"""
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def crc32c(data):
    """Bit by bit, as RFC 3720 defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(file):
    """The events' bytes."""
    data = file.read_bytes()
    while data:
        head, data = data[:12], data[12:]
        length, of_length = struct.unpack("<QI", head)
        assert of_length == masked(head[:8]), f"{file}: a length's sum is wrong"
        event, data = data[:length], data[length:]
        of_event, = struct.unpack("<I", data[:4])
        assert of_event == masked(event), f"{file}: an event's sum is wrong"
        data = data[4:]
        yield event


def fields(data):
    """{number: [values]} of a message: wire types 0, 1, 2 and 5."""
    found = {}
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                assert kind == 2, f"wire type {kind}"
                size = varint()
            value = data[at:at + size]
            at += size
            if kind != 2:
                value, = struct.unpack("<d" if kind == 1 else "<f", value)
        found.setdefault(key >> 3, []).append(value)
    return found


def by_hand(data):
    event = fields(data)
    told = {"time": event[1][0], "step": event[2][0], "scalars": {}, "images": {}}
    if 3 in event:
        told["version"] = event[3][0].decode()
    if 7 in event:
        told["session"] = fields(event[7][0])[1][0]
    for summary in event.get(5, []):
        for value in map(fields, fields(summary).get(1, [])):
            tag = value[1][0].decode()
            if 2 in value:
                told["scalars"][tag] = value[2][0]
            if 4 in value:
                image = fields(value[4][0])
                told["images"][tag] = (image[1][0], image[2][0], image[3][0],
                                       image[4][0])
    return told


def protobuf_reader():
    """A reader made by protobuf of the messages' definitions; None without it."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        return None
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="event.proto", package="t", syntax="proto3")

    def message(name, *members):
        made = file.message_type.add(name=name)
        for number, field, kind, *rest in members:
            added = made.field.add(
                name=field, number=number, label=kinds.LABEL_REPEATED
                if "repeated" in rest else kinds.LABEL_OPTIONAL)
            if isinstance(kind, str):
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".t.{kind}"
            else:
                added.type = kind
    message("Image", (1, "height", kinds.TYPE_INT32), (2, "width", kinds.TYPE_INT32),
            (3, "colorspace", kinds.TYPE_INT32), (4, "png", kinds.TYPE_BYTES))
    message("Value", (1, "tag", kinds.TYPE_STRING), (2, "simple", kinds.TYPE_FLOAT),
            (4, "image", "Image"))
    message("Summary", (1, "value", "Value", "repeated"))
    message("SessionLog", (1, "status", kinds.TYPE_INT32))
    message("Event", (1, "wall_time", kinds.TYPE_DOUBLE), (2, "step", kinds.TYPE_INT64),
            (3, "file_version", kinds.TYPE_STRING), (5, "summary", "Summary"),
            (7, "session_log", "SessionLog"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = pool.FindMessageTypeByName("t.Event")
    made = (message_factory.GetMessageClass(kind)
            if hasattr(message_factory, "GetMessageClass")
            else message_factory.MessageFactory(pool).GetPrototype(kind))

    def read(data):
        event = made.FromString(data)
        told = {"time": event.wall_time, "step": event.step, "scalars": {},
                "images": {}}
        if event.file_version:
            told["version"] = event.file_version
        if event.HasField("session_log"):
            told["session"] = event.session_log.status
        for value in event.summary.value:
            if value.HasField("image"):
                image = value.image
                told["images"][value.tag] = (image.height, image.width,
                                             image.colorspace, image.png)
            else:
                told["scalars"][value.tag] = value.simple
        return told
    return read


def write_images(folder):
    """64 images of 8x8 in MNIST's format."""
    folder.mkdir()
    pixels = bytes((i * 7 + i // 64) % 256 for i in range(64 * 64))
    (folder / "train-images-idx3-ubyte").write_bytes(
        struct.pack(">IIII", 0x803, 64, 8, 8) + pixels)
    (folder / "train-labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 0x801, 64) + bytes(i % 10 for i in range(64)))


def train(server, run, data, rounds, *options):
    done = subprocess.run(
        [server, "train", "--data", data, "--local-peers", "2", "--batch", "4",
         "--run-dir", run, "--rounds", str(rounds), "--stats-every", "5",
         "--samples-every", "10", "--checkpoint-every", "10", *options],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def png_size(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    assert zlib.crc32(data[12:29]) == struct.unpack(">I", data[29:33])[0]
    width, height = struct.unpack(">II", data[16:24])
    return height, width


def main(binaries):
    server = pathlib.Path(binaries) / "mdgan-server"
    reader = protobuf_reader()
    if reader is None:
        print("python3-protobuf is not installed: events are read by hand alone")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_images(folder / "data")
        run = folder / "run"
        train(server, run, folder / "data", 20)
        assert not (run / "tensorboard").exists(), "written without being asked"
        train(server, run, folder / "data", 40, "--tensorboard")
        train(server, run, folder / "data", 60, "--tensorboard")
        files = sorted((run / "tensorboard").iterdir())
        assert len(files) == 2 and all("tfevents" in f.name for f in files), files
        lines = {}
        for line in (run / "stats.jsonl").read_text(encoding="utf-8").splitlines():
            lines[json.loads(line)["round"]] = json.loads(line)
        # One that was killed before its first rounds were saved begins at 1 again.
        fresh = folder / "fresh"
        train(server, fresh, folder / "data", 10, "--tensorboard")
        session = [by_hand(data) for data in
                   records(next((fresh / "tensorboard").iterdir()))][1]
        assert session.get("session") == 1 and session["step"] == 1, session
        for file, first in zip(files, (20, 40)):
            events = []
            for data in records(file):
                events.append(by_hand(data))
                if reader is not None:
                    assert reader(data) == events[-1], "the readers differ"
            assert events[0]["version"] == "brain.Event:2" and events[0]["step"] == 0
            # Whatever was written of later rounds is void from here on.
            assert events[1].get("session") == 1, events[1]
            assert events[1]["step"] == first + 1, events[1]["step"]
            steps = [e["step"] for e in events if e["scalars"]]
            assert steps == list(range(first + 5, first + 21, 5)), steps
            for event in events:
                for tag, key in (("loss/generator", "g_loss"),
                                 ("loss/discriminators", "d_loss"), ("peers", "peers")):
                    if event["scalars"]:
                        assert math.isclose(event["scalars"][tag],
                                            lines[event["step"]][key],
                                            rel_tol=1e-6), (tag, event["step"])
            pictures = {e["step"]: e["images"]["samples"]
                        for e in events if e["images"]}
            assert sorted(pictures) == [first + 10, first + 20], sorted(pictures)
            for step, (height, width, colours, png) in pictures.items():
                assert png == (run / "samples" / f"{step:06d}.png").read_bytes()
                assert (height, width) == png_size(png) and colours == 1
    print("TensorBoard's files are as another reader expects them")


if __name__ == "__main__":
    main(sys.argv[1])
