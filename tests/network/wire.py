"""A wire between network namespaces that delays, loses, slows down and cuts.

Each node is a namespace with one TAP device; all are joined in this one process, for
kernels without sch_netem, iptables and bridges.

  wire.py NAMESPACE...   (paths, such as /run/netns/a)

Node i gets the address 10.77.0.(i + 1). Prints "ready" when all devices are up. Each
line of standard input is a rule, in force at once, in JSON:

  {"from": 0, "to": [1, 2], "delay": 0.1, "jitter": 0.02, "loss": 0.05,
   "rate": 125000, "cut": false, "both": true}

for the packets from one node to others, and back unless "both" is false; delay in
seconds, and up to jitter more, which changes the order; loss as a probability, rate
in bytes a second (0: no limit). What is not named is 0. Ends with standard input.
"""
import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
CLONE_NEWNET = 0x40000000
FRAME = 2048  # more than an Ethernet frame of an MTU of 1500
BUFFERED = 0.5  # seconds of packets that a limited wire keeps before it drops

libc = ctypes.CDLL(None, use_errno=True)


def address(node):
    return f"10.77.0.{node + 1}"


def mac(node):
    return bytes([2, 0, 0, 0, 0, node + 1])


def enter(namespace):
    with open(namespace, "rb") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")


def open_tap(node, namespace):
    enter(namespace)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF,
                struct.pack("16sH22x", b"wire", IFF_TAP | IFF_NO_PI))
    hardware = ":".join(f"{byte:02x}" for byte in mac(node))
    for command in ("link set lo up", f"link set wire address {hardware}",
                    f"addr add {address(node)}/24 dev wire",
                    "link set wire up"):
        subprocess.run(["ip", *command.split()], check=True)
    return tap


class Direction:
    """The packets from one node to another."""

    def __init__(self):
        self.delay = self.jitter = self.loss = self.rate = 0.0
        self.cut = False
        self.free = 0.0  # when the packet before has left

    def arrival(self, size, now):
        """When a packet sent now arrives; None if it never does."""
        if self.cut or random.random() < self.loss:
            return None
        delay = self.delay + random.random() * self.jitter
        if not self.rate:
            return now + delay
        leaves = max(now, self.free)
        if leaves - now > BUFFERED:
            return None
        self.free = leaves + size / self.rate
        return self.free + delay


class Wire:
    def __init__(self, namespaces):
        self.taps = [open_tap(*node) for node in enumerate(namespaces)]
        self.directions = {pair: Direction() for pair in itertools.permutations(
            range(len(self.taps)), 2)}
        self.on_the_way = []
        self.sent = itertools.count()

    def obey(self, rule):
        others = rule["to"] if isinstance(rule["to"], list) else [rule["to"]]
        for other in others:
            pairs = [(rule["from"], other)]
            if rule.get("both", True):
                pairs.append((other, rule["from"]))
            for pair in pairs:
                direction = self.directions[pair]
                direction.delay = float(rule.get("delay", 0))
                direction.jitter = float(rule.get("jitter", 0))
                direction.loss = float(rule.get("loss", 0))
                direction.rate = float(rule.get("rate", 0))
                direction.cut = bool(rule.get("cut", False))

    def receive(self, source):
        for _ in range(64):
            try:
                packet = os.read(self.taps[source], FRAME)
            except BlockingIOError:
                return
            now = time.monotonic()
            for target in range(len(self.taps)):
                if target == source:
                    continue
                if not packet[0] & 1 and packet[:6] != mac(target):
                    continue  # to another node; the bit marks a broadcast
                arrives = self.directions[source, target].arrival(
                    len(packet), now)
                if arrives is not None:
                    heapq.heappush(self.on_the_way,
                                   (arrives, next(self.sent), target, packet))

    def deliver(self):
        while self.on_the_way and self.on_the_way[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(self.on_the_way)
            try:
                os.write(self.taps[target], packet)
            except OSError:
                pass  # its queue is full: lost, as on any wire

    def run(self):
        rules = b""
        while True:
            wait = None
            if self.on_the_way:
                wait = max(0.0, self.on_the_way[0][0] - time.monotonic())
            ready, _, _ = select.select([*self.taps, sys.stdin.fileno()], [], [],
                                        wait)
            for file in ready:
                if file != sys.stdin.fileno():
                    self.receive(self.taps.index(file))
                    continue
                more = os.read(file, 65536)
                if not more:
                    return
                *lines, rules = (rules + more).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))
            self.deliver()


if __name__ == "__main__":
    wire = Wire(sys.argv[1:])
    print("ready", flush=True)
    wire.run()
