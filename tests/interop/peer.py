#!/usr/bin/env python3
"""An MD-GAN peer in Python, written from protocol/PROTOCOL.md alone.

A worked example for whoever writes a peer in another language: one process, one
session, the model `mlp` with every loss and condition, on images in MNIST's file
format. Needs pyzmq, msgpack, numpy and PyTorch (Debian: python3-zmq
python3-msgpack python3-numpy python3-torch). Prints one line of JSON at its end;
exits with 0 when the run was completed or stopped.

    peer.py --server tcp://HOST:PORT --data DIR [--shard 0/4] [--name NAME]
"""

import argparse
import gzip
import hashlib
import json
import math
import os
import secrets
import signal
import socket as system_socket
import struct
import sys
import time

import msgpack
import numpy
import torch
import torch.nn.functional as F
import zmq

FRAME = 1 << 20
TYPES = ["hello", "welcome", "round", "batch", "feedback", "swap", "transfer",
         "staged", "commit", "abort", "checkpoint", "progress", "goodbye", "error"]
# Fields of the messages that a peer receives; a newer server may append more.
FIELDS = {"welcome": 10, "round": 3, "batch": 2, "swap": 11, "transfer": 6,
          "commit": 1, "abort": 2, "checkpoint": 1, "progress": 4, "goodbye": 3,
          "error": 3}
# As numpy has no bfloat16, its bits are held in 16-bit numbers.
DTYPES = {number: numpy.dtype(code) for number, code in
          ((1, "<f4"), (2, "<i4"), (4, "<u2"), (5, "u1"), (6, "i1"))}
NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
CODECS = ["image-uint8", "feedback-bfloat16", "feedback-int8", "swap-bfloat16"]
FRESH, KEEP, RESTORE, RECEIVE = 1, 2, 3, 4
REASONS = {1: "done", 2: "stopped", 3: "leaving", 4: "failed"}
(MALFORMED, VERSION, MISMATCH, NAME_IN_USE, UNKNOWN_PEER, STATE, FULL,
 SET_ASIDE) = range(1, 9)


# --- messages: sections 2 and 3 -------------------------------------------------

def to_frames(name, header, fields, tensors=()):
    """The frames of a message; header is (run, incarnation, round, peer)."""
    arrays = [numpy.ascontiguousarray(t) for t in tensors]
    if arrays:
        fields = fields + [[[NUMBERS[a.dtype], list(a.shape)] for a in arrays]]
    frames = [msgpack.packb([3, 0, TYPES.index(name) + 1, *header, fields])]
    for array in arrays:
        data = array.tobytes()
        frames += [data[i:i + FRAME] for i in range(0, len(data), FRAME)]
    return frames


def from_envelope(frame):
    """(name, header, fields), or None for a type that we do not know. Raises
    ValueError for what breaks the protocol."""
    if len(frame) > 40960:
        raise ValueError("the envelope is too large")
    envelope = msgpack.unpackb(frame)
    if not isinstance(envelope, list) or len(envelope) < 2 or envelope[0] != 3:
        raise ValueError("not version 3 of the protocol")
    _, _, number, *header, fields = envelope
    if not 1 <= number <= len(TYPES):
        return None
    name = TYPES[number - 1]
    if len(header) != 4 or name not in FIELDS or len(fields) < FIELDS[name]:
        raise ValueError(f"not a {name} that a peer may get")
    return name, header, fields[:FIELDS[name]]


class Incoming:
    """The unfinished message of one connection: section 2."""

    def __init__(self):
        self.message, self.sizes, self.frames = None, [], []

    def take(self, frame):
        """The message that this frame completes: (name, header, fields, arrays)."""
        if self.sizes and len(frame) == self.sizes[0]:
            self.sizes.pop(0)
            self.frames.append(frame)
        else:  # what was unfinished is given up
            self.message, self.sizes, self.frames = from_envelope(frame), [], []
            if self.message is None:
                return None
            self.tensors = []
            if self.message[0] in ("batch", "transfer"):
                self.tensors = self.message[2].pop()
            for dtype, dims in self.tensors:
                size = math.prod(dims) * DTYPES[dtype].itemsize
                if min(dims, default=1) < 1 or size > 1 << 31:
                    raise ValueError("a tensor's dimensions are beyond the limits")
                self.sizes += [min(FRAME, size - i) for i in range(0, size, FRAME)]
        if self.sizes:
            return None
        return *self.message, self.arrays()

    def arrays(self):
        arrays, data = [], b"".join(self.frames)
        for dtype, dims in self.tensors:
            size = math.prod(dims) * DTYPES[dtype].itemsize
            array = numpy.frombuffer(data[:size], DTYPES[dtype]).reshape(dims)
            data = data[size:]
            if dtype == 4:
                array = from_bfloat16(array)
            if not numpy.isfinite(array).all():
                raise ValueError("a tensor is not finite")
            arrays.append(array)
        return arrays


# --- codecs: section 11 ---------------------------------------------------------

def to_bfloat16(values):
    """The nearest, ties to even; of finite values."""
    bits = numpy.ascontiguousarray(values, "<f4").view("<u4")
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype("<u2")


def from_bfloat16(values):
    return (values.astype("<u4") << 16).view("<f4")


def to_int8(samples):
    """(values, scales), stochastically rounded."""
    rows = samples.reshape(len(samples), -1)
    scales = (numpy.abs(rows).max(1) / 127).astype("<f4")
    steps = rows / numpy.where(scales > 0, scales, 1)[:, None]
    values = numpy.floor(steps + numpy.random.random(steps.shape))
    return values.clip(-127, 127).astype("i1").reshape(samples.shape), scales


# --- the model and its training: sections 7, 9 and 10 ---------------------------

class Spec:
    def __init__(self, fields):
        (self.model, self.image, self.condition, self.loss, self.r1, self.r2,
         self.gradient_penalty, self.adam, self.batch, self.local_steps,
         self.seed, self.swap_optimizer) = fields[:12]
        self.classes = fields[16]  # what its labels mean


class Discriminator:
    """`mlp` with its optimiser; all parameters in one flat vector."""

    def __init__(self, spec):
        channels, height, width, classes = spec.image
        outputs = 1 + classes if spec.condition == "acgan" else 1
        self.spec = spec
        self.shapes = {"fc1.weight": [512, channels * height * width],
                       "fc1.bias": [512], "fc2.weight": [512, 512],
                       "fc2.bias": [512], "fc3.weight": [outputs, 512],
                       "fc3.bias": [outputs]}
        if spec.condition == "projection":
            self.shapes["embedding.weight"] = [classes, 512]
        text = "".join(f"{name} float32 {'x'.join(map(str, shape))}\n"
                       for name, shape in self.shapes.items())
        self.schema = hashlib.sha256(text.encode()).digest()
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.initialise()

    def initialise(self):
        self.flat = torch.empty(sum(self.sizes))
        fan_in = 0
        for view, shape in zip(self.flat.split(self.sizes), self.shapes.values()):
            fan_in = shape[1] if len(shape) == 2 else fan_in
            view.uniform_(-fan_in ** -0.5, fan_in ** -0.5)
        self.flat.requires_grad_()
        self.moments = [torch.zeros_like(self.flat) for _ in range(2)]
        self.steps = 0

    def __call__(self, x, y):
        """x [n, c, h, w], y [n] or None -> logits [n], class logits [n, classes]."""
        p = {name: view.view(shape) for (name, shape), view in
             zip(self.shapes.items(), self.flat.split(self.sizes))}
        h = F.leaky_relu(F.linear(x.flatten(1), p["fc1.weight"], p["fc1.bias"]), 0.2)
        h = F.leaky_relu(F.linear(h, p["fc2.weight"], p["fc2.bias"]), 0.2)
        out = F.linear(h, p["fc3.weight"], p["fc3.bias"])
        logits = out[:, 0]
        if self.spec.condition == "projection":
            logits = logits + (p["embedding.weight"][y] * h).sum(1)
        return logits, out[:, 1:]

    def loss(self, real, real_y, fake, fake_y):
        spec = self.spec
        real = real.detach().requires_grad_()
        fake = fake.detach().requires_grad_()
        y_r, classes_r = self(real, real_y)
        y_f, classes_f = self(fake, fake_y)
        if spec.loss in ("non-saturating", "saturating"):
            loss = F.softplus(-y_r).mean() + F.softplus(y_f).mean()
        elif spec.loss == "hinge":
            loss = F.relu(1 - y_r).mean() + F.relu(1 + y_f).mean()
        elif spec.loss == "relativistic":
            loss = F.softplus(y_f - y_r).mean()
        else:  # wgan-gp
            u = torch.rand(len(real), 1, 1, 1)
            x = (u * real + (1 - u) * fake).detach().requires_grad_()
            norm = input_gradient(self(x, real_y)[0], x).norm(dim=1)
            loss = (y_f.mean() - y_r.mean()
                    + spec.gradient_penalty * (norm - 1).square().mean())
        if spec.condition == "acgan":
            loss = (loss + F.cross_entropy(classes_r, real_y)
                    + F.cross_entropy(classes_f, fake_y))
        for gamma, logits, x in ((spec.r1, y_r, real), (spec.r2, y_f, fake)):
            if gamma > 0:
                gradient = input_gradient(logits, x)
                loss = loss + gamma / 2 * gradient.square().sum(1).mean()
        return loss

    def learn(self, *batches):
        """L steps of Adam; the mean loss."""
        rate, beta1, beta2, epsilon = self.spec.adam
        total = 0.0
        for _ in range(self.spec.local_steps):
            loss = self.loss(*batches)
            gradient, = torch.autograd.grad(loss, self.flat)
            self.steps += 1
            first, second = self.moments
            first.mul_(beta1).add_(gradient, alpha=1 - beta1)
            second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            root = (second / (1 - beta2 ** self.steps)).sqrt() + epsilon
            with torch.no_grad():
                self.flat -= rate / (1 - beta1 ** self.steps) * first / root
            total += loss.item()
        return total / self.spec.local_steps

    def feedback(self, x, y, real, real_y):
        """(dLoss_G/dx, logits, Loss_G); D itself is left alone."""
        x = x.detach().requires_grad_()
        logits, classes = self(x, y)
        loss = {"non-saturating": lambda: F.softplus(-logits),
                "saturating": lambda: -F.softplus(logits),
                "relativistic": lambda: F.softplus(
                    self(real, real_y)[0].detach() - logits)}.get(
                        self.spec.loss, lambda: -logits)().mean()
        if self.spec.condition == "acgan":
            loss = loss + F.cross_entropy(classes, y)
        gradient, = torch.autograd.grad(loss, x)
        return gradient.numpy(), logits.detach().numpy(), loss.item()

    def state(self):
        moments = self.moments if self.spec.swap_optimizer else []
        return [t.detach().numpy() for t in [self.flat, *moments]]

    def load(self, arrays, steps):
        with torch.no_grad():
            for mine, theirs in zip([self.flat, *self.moments], arrays):
                mine.copy_(torch.from_numpy(theirs.copy()))
        if len(arrays) == 3:
            self.steps = steps


def input_gradient(logits, x):
    return torch.autograd.grad(logits.sum(), x, create_graph=True)[0].flatten(1)


# --- data ------------------------------------------------------------------------

def read_idx(directory, name):
    for path, opener in ((name, open), (name + ".gz", gzip.open)):
        path = os.path.join(directory, path)
        if os.path.exists(path):
            with opener(path, "rb") as file:
                data = file.read()
            rank = data[3]
            shape = struct.unpack_from(f">{rank}I", data, 4)
            return numpy.frombuffer(data, "u1", offset=4 + 4 * rank).reshape(shape)
    sys.exit(f"peer.py: no {name} or {name}.gz in {directory}")


class Data:
    def __init__(self, directory, index, count):
        self.images = read_idx(directory, "train-images-idx3-ubyte")[index::count]
        self.labels = read_idx(directory, "train-labels-idx1-ubyte")[index::count]
        self.names = [str(digit) for digit in range(10)]
        self.places = torch.arange(10)  # of the names in the run's list

    def draw(self, count):
        at = numpy.random.randint(len(self.images), size=count)
        images = torch.from_numpy(self.images[at]).float().unsqueeze(1)
        labels = torch.from_numpy(self.labels[at]).long()
        return images / 127.5 - 1, self.places[labels]


# --- the session: sections 1, 6 and 8 --------------------------------------------

class Leave(Exception):
    """Ends the session: (reason, whether all is well)."""


class Peer:
    SILENCE, HELLO_AGAIN, NAME_WAIT = 15.0, 2.0, 60.0

    def __init__(self, server, listen, name, index, data):
        self.server, self.name, self.index, self.data = server, name, index, data
        self.context = zmq.Context()
        self.listener = self.socket(zmq.ROUTER)
        self.listener.bind(listen)
        self.endpoint = self.listener.get_string(zmq.LAST_ENDPOINT)
        self.endpoint = self.endpoint.replace("//0.0.0.0:", "//*:")
        self.nonce = secrets.randbits(64)
        self.run, self.incarnation, self.id = bytes(16), 0, 0
        self.d = None            # the discriminator
        self.codecs = ()         # those of the run
        self.held_round = 0      # the last round it was trained in
        self.discriminator = 0   # its name
        self.staged = None       # what an exchange brought: (state, held)
        self.outgoing = {}       # swap -> (socket, when it may be closed)
        self.counts = {"rounds": 0, "swaps_sent": 0, "swaps_received": 0}
        self.name_in_use_since = None
        self.incoming = {}       # unfinished messages, by connection
        self.dealer = None
        self.connect()

    def socket(self, kind):
        socket = self.context.socket(kind)
        for option, value in ((zmq.LINGER, 0), (zmq.MAXMSGSIZE, FRAME + 512),
                              (zmq.HEARTBEAT_IVL, 5000),
                              (zmq.HEARTBEAT_TIMEOUT, 30000),
                              (zmq.HEARTBEAT_TTL, 60000),
                              (zmq.HANDSHAKE_IVL, 10000), (zmq.TCP_KEEPALIVE, 1)):
            socket.setsockopt(option, value)
        if kind == zmq.DEALER:
            socket.setsockopt(zmq.CONNECT_TIMEOUT, 5000)
            socket.setsockopt(zmq.RECONNECT_IVL, 200)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 30000)
        return socket

    def connect(self):
        if self.dealer is not None:
            self.dealer.close()
        self.dealer = self.socket(zmq.DEALER)
        self.incoming.pop((), None)
        self.dealer.setsockopt(zmq.IMMEDIATE, 1)
        self.dealer.connect(self.server)
        self.heard = time.monotonic()
        self.greet(soon=True)

    def greet(self, soon):
        """Nothing said before counts: no open round, no exchange."""
        self.state = "greeting"
        self.round = self.swap = self.early = None
        self.batches = {}
        self.hello_due = time.monotonic() + (0.0 if soon else self.HELLO_AGAIN)

    def send(self, name, fields, tensors=(), round=None):
        header = (self.run, self.incarnation,
                  self.held_round if round is None else round, self.id)
        self.send_frames(to_frames(name, header, fields, tensors))

    def send_frames(self, frames):
        try:
            for frame in frames:
                self.dealer.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            pass  # no connection: silence will lead to a new hello

    def held(self):
        if self.d is None:
            return [bytes(16), 0, 0]
        return [self.run, self.held_round, self.discriminator]

    def say_hello(self):
        _, height, width = self.data.images.shape
        self.send_frames(to_frames("hello", (bytes(16), 0, 0, 0), [
            1, self.name, self.index, len(self.data.images),
            [1, height, width, 10], self.endpoint, self.nonce,
            self.held(), [self.staged[1]] if self.staged else [], CODECS,
            self.data.names,
            numpy.bincount(self.data.labels, minlength=10).tolist()]))
        self.hello_due = time.monotonic() + self.HELLO_AGAIN

    def serve(self):
        while True:
            now = time.monotonic()
            if now - self.heard > self.SILENCE:
                self.connect()
            if self.state == "greeting" and now >= self.hello_due:
                self.say_hello()
            for swap in [s for s, (_, end) in self.outgoing.items() if end < now]:
                self.outgoing.pop(swap)[0].close()
            zmq.select([self.dealer, self.listener], [], [], 0.2)
            self.receive(self.listener, self.from_peer)
            self.receive(self.dealer, self.from_server)

    def receive(self, socket, handle):
        while True:
            try:
                *connection, frame = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                incoming = self.incoming.setdefault(tuple(connection), Incoming())
                message = incoming.take(frame)
                if message is not None:
                    handle(*message)
            except (ValueError, TypeError, KeyError, IndexError,
                    zmq.ZMQError) as error:
                print(f"peer.py: a message is dropped: {error}", file=sys.stderr)

    def from_server(self, name, header, fields, arrays):
        self.heard = time.monotonic()
        run, incarnation, round, peer = header
        if name == "welcome":
            self.on_welcome(run, incarnation, peer, *fields)
        elif name == "error":
            self.on_error(*fields)
        elif name == "goodbye":
            reason = REASONS.get(fields[0], "failed")
            raise Leave(reason, reason in ("done", "stopped"))
        elif self.state == "greeting" or (run, incarnation) != (self.run,
                                                               self.incarnation):
            return
        elif name == "batch":
            if self.round is not None and self.round[0] == round:
                self.batches[fields[0]] = arrays
                self.advance_round()
        elif peer != self.id:
            return
        elif name == "round" and self.staged is not None:
            self.greet(soon=True)  # the end of the exchange did not arrive
        elif name == "round" and self.state == "ready":
            self.round, self.batches = (round, *fields[:2]), {}
        elif name == "swap":
            self.on_swap(round, *fields)
        elif name in ("commit", "abort"):
            self.on_end_of_swap(name, round, *fields)
        # checkpoint and progress: this peer saves nothing and shows nothing

    def on_welcome(self, run, incarnation, peer, session, spec, schema, parameters,
                   rounds, start, restore, discriminator, codecs, warning):
        if warning:
            print(f"peer.py: the server warns: {warning}", file=sys.stderr)
        if self.state == "ready" or session != 1:
            return
        spec = Spec(spec)
        if spec.classes:
            self.data.places = torch.tensor(
                [spec.classes.index(name) for name in self.data.names])
        for codec in codecs:
            if codec not in CODECS:
                raise Leave(f"this peer does not know the codec {codec}", False)
        self.codecs = codecs
        if spec.model != "mlp":
            raise Leave(f"this peer does not know the model {spec.model}", False)
        staged, self.staged = self.staged, None
        if start == RESTORE and staged and staged[1] == [run, restore,
                                                         discriminator]:
            self.d.load(*staged[0])  # the commit did not arrive
            self.counts["swaps_received"] += 1
            self.held_round = restore
        elif start in (FRESH, RECEIVE):
            self.d, self.held_round = Discriminator(spec), 0
        elif self.d is None or start == RESTORE:
            raise Leave("the server asks for a discriminator never offered", False)
        self.discriminator = discriminator
        self.run, self.incarnation, self.id = run, incarnation, peer
        if self.d.schema != schema or len(self.d.flat) != parameters:
            raise Leave("the discriminator's schema is not the server's", False)
        self.state = "receiving" if start == RECEIVE else "ready"
        self.name_in_use_since = None

    def on_error(self, code, text, session):
        print(f"peer.py: the server says: {text}", file=sys.stderr)
        now = time.monotonic()
        if code == UNKNOWN_PEER:
            self.greet(soon=True)
        elif code == NAME_IN_USE:
            self.name_in_use_since = self.name_in_use_since or now
            if now - self.name_in_use_since > self.NAME_WAIT:
                raise Leave(text, False)
        elif code in (VERSION, MISMATCH, FULL, SET_ASIDE):
            raise Leave(text, False)

    def advance_round(self):
        round, generated, discriminated = self.round
        if not {generated, discriminated} <= self.batches.keys():
            return
        fake, fake_y = self.check_batch(self.batches[discriminated])
        x, y = self.check_batch(self.batches[generated])
        self.round, self.batches = None, {}
        began = time.monotonic()
        loss_d = self.d.learn(*self.data.draw(self.d.spec.batch), fake, fake_y)
        feedback, logits, loss_g = self.d.feedback(
            x, y, *self.data.draw(self.d.spec.batch))
        self.held_round = round
        if not (numpy.isfinite(feedback).all() and math.isfinite(loss_d)):
            raise Leave("the discriminator has diverged", False)
        tensors = [feedback, logits]
        if "feedback-bfloat16" in self.codecs:
            tensors = [to_bfloat16(feedback), logits]
        elif "feedback-int8" in self.codecs:
            values, scales = to_int8(feedback)
            tensors = [values, logits, scales]
        self.send("feedback", [generated, loss_d, loss_g,
                               time.monotonic() - began], tensors, round)
        self.counts["rounds"] += 1

    def check_batch(self, arrays):
        spec = self.d.spec
        shapes = [(spec.batch, *spec.image[:3])]
        if spec.condition != "none":
            shapes.append((spec.batch,))
        if [a.shape for a in arrays] != shapes:
            raise ValueError("a batch does not have the run's shape")
        if (arrays[0].dtype == "u1") != ("image-uint8" in self.codecs):
            raise ValueError("a batch does not have the run's type")
        images = torch.from_numpy(arrays[0].astype("f4"))
        if "image-uint8" in self.codecs:
            images = images / 127.5 - 1
        if len(arrays) == 1:
            return images, None
        return images, torch.from_numpy(arrays[1].astype("i8"))

    def on_swap(self, round, swap, sends, target, endpoint, send_token, receives,
                source, receive_token, discriminator, target_key, source_key):
        if receives:
            self.swap = (swap, receive_token, source)
            self.coming, self.staged = [self.run, round, discriminator], None
        if sends:
            server_host = self.server[len("tcp://"):].rsplit(":", 1)[0]
            socket = self.socket(zmq.DEALER)
            socket.connect(endpoint.replace("//*:", f"//{server_host}:"))
            header = (self.run, self.incarnation, self.held_round, target)
            steps = self.d.steps if self.d.spec.swap_optimizer else 0
            state = self.d.state()
            if "swap-bfloat16" in self.codecs:
                state = [to_bfloat16(tensor) for tensor in state]
            for frame in to_frames(
                    "transfer", header,
                    [swap, send_token, self.id, steps, self.d.schema], state):
                socket.send(frame)
            self.outgoing[swap] = (socket, time.monotonic() + 60)
            self.counts["swaps_sent"] += 1
        if receives and self.early is not None:
            early, self.early = self.early, None
            self.stage(*early)

    def from_peer(self, name, header, fields, arrays):
        if name != "transfer" or header[:2] != [self.run, self.incarnation]:
            return
        if header[3] != self.id:
            return
        if self.swap is None:
            self.early = (fields, arrays)  # its swap message is on the way
        else:
            self.stage(fields, arrays)

    def stage(self, fields, arrays):
        swap, token, source, steps, schema = fields
        if (swap, token, source) != self.swap or self.staged is not None:
            return  # somebody else's, or a second one
        lengths = [len(self.d.flat)] * (3 if self.d.spec.swap_optimizer else 1)
        fits = bool(schema == self.d.schema and [a.shape for a in arrays] ==
                [(n,) for n in lengths] and (len(arrays) < 3 or arrays[2].min() >= 0))
        if fits:
            self.staged = ((arrays, steps), self.coming)
        self.send("staged", [swap, fits, "" if fits else "schema or sizes differ"])

    def on_end_of_swap(self, name, round, swap, reason=""):
        if swap in self.outgoing:
            self.outgoing.pop(swap)[0].close()
        if self.swap is None or self.swap[0] != swap:
            return
        if name == "commit" and self.staged is not None:
            self.d.load(*self.staged[0])
            self.discriminator = self.coming[2]
            self.counts["swaps_received"] += 1
            if self.state == "receiving":
                self.state, self.held_round = "ready", round
        self.swap = self.staged = None

    def close(self, goodbye=None):
        if goodbye is not None:
            self.dealer.setsockopt(zmq.LINGER, 1000)
            self.send("goodbye", goodbye)
        self.context.destroy(linger=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True, metavar="tcp://HOST:PORT")
    parser.add_argument("--data", required=True, help="a directory like MNIST's")
    parser.add_argument("--shard", default="0/1", metavar="i/N",
                        help="use every N-th image from the i-th on")
    parser.add_argument("--name", default=f"{system_socket.gethostname()}-py")
    parser.add_argument("--listen", default="tcp://*:0",
                        help="where other peers' discriminators arrive")
    options = parser.parse_args()
    index, count = map(int, options.shard.split("/"))
    peer = Peer(options.server, options.listen, options.name,
                index if count > 1 else -1, Data(options.data, index, count))
    goodbye, ok = None, False
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        peer.serve()
    except Leave as leave:
        reason, ok = leave.args
        if reason not in REASONS.values():
            goodbye = [4, reason[:500], False]
    except KeyboardInterrupt:
        reason, goodbye = "leaving", [3, "", False]
    peer.close(goodbye)
    print(json.dumps({**peer.counts, "reason": reason}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
