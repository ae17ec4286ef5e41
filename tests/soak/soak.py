#!/usr/bin/env python3
"""Trains for a time under faults, and ends with a verdict.

The server and its peers are killed (SIGKILL) at random instants and started again by
the same command lines; packets are lost; once half of the peers are cut off, and once
the disk of the run is full. Exit code 0: no violation; 1: violations, which are
listed.
"""
import argparse
import json
import math
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "network"))
import programs

PARTITION = 40  # seconds
FULL_DISK = 20
BACK = 60  # seconds after which a server that was started again has to train
STALL = 120  # seconds without a round that are a violation
GROWTH = 64  # MB that a process may grow
LARGEST_LOSS = 100
SETTLED = 15  # seconds after which a process's memory is its memory at the start


def resident(pid):
    """Resident memory of a process in MB; 0 if it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmRSS:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else 0


def newest_checkpoint(run):
    names = [file.name for file in (run / "checkpoints").glob("*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


class Supervised:
    """A process that is started again, whatever ends it."""

    def __init__(self, soak, name, command):
        self.soak, self.name, self.command = soak, name, command
        self.killed = False
        self.memory = None  # at the start; then the newest
        self.largest = self.newest = 0.0
        self.due = None
        self.start()

    def start(self):
        log = self.soak.run.folder / f"{self.name}.out"
        self.said = log.stat().st_size if log.exists() else 0
        self.process = self.soak.run.start(self.command, log.name)
        self.started = time.monotonic()
        self.due = None
        self.checkpoint = newest_checkpoint(self.soak.run.directory)
        self.seen = False  # it trains, or will be complained of once
        self.saw_full_disk = False

    @property
    def pid(self):
        return self.process.process.pid

    def kill(self):
        self.killed = True
        self.process.process.kill()

    def logged_round(self):
        """The round that this process's output names last; 0 if none."""
        with open(self.process.log, "rb") as log:
            log.seek(self.said)
            rounds = re.findall(rb"round (\d+)/", log.read())
        return int(rounds[-1]) if rounds else 0

    def watch(self):
        now = time.monotonic()
        self.saw_full_disk |= self.soak.filled is not None
        if self.due is not None:
            if now >= self.due:
                self.start()
            return
        code = self.process.process.poll()
        if code is None:
            if now - self.started > SETTLED:
                self.newest = resident(self.pid) or self.newest
                self.memory = self.memory or self.newest
                self.largest = max(self.largest, self.newest)
            return
        full = self.name == "server" and code == 7 and self.saw_full_disk
        if not (code == -signal.SIGKILL and self.killed) and not full:
            self.soak.violation(f"{self.name} ended with {code}")
        self.killed = False
        self.due = now + 1

    def verdict(self):
        return (f"{self.name} {self.memory or 0:.0f} MB at the start, "
                f"{self.newest:.0f} at the end, {self.largest:.0f} at most")


class Soak:
    def __init__(self, options, folder, network):
        self.options = options
        self.network = network
        self.faults = {}
        self.violations = []
        self.kills = []  # of peers: name, when, whether it had a checkpoint
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.filled = None  # the file that fills the disk
        self.has_disk = bool(network) and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", self.disk]
        ).returncode == 0
        self.run = programs.Run(options.bin, folder, network)
        self.run.directory = self.disk / "run"
        if network:
            network.all(loss=options.loss)
        else:
            print("no packets are lost, no partition and no full disk here")
        peers = options.peers
        self.server = Supervised(self, "server", self.run.server_command(
            "--min-peers", peers, "--rounds", 1000000000, "--checkpoint-every",
            20, "--stats-every", 5, "--round-timeout", 10))
        self.peers = [
            Supervised(self, f"peer{i}", self.run.peer_command(i, peers))
            for i in range(peers)]
        self.begun = self.advanced = time.monotonic()
        self.round = self.trained = 0
        self.look_at_log = 0.0

    def say(self, text):
        print(f"{time.monotonic() - self.begun:6.1f} s  round {self.round}: "
              f"{text}", flush=True)

    def violation(self, text):
        self.violations.append(text)
        self.say(f"VIOLATION {text}")

    def fault(self, kind, text):
        self.faults[kind] = self.faults.get(kind, 0) + 1
        self.say(text)

    def kill_one(self):
        victim = random.choice([self.server, *self.peers])
        if victim.due is None:
            kind = "server" if victim is self.server else "peer"
            self.fault(f"kills of a {kind}", f"{victim.name} is killed")
            victim.kill()
            name = victim.name.replace("peer", "peer-")
            saved = self.run.folder / "state" / name
            if kind == "peer":
                self.kills.append((name, time.strftime("%H:%M:%S"), any(
                    saved.glob("*/[0-9]*/manifest.json"))))

    def partition(self, cut):
        half = range(1, 1 + len(self.peers) // 2)
        rest = [0, *range(1 + len(self.peers) // 2, 1 + len(self.peers))]
        for node in half:
            self.network.rule(node, rest, cut=cut, loss=self.options.loss)
        if cut:
            self.fault("partitions", "half of the peers are cut off")
        else:
            self.say("the partition is healed")

    def fill(self):
        try:
            while self.filled.write(bytes(1 << 16)):
                pass
        except OSError:
            pass

    def watch_server(self):
        now = time.monotonic()
        status = self.run.status()
        if status.get("pid") == self.server.pid and status["incarnation"]:
            self.reached(status["round"])
        # status.json is not written while the disk is full; the output is elsewhere.
        if now >= self.look_at_log:
            self.look_at_log = now + 1
            if logged := self.server.logged_round():
                self.reached(logged)
        if now - self.server.started > BACK and not self.server.seen:
            self.violation(f"the server is not back after {BACK} s")
            self.server.seen = True  # is said once
        if now - self.advanced > STALL:
            self.violation(f"no round for {STALL} s")
            self.advanced = now

    def reached(self, round):
        """The server that runs now tells a round of its own."""
        if not self.server.seen:
            self.server.seen = True
            if round < self.server.checkpoint:
                self.violation(f"round {round} after the checkpoint of "
                               f"{self.server.checkpoint}")
            self.round = round
        if round > self.round:
            self.trained += round - self.round
            self.round, self.advanced = round, time.monotonic()

    def go(self):
        length = 60 * self.options.minutes
        end = self.begun + length
        events = []
        if self.network:
            start = self.begun + 0.35 * length
            events += [(start, lambda: self.partition(True)),
                       (start + PARTITION, lambda: self.partition(False))]
        if self.has_disk:
            start = self.begun + 0.65 * length
            events += [(start, self.fill_disk),
                       (start + FULL_DISK, self.empty_disk)]
        kill = self.begun + random.expovariate(1 / self.options.mean)
        events.sort(key=lambda event: event[0])
        # The last minute is without kills: all have to be there at the end.
        while (now := time.monotonic()) < end:
            if events and now >= events[0][0]:
                events.pop(0)[1]()
            if now >= kill:
                if end - now > BACK:
                    self.kill_one()
                kill = now + random.expovariate(1 / self.options.mean)
            if self.filled:
                self.fill()
            for process in [self.server, *self.peers]:
                process.watch()
            self.watch_server()
            time.sleep(0.1)
        self.end()

    def fill_disk(self):
        self.filled = open(self.disk / "fill", "wb", buffering=0)
        self.fault("full disks", "the disk is full")

    def empty_disk(self):
        self.filled.close()
        (self.disk / "fill").unlink()
        self.filled = None
        self.say("the disk has room again")

    def end(self):
        live = self.run.status().get("live")
        if live != len(self.peers):
            self.violation(f"{live} of {len(self.peers)} peers are there at the end")
        self.server.process.process.send_signal(signal.SIGTERM)
        for process in [self.server, *self.peers]:
            try:
                code = process.process.wait()
            except subprocess.TimeoutExpired:
                code = "nothing: it does not end"
            if code != 10:
                self.violation(f"{process.name} ended with {code} after SIGTERM")
        for process in [self.server, *self.peers]:
            if process.memory and process.largest - process.memory > GROWTH:
                self.violation(f"memory of {process.verdict()}")
        # Nobody touches the folders of the peers; but one that was killed before
        # its first checkpoint has none of its own. What an exchange had brought
        # it may have been another's still.
        for at, copy, name in re.findall(
                r"(\S+) warning (peer \d+ \((\S+)\) was part of this run and has no "
                r"discriminator)", self.server.process.output()):
            before = [had for victim, when, had in self.kills
                      if victim == name and when <= at]
            if not before or before[-1]:
                self.violation(copy + ", though its state-dir is intact")
        self.losses()

    def losses(self):
        largest, count = 0.0, 0
        for line in (self.run.directory / "stats.jsonl").read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                self.violation(f"a torn line in stats.jsonl: {line[:60]}")
                continue
            for key in ("d_loss", "g_loss"):
                value = record[key]
                if value is None or not math.isfinite(value):
                    self.violation(f"{key} {value} in round {record['round']}")
                    continue
                largest, count = max(largest, abs(value)), count + 1
        if largest > LARGEST_LOSS:
            self.violation(f"a loss of {largest}")
        self.loss_text = f"{count} losses, all finite, at most {largest:.2f}"
        if any("_loss" in text for text in self.violations):
            self.loss_text = f"losses at most {largest:.2f}, some not finite"

    def verdict(self):
        done, aborted = self.run.swaps()
        faults = dict(self.faults)
        idle = self.server.process.output().count("for three round-timeouts")
        if self.network:
            faults["packet loss"] = f"{100 * self.options.loss:g} %"
        print(f"""
verdict after {self.options.minutes:g} minutes, seed {self.options.seed}
  rounds      {self.round} at the end, {self.trained} seen trained; \
{len(done)} swaps, {len(aborted)} aborted
  called back {idle} times a peer that had not answered for three round-timeouts
  faults      {', '.join(f'{kind}: {n}' for kind, n in faults.items())}
  memory      {'; '.join(p.verdict() for p in [self.server, *self.peers])}
  losses      {self.loss_text}
  violations  {len(self.violations)}""")
        for text in self.violations:
            print(f"    {text}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default="build/release/bin")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--peers", type=int, default=4)
    parser.add_argument("--mean", type=float, default=20,
                        help="seconds between two kills, on average")
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path,
                        help="copy logs there at the end")
    options = parser.parse_args()
    if options.minutes < 1.5:
        parser.error("--minutes: the faults need at least 1.5")
    random.seed(options.seed)
    inside = programs.in_namespaces()
    with tempfile.TemporaryDirectory(prefix="mdgan") as folder:
        network = programs.Network(1 + options.peers) if inside else None
        soak = Soak(options, pathlib.Path(folder), network)
        try:
            soak.go()
            soak.verdict()
        finally:
            soak.run.close()
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                for log in [*pathlib.Path(folder).glob("*.out"),
                            *soak.run.directory.glob("*.jsonl")]:
                    (options.keep / log.name).write_bytes(log.read_bytes())
            if network:
                network.close()
            if soak.has_disk:
                subprocess.run(["umount", soak.disk], check=True)
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())
