"""Attacks on a server of images of 1x8x8 in batches of 10, each a function that goes on
until it is killed. tell() says how far it has come, so that whoever measures what it
costs knows that it has arrived."""
import collections
import itertools
import json
import os
import random
import secrets
import socket
import struct
import time

import msgpack
import zmq

HELLO, WELCOME, ROUND, FEEDBACK, SWAP, STAGED, ERROR = 1, 2, 3, 5, 6, 8, 14
SIDE, BATCH, SHARD = 8, 10, 130
CLASSES = [str(digit) for digit in range(10)]
SHAPES = [[1, [BATCH, 1, SIDE, SIDE]], [1, [BATCH]]]  # of a feedback's tensors


def tell(**counts):
    print(json.dumps(counts), flush=True)


def envelope(kind, fields, run=bytes(16), incarnation=0, round=0, peer=0):
    return msgpack.packb([3, 0, kind, run, incarnation, round, peer, fields])


def hello(name, shard=SHARD, held=0):
    return envelope(HELLO, [1, name, -1, shard, [1, SIDE, SIDE, 10],
                            "tcp://127.0.0.1:9", 77, [bytes(16), held, 0], [], [],
                            CLASSES, [1] * 10])


def dealer(endpoint):
    link = zmq.Context.instance().socket(zmq.DEALER)
    link.setsockopt(zmq.LINGER, 0)
    link.connect(endpoint)
    return link


def connection(endpoint):
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=5)


def answers(link, counts):
    """Counts what has come, by the kinds of messages."""
    while True:
        try:
            frame = link.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        try:
            kind = msgpack.unpackb(frame)[2]
        except (ValueError, TypeError, IndexError, msgpack.UnpackException):
            continue  # a frame of a batch
        counts[{WELCOME: "welcomed", ERROR: "refused", ROUND: "asked"}
               .get(kind, "other")] += 1


def until_killed(link, counts):
    while True:
        time.sleep(0.2)
        answers(link, counts)
        tell(**counts)


# --- strangers ------------------------------------------------------------------------

def crowd(endpoint, size):
    link, counts = dealer(endpoint), collections.Counter()
    link.setsockopt(zmq.SNDHWM, 0)
    mark = secrets.token_hex(4)
    for i in range(size):
        link.send(hello(f"{mark}-{i}"))
    counts["said"] = size
    until_killed(link, counts)


def names_300(endpoint):
    """300 names at once over one connection"""
    crowd(endpoint, 300)


def names_3000(endpoint):
    """3,000 names at once over one connection"""
    crowd(endpoint, 3000)


def names_13000(endpoint):
    """13,000 names at once over one connection"""
    crowd(endpoint, 13000)


def newcomers(endpoint):
    """ever new connections that ask to take part, 20 a second"""
    links, counts, mark = [], collections.Counter(), secrets.token_hex(4)
    for i in itertools.count(1):
        links.append(dealer(endpoint))
        links[-1].send(hello(f"{mark}-{i}"))
        time.sleep(0.05)
        for link in links[-40:]:
            answers(link, counts)
        if len(links) > 400:
            links.pop(0).close()
        tell(connections=i, **counts)


def unreadable(endpoint):
    """messages that cannot be read, from ever new connections"""
    counts = collections.Counter()
    while True:
        link = dealer(endpoint)
        for _ in range(200):
            link.send(secrets.token_bytes(60))
        time.sleep(0.02)
        answers(link, counts)
        link.close()
        counts["said"] += 200
        tell(**counts)


# ZMTP 3.0's greeting without keys, and who is there.
GREETING = (b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32) +
            b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER")


def raw(endpoint, chunks, pause):
    """Sends from ever new connections what chunks() gives until each is closed."""
    counts = collections.Counter()
    last = 0
    while True:
        counts["connections"] += 1
        try:
            with connection(endpoint) as link:
                for chunk in chunks():
                    link.sendall(chunk)
                    counts["bytes"] += len(chunk)
                link.settimeout(0.05)
                while link.recv(4096):
                    pass
        except TimeoutError:
            counts["left open"] += 1
        except OSError:
            counts["cut"] += 1
        if time.monotonic() > last + 0.2:
            last = time.monotonic()
            tell(**counts)
        time.sleep(pause)


def endless(endpoint):
    """a message whose parts never end"""
    part = b"\x03" + struct.pack(">Q", 60000) + bytes(60000)
    raw(endpoint, lambda: itertools.chain([GREETING], itertools.repeat(part)), 0)


def giant(endpoint):
    """frames that claim 2^62 bytes"""
    raw(endpoint, lambda: [GREETING, b"\x02" + struct.pack(">Q", 1 << 62) + bytes(10000)],
        0.01)


def http(endpoint):
    """HTTP requests"""
    raw(endpoint, lambda: [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20], 0.01)


def noise(endpoint):
    """random bytes, with and without a greeting"""
    raw(endpoint, lambda: [random.choice((b"", GREETING)), secrets.token_bytes(20000)],
        0.01)


def bombs(endpoint):
    """msgpack that claims 2^32 items, or a depth of thousands"""
    bodies = [b"\xdd\xff\xff\xff\xff", b"\x91" * 5000, b"\xc6\xff\xff\xff\xff",
              b"\xdf\xff\xff\xff\xff" + b"\xa0" * 100, b"\x98" + b"\x98" * 30000]

    def frames():
        yield GREETING
        for body in bodies:
            yield b"\x02" + struct.pack(">Q", len(body)) + body
    raw(endpoint, frames, 0.01)


def silent(endpoint):
    """500 connections that say nothing"""
    links = []
    while True:
        while len(links) < 500:
            links.append(connection(endpoint))
            links[-1].setblocking(False)
        time.sleep(0.2)
        for link in list(links):  # those that were told to go come back
            try:
                if not link.recv(4096):
                    links.remove(link)
            except BlockingIOError:
                pass
            except OSError:
                links.remove(link)
        tell(connections=len(links))


def connects(endpoint):
    """1,000 connects a second"""
    begun, made = time.monotonic(), 0
    while True:
        while made >= (time.monotonic() - begun) * 1000:
            time.sleep(0.001)
        connection(endpoint).close()
        made += 1
        if made % 200 == 0:
            tell(connects=made, a_second=round(made / (time.monotonic() - begun)))


# --- members --------------------------------------------------------------------------

class Member:
    """Takes part: says that it has its copy, and answers rounds; swaps it answers with
    silence. `claim`: a discriminator of round `claim`."""

    def __init__(self, endpoint, shard=SHARD):
        self.link, self.shard = dealer(endpoint), shard
        self.link.setsockopt(zmq.SNDHWM, 0)
        self.name = "hostile-" + secrets.token_hex(4)
        self.counts = collections.Counter()
        self.header = (bytes(16), 0, 0, 0)
        self.told = 0
        self.link.send(hello(self.name, shard))

    def feedback(self, images, generated, logits=bytes(4 * BATCH)):
        self.link.send(envelope(FEEDBACK, [generated, 0.7, 0.7, 0.001, SHAPES],
                                *self.header))
        self.link.send(images)
        self.link.send(logits)

    def take(self, on_round):
        """Handles the next frame."""
        frame = self.link.recv()
        try:
            _, _, kind, *header, fields = msgpack.unpackb(frame)
        except (ValueError, TypeError, msgpack.UnpackException):
            return  # a frame of a batch
        if kind in (WELCOME, ROUND, SWAP):
            self.header = header
        if kind == WELCOME:
            self.counts["welcomed"] += 1
        elif kind == ERROR:
            self.counts["refused"] += 1
            self.counts["error %d" % fields[0]] += 1
        elif kind == ROUND:
            self.counts["rounds"] += 1
            on_round(fields[0])
        elif kind == SWAP and not fields[1]:  # sends nothing: it is a copy
            self.link.send(envelope(STAGED, [fields[0], True, ""], *self.header))
        elif kind == SWAP:
            self.counts["swaps"] += 1
        if time.monotonic() > self.told + 0.2:
            self.told = time.monotonic()
            tell(**self.counts)


def constant(value):
    return struct.pack("<f", value) * (BATCH * SIDE * SIDE)


def member(endpoint, shard, images):
    m = Member(endpoint, shard)
    while True:
        m.take(lambda generated: m.feedback(images(), generated))


def small_shard(endpoint):
    """a member with a shard of one batch, which answers no swap"""
    member(endpoint, BATCH, lambda: constant(0))


def one_image(endpoint):
    """a member that claims a shard of one image"""
    member(endpoint, 1, lambda: constant(0))


def no_swaps(endpoint):
    """a member that answers no swap"""
    member(endpoint, SHARD, lambda: constant(0))


def poison(endpoint):
    """a member whose feedback is 1e6 everywhere"""
    member(endpoint, SHARD, lambda: constant(1e6))


def poison_within(endpoint):
    """a member whose feedback is wrong, and as long as the others'"""
    member(endpoint, SHARD, lambda: constant(random.choice((-1, 1)) * 2e-4))


def not_a_number(endpoint):
    """a member whose feedback is no number"""
    member(endpoint, SHARD, lambda: constant(float("nan")))


def mutated(endpoint):
    """a member that sends 500 mutated messages a second, too"""
    m = Member(endpoint)
    rng = random.Random(1)
    due = time.monotonic()
    while True:
        if m.link.poll(2):
            m.take(lambda generated: m.feedback(constant(1e-4), generated))
        while m.counts["rounds"] and time.monotonic() > due:
            due += 0.002
            message = bytearray(rng.choice((
                hello(m.name), envelope(STAGED, [1, True, ""], *m.header),
                envelope(FEEDBACK, [0, 0.7, 0.7, 0.001, SHAPES], *m.header))))
            for _ in range(rng.randint(1, 4)):
                message[rng.randrange(len(message))] = rng.randrange(256)
            if rng.random() < 0.3:
                del message[rng.randrange(len(message)):]
            m.link.send(bytes(message))
            m.counts["mutated"] += 1


def hellos(endpoint):
    """a member that says hello 2,000 times a second, each time with another D"""
    m = Member(endpoint)
    due, held = time.monotonic(), 0
    while True:
        if m.link.poll(1):
            m.take(lambda generated: m.feedback(constant(1e-4), generated))
        while m.counts["rounds"] and time.monotonic() > due:
            due += 0.0005
            held += 1
            m.link.send(hello(m.name, held=held))
            m.counts["hellos"] += 1


STRANGERS = (names_300, names_3000, names_13000, newcomers, unreadable, endless, giant,
             http, noise, bombs, silent, connects)
MEMBERS = (small_shard, one_image, no_swaps, poison, poison_within, not_a_number, mutated,
           hellos)
ATTACKS = {f.__name__: f for f in STRANGERS + MEMBERS}


def begin(name, endpoint):
    # Strangers run at the lowest priority, since what is measured is not their share of
    # the processor; members do not, since a round waits for their answers.
    os.nice(0 if ATTACKS[name] in MEMBERS else 19)
    ATTACKS[name](endpoint)
