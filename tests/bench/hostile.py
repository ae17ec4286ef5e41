#!/usr/bin/env python3
"""Attacks a server that trains with two honest peers, and tells what that costs:
rounds/s before, during and after, how much memory the server and the peers take
more, and how many lines their logs have more. Strangers run at the lowest
priority, since what is measured is not their share of the processor; members do not,
since a round waits for their answers."""
import argparse
import json
import os
import pathlib
import secrets
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import msgpack
import zmq

from kill_server import write_data

HELLO, ROUND, FEEDBACK, SWAP, STAGED = 1, 3, 5, 6, 8
SIDE, BATCH = 8, 10


def envelope(kind, fields, run=bytes(16), incarnation=0, round=0, peer=0):
    return msgpack.packb([2, 0, kind, run, incarnation, round, peer, fields])


def hello(name, shard=1000):
    return envelope(HELLO, [1, name, 0, shard, [1, SIDE, SIDE, 10],
                            "tcp://127.0.0.1:9", secrets.randbits(64),
                            [bytes(16), 0, 0], [], []])


def dealer(endpoint):
    link = zmq.Context.instance().socket(zmq.DEALER)
    link.setsockopt(zmq.LINGER, 0)
    link.connect(endpoint)
    return link


def host_and_port(endpoint):
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return host, int(port)


# --- attacks: each goes on until it is killed ---------------------------------------

def names(endpoint):
    """13,000 names over one connection, then silence"""
    link = dealer(endpoint)
    for i in range(13000):
        link.send(hello(f"stranger-{i}"))
    while True:
        time.sleep(1)


def newcomers(endpoint):
    """ever new connections that ask to take part, 20 a second"""
    links = []
    while True:
        links.append(dealer(endpoint))
        links[-1].send(hello(f"newcomer-{len(links)}"))
        time.sleep(0.05)
        if len(links) > 400:
            links.pop(0).close()


def unreadable(endpoint):
    """messages that cannot be read, from ever new connections"""
    while True:
        link = dealer(endpoint)
        for i in range(200):
            link.send(secrets.token_bytes(60))
        time.sleep(0.02)
        link.close()


def endless(endpoint):
    """a message whose parts never end"""
    link, part = dealer(endpoint), bytes(60000)
    while True:
        link.send(part, zmq.SNDMORE)


def silent(endpoint):
    """500 connections that say nothing"""
    links = [socket.create_connection(host_and_port(endpoint)) for _ in range(500)]
    while links:
        time.sleep(1)


def connects(endpoint):
    """up to 1,000 connects a second"""
    while True:
        with socket.create_connection(host_and_port(endpoint)):
            time.sleep(0.001)


def http(endpoint):
    """HTTP requests"""
    while True:
        with socket.create_connection(host_and_port(endpoint)) as link:
            link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            time.sleep(0.01)


def member(endpoint, shard, value):
    """Takes part: says that it has its copy, answers rounds with `value`, and
    swaps with silence."""
    link = dealer(endpoint)
    link.send(hello("hostile", shard))
    tensors = [[1, [BATCH, 1, SIDE, SIDE]], [1, [BATCH]]]
    images = (struct.pack("<f", value) *
              (BATCH * SIDE * SIDE))
    while True:
        frame = link.recv()
        try:
            _, _, kind, run, incarnation, round, peer, fields = \
                msgpack.unpackb(frame)
        except (ValueError, TypeError, msgpack.UnpackException):
            continue  # a frame of a batch
        if kind == ROUND:
            link.send(envelope(FEEDBACK, [fields[0], 0.7, 0.7, 0.001, tensors],
                               run, incarnation, round, peer))
            link.send(images)
            link.send(bytes(4 * BATCH))
        elif kind == SWAP and not fields[1]:  # sends nothing: it is a copy
            link.send(envelope(STAGED, [fields[0], True, ""], run, incarnation,
                               round, peer))


def small_shard(endpoint):
    """a member that claims a shard of one batch"""
    member(endpoint, BATCH, 0.0)


def no_swaps(endpoint):
    """a member that answers no swap"""
    member(endpoint, 1000, 0.0)


def poison(endpoint):
    """a member whose feedback is 1e6 everywhere"""
    member(endpoint, 1000, 1e6)


ATTACKS = {f.__name__: f for f in (names, newcomers, unreadable, endless, silent,
                                   connects, http, small_shard, no_swaps, poison)}

MEMBERS = (small_shard, no_swaps, poison)


# --- measuring ----------------------------------------------------------------------

class Victims:
    def __init__(self, programs, folder):
        self.run = folder / "run"
        self.logs = folder / "logs"
        self.logs.mkdir()
        write_data(folder / "data", side=SIDE)
        server = self.start("server", [
            programs / "mdgan-server", "train", "--bind", "tcp://127.0.0.1:*",
            "--min-peers", "2", "--rounds", "100000000", "--samples-every", "0",
            "--checkpoint-every", "1000", "--stats-every", "1000",
            "--batch", str(BATCH), "--swap-epochs", "5", "--run-dir", self.run])
        self.processes = [server]
        self.endpoint = self.wait_for("endpoint")
        for i in (0, 1):
            self.processes.append(self.start(f"peer-{i}", [
                programs / "mdgan-peer", "--server", self.endpoint, "--data",
                folder / "data", "--shard", f"{i}/2", "--name", f"peer-{i}",
                "--state-dir", folder / "state"]))
        while self.status().get("round", 0) < 100:
            time.sleep(0.2)

    def start(self, name, command):
        output = (self.logs / name).open("w")
        return subprocess.Popen(command, stdout=output, stderr=output)

    def status(self):
        try:
            return json.loads((self.run / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def wait_for(self, key):
        while not self.status().get(key):
            time.sleep(0.1)
        return self.status()[key]

    def rate(self, seconds):
        """Rounds/s, and the most memory in MiB meanwhile: server, all peers."""
        first, begun, most = self.status()["round"], time.monotonic(), [0, 0]
        while time.monotonic() < begun + seconds:
            time.sleep(0.25)
            memory = [self.memory(p) for p in self.processes]
            most = [max(most[0], memory[0]), max(most[1], sum(memory[1:]))]
        return ((self.status()["round"] - first) / (time.monotonic() - begun), most)

    @staticmethod
    def memory(process):
        text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    def lines(self):
        return sum(len(p.read_bytes().splitlines()) for p in self.logs.iterdir())

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def attack(name, programs, seconds):
    with tempfile.TemporaryDirectory() as folder:
        victims = Victims(programs, pathlib.Path(folder))
        try:
            victims.rate(3)  # warm
            before, memory = victims.rate(seconds)
            lines = victims.lines()
            attacker = subprocess.Popen(
                [sys.executable, __file__, "--attack", name, victims.endpoint],
                preexec_fn=lambda: os.nice(0 if ATTACKS[name] in MEMBERS else 19),
                stderr=subprocess.DEVNULL)
            during, more = victims.rate(seconds)
            attacker.send_signal(signal.SIGKILL)
            attacker.wait()
            after, _ = victims.rate(seconds)
            print(f"| {ATTACKS[name].__doc__} | {before:.0f} | {during:.0f} | "
                  f"{after:.0f} | {during / before:.2f} | "
                  f"{more[0] - memory[0]:.0f} | {more[1] - memory[1]:.0f} | "
                  f"{victims.lines() - lines} |", flush=True)
        finally:
            victims.stop()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("attacks", nargs="*", default=list(ATTACKS),
                        metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--bin", type=pathlib.Path,
                        default=pathlib.Path("build/release/bin"))
    parser.add_argument("--seconds", type=float, default=15,
                        help="of each of the three measurements")
    parser.add_argument("--attack", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        ATTACKS[options.attack[0]](options.attack[1])
        return
    unknown = set(options.attacks) - set(ATTACKS)
    if unknown:
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    print("| attack | rounds/s before | during | after | during : before | "
          "server MiB | peers MiB | log lines |\n|---|---|---|---|---|---|---|---|",
          flush=True)
    for name in options.attacks:
        attack(name, options.bin.resolve(), options.seconds)


if __name__ == "__main__":
    main()
