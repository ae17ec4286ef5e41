"""Server and peers as processes, each on a node of a network of its own."""
import ctypes
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import time

import wire

PATIENCE = 120  # seconds after which what does not happen is a failure
PORT = 5555
os.environ["PATH"] += ":/usr/sbin"  # where Debian has ip

libc = ctypes.CDLL(None)


def in_namespaces():
    """Goes on as root of new user, mount and network namespaces; False where none
    can be made."""
    if os.environ.get("MDGAN_NETWORK_TEST") == "inside":
        return True
    probe = subprocess.run(
        ["unshare", "-rmn", "ip", "tuntap", "add", "mode", "tap"],
        capture_output=True, text=True)
    if probe.returncode != 0:
        print("no network namespaces with TAP devices can be made here: "
              f"{probe.stderr.strip()}")
        return False
    sys.stdout.flush()
    os.execvpe("unshare", ["unshare", "-rmn", sys.executable, *sys.argv],
               dict(os.environ, MDGAN_NETWORK_TEST="inside"))


def die_with_parent():
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def write_bars(directory, count, side):
    """MNIST's layout with grey images of bars whose place is the class."""
    directory.mkdir(parents=True, exist_ok=True)
    images = bytearray(struct.pack(">4I", 0x803, count, side, side))
    labels = bytearray(struct.pack(">2I", 0x801, count))
    for i in range(count):
        labels.append(i % 10)
        for y in range(side):
            for x in range(side):
                bar = (y + x // 4) % side == i % 10 % side
                images.append(255 - i % 32 if bar else 0)
    (directory / "train-images-idx3-ubyte").write_bytes(images)
    (directory / "train-labels-idx1-ubyte").write_bytes(labels)


def eventually(condition, patience=PATIENCE):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    return condition()


class Network:
    """Nodes 0 to n - 1 on one wire."""

    def __init__(self, nodes):
        # A namespace lives as long as a process in it.
        self.holders = [subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=die_with_parent) for _ in range(nodes)]
        for holder in self.holders:
            holder.stdout.readline()
        self.namespaces = [f"/proc/{h.pid}/ns/net" for h in self.holders]
        self.wire = subprocess.Popen(
            [sys.executable, wire.__file__, *self.namespaces],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent)
        if self.wire.stdout.readline() != "ready\n":
            raise RuntimeError("the wire does not come up")

    def rule(self, source, targets, **what):
        rule = {"from": source, "to": list(targets), **what}
        self.wire.stdin.write(json.dumps(rule) + "\n")
        self.wire.stdin.flush()

    def all(self, **what):
        for node in range(len(self.holders)):
            self.rule(node, range(node), **what)

    def command(self, node, command):
        return ["nsenter", f"--net={self.namespaces[node]}", *command]

    def close(self):
        for process in [self.wire, *self.holders]:
            process.kill()
            process.wait()


class Process:
    """A program whose output goes to a file, behind what is there."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=die_with_parent)

    def output(self):
        return self.log.read_text("utf-8", "replace")

    def wait(self):
        return self.process.wait(PATIENCE)


class Run:
    """A run in a folder: the server on node 0, peer i on node i + 1."""

    def __init__(self, programs, folder, network, side=8):
        self.programs = pathlib.Path(programs).resolve()
        self.folder = folder
        self.network = network
        self.directory = folder / "run"
        self.processes = []
        write_bars(folder / "data", 400, side)

    def place(self, node, command):
        return self.network.command(node, command) if self.network else command

    def host(self, node):
        return wire.address(node) if self.network else "127.0.0.1"

    def start(self, command, log):
        process = Process([str(word) for word in command], self.folder / log)
        self.processes.append(process)
        return process

    def server_command(self, *more):
        return self.place(0, [
            self.programs / "mdgan-server", "train", "--run-dir", self.directory,
            "--bind", f"tcp://{self.host(0)}:{PORT}", "--insecure",
            "--stats-every", 1,
            "--samples-every", 0, "--checkpoint-every", 0, "--swap-epochs", 0.5,
            "--seed", 5, *more])

    def peer_command(self, index, peers, *more):
        return self.place(index + 1, [
            self.programs / "mdgan-peer", "--server",
            f"tcp://{self.host(0)}:{PORT}", "--insecure",
            "--data", self.folder / "data",
            "--shard", f"{index}/{peers}", "--name", f"peer-{index}",
            "--state-dir", self.folder / "state", *more])

    def server(self, *more):
        return self.start(self.server_command(*more), "server.out")

    def peers(self, count, *more):
        return [self.start(self.peer_command(i, count, *more), f"peer{i}.out")
                for i in range(count)]

    def status(self):
        try:
            return json.loads((self.directory / "status.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def round(self):
        return self.status().get("round", 0)

    def member(self, index):
        for peer in self.status().get("peers", []):
            if peer["name"] == f"peer-{index}":
                return peer
        return {"presence": "unknown", "missed": 0, "owes": None}

    def advances(self, rounds):
        before = self.round()
        return eventually(lambda: self.round() >= before + rounds)

    def log(self):
        try:
            return (self.directory / "log.txt").read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def swaps(self):
        """The texts of the swaps that took place, and of those that did not."""
        notes = re.findall(r"swap after round .*", self.log())
        done = [note for note in notes if " among " in note]
        return done, [note for note in notes if " aborted" in note]

    def close(self):
        for process in self.processes:
            process.process.kill()
            process.process.wait()
