#!/usr/bin/env python3
"""events.py - reads an event file as TensorBoard does, with Google's protocol buffers; usage: events.py PROGRAM

PROGRAM writes scalars into the directory it is given and prints them. The messages are described by the field numbers of
TensorFlow's event.proto and summary.proto; the records are those of its record_reader: u64 length, masked CRC-32C of it,
bytes, masked CRC-32C of them. Unknown fields, which a wrong number would make, are refused. Skipped without the packages.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    from crc32c import crc32c
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError as missing:
    print(missing)
    sys.exit(77)


def message(file, name, fields):
    """fields: name, number, type, whether repeated"""
    made = file.message_type.add(name=name)
    for field, number, kind, repeated in fields:
        f = made.field.add(name=field, number=number, label=3 if repeated else 1)
        if isinstance(kind, str):
            f.type, f.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, kind
        else:
            f.type = kind


def event_class():
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="tensorflow", syntax="proto3")
    message(file, "Value", [("tag", 1, types.TYPE_STRING, False), ("simple_value", 2, types.TYPE_FLOAT, False)])
    message(file, "Summary", [("value", 1, ".tensorflow.Value", True)])
    message(file, "Event", [("wall_time", 1, types.TYPE_DOUBLE, False), ("step", 2, types.TYPE_INT64, False),
                            ("file_version", 3, types.TYPE_STRING, False), ("summary", 5, ".tensorflow.Summary", False)])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("tensorflow.Event"))


def records(data):
    def masked(part):
        crc = crc32c(part)
        return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    at = 0
    while at < len(data):
        head = data[at:at + 8]
        length = int.from_bytes(head, "little")
        body = data[at + 12:at + 12 + length]
        assert int.from_bytes(data[at + 8:at + 12], "little") == masked(head), f"offset {at}: checksum of the length"
        assert len(body) == length, f"offset {at}: {length} bytes are not there"
        assert int.from_bytes(data[at + 12 + length:at + 16 + length], "little") == masked(body), f"offset {at}: checksum"
        yield body
        at += 16 + length


def main():
    event = event_class()
    with tempfile.TemporaryDirectory() as directory:
        told = subprocess.run([sys.argv[1], directory], check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
        files = list(Path(directory).glob("events.out.tfevents.*"))
        assert len(files) == 1, files
        read = [event.FromString(body) for body in records(files[0].read_bytes())]
    assert read[0].file_version == "brain.Event:2", read[0]
    lines, before = [], 0
    for e in read[1:]:
        plain = event(wall_time=e.wall_time, step=e.step, summary=e.summary)
        assert e.SerializeToString() == plain.SerializeToString(), f"unknown fields: {e}"
        assert e.wall_time >= before > -1 and e.wall_time > 1.7e9, e.wall_time
        before = e.wall_time
        lines += [f"{v.tag} {e.step} {v.simple_value:.9g}" for v in e.summary.value]
    assert lines == told, f"\n{lines}\n{told}"


main()
