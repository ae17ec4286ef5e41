"""Run folders as a server writes them, for the tests of the page."""
import fcntl
import json
import math
import os
import random
import struct
import time
import zlib

ODD_NAME = "<b>Zoë</b> 病院"


def write_png(path, step):
    """A grid of eight by eight rings, that come out of noise as `step` grows."""
    chance = random.Random(step)
    side, cell = 160, 20
    rows = []
    for y in range(side):
        row = bytearray(side)
        for x in range(side):
            dx, dy = x % cell - 10, y % cell - 10
            stretch = 1 + .08 * ((x // cell + 3 * (y // cell)) % 7)
            ring = 255 * max(0, 1 - abs(math.hypot(dx, dy * stretch) - 5) / 3)
            row[x] = int(max(0, min(255, ring + chance.gauss(0, 130 / (1 + step)))))
        rows.append(b"\0" + bytes(row))

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                     + chunk(b"IDAT", zlib.compress(b"".join(rows)))
                     + chunk(b"IEND", b""))


def stats_line(chance, at, rounds, every, peers):
    share = at / rounds
    phases = {"generate": .002 + .0003 * chance.random(), "send": .0005,
              "wait": .02 + .01 * chance.random(), "merge": .001, "step": .004}
    seconds = sum(phases.values()) + .001
    return {"round": at, "d_loss": 1.38 - .5 * share + chance.gauss(0, .05),
            "g_loss": .7 + .6 * share + chance.gauss(0, .08),
            "feedback_norm": .1 * math.exp(-share) * (1 + .2 * chance.random()),
            "seconds_per_round": seconds, "seconds": phases,
            "rounds_per_second": 1 / seconds,
            "bytes_sent": 7840 * every * peers,
            "bytes_received": 4000 * every * peers,
            "bytes_swapped": 3_000_000 if at % (20 * every) == 0 else 0,
            "peers": peers - (2 if .4 < share < .5 else 0),
            "checkpoints_failed": 0, "answers_refused": 1,
            "answers_not_whole": 0, "aggregate_fallbacks": 0}


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines),
                    encoding="utf-8")


def peer(chance, number, crowd):
    shown = {"id": number, "name": f"hospital-{number}", "presence": "live",
             "shard": 6000 + number, "endpoint": "", "heard": chance.random(),
             "owes": .05 * chance.random(), "exchanging": False,
             "missed": 0 if chance.random() < .5 else
             int(10 * math.exp(chance.gauss(0, 1))),
             "answer_p50": .04 * math.exp(chance.gauss(0, .5)), "answer_p95": .3}
    if number == 2:
        shown.update(owes=9.5, missed=3)
    if number == 3 or (crowd and number % 97 == 0):
        shown.update(presence="absent", heard=200, owes=None, missed=12)
    if number == 5:
        shown["name"] = ODD_NAME
    if number == 7:
        shown.update(presence="copying", owes=None, exchanging=True)
    if crowd and number % 61 == 0:
        shown["owes"] = 12
    return shown


class Run:
    """A folder that looks like a run's whose server is this process."""

    def __init__(self, folder, peers, rounds, every=50):
        self.folder = folder
        chance = random.Random(1)
        (folder / "samples").mkdir(parents=True)
        write_lines(folder / "stats.jsonl",
                    (stats_line(chance, at, rounds, every, peers)
                     for at in range(every, rounds + 1, every)))
        measured = [(i, rounds * i // 20) for i in range(1, 21)]
        write_lines(folder / "metric-fid10k.jsonl", (
            {"metric": "fid10k", "round": at, "results":
             {"frechet_inception_distance": 300 * math.exp(-i / 5) + 20,
              "real_frechet_inception_distance": 6.5}, "samples": 10_000,
             "real_images": 10_000, "features": "classifier", "seconds": 9.5}
            for i, at in measured))
        write_lines(folder / "metric-pr10k.jsonl", (
            {"metric": "pr10k", "round": at, "results":
             {"precision": .3 + .02 * i, "recall": .1 + .015 * i},
             "samples": 10_000, "real_images": 10_000, "features": "classifier",
             "seconds": 9.5} for i, at in measured))
        self.write_events(peers, rounds)
        all_peers = [peer(chance, i, peers > 100) for i in range(peers)]
        now = time.time()
        self.status = {
            "schema": 1, "pid": os.getpid(), "incarnation": 1, "run": "0" * 32,
            "endpoint": "tcp://10.0.0.1:5555", "insecure": False,
            "state": "training", "round": rounds, "rounds": 2 * rounds,
            "rounds_per_second": 33.2, "seconds_left": 7800.0,
            "checkpoint": rounds - rounds // 10, "checkpoints_failed": 0,
            "live": sum(p["presence"] == "live" for p in all_peers),
            "needed": (peers + 1) // 2, "peers": all_peers,
            "refused": [{"name": "stranger", "address": "10.1.2.3",
                         "reason": "its key is not in authorized_peers",
                         "times": 4, "last": now - 500}],
            "waiting": "waiting for 1 of 9 answers: hospital-2, asked 9 s ago",
            "exit": None}
        for i in range(20):
            write_png(folder / "samples" / f"{max(1, rounds * i * i // 361):06d}.png",
                      i)
        # pylint: disable=consider-using-with
        self.lock = open(folder / "lock", "w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.write_status()

    def write_status(self, **changes):
        self.status.update(changes, updated=time.time())
        beside = self.folder / "status.tmp"
        beside.write_text(json.dumps(self.status), encoding="utf-8")
        beside.rename(self.folder / "status.json")

    def write_events(self, peers, rounds):
        now = time.time()
        lines = [{"time": now - 4000 + i, "round": 0, "event": "joined",
                  "peer": f"hospital-{i}", "text": f"peer {i} hospital-{i} joins"}
                 for i in range(min(peers, 60))]
        for i in range(1, 40):
            at = {"time": now - 3000 + 60 * i, "round": rounds * i // 40}
            swap = {**at, "event": "swap", "text":
                    f"swap after round {at['round']} among {peers} peers"}
            if peers <= 64:
                by = 1 + i % (peers - 1)
                swap.update({"from": list(range(peers)),
                             "to": [(p + by) % peers for p in range(peers)]})
            lines.append(swap)
            lines.append({**at, "event": "checkpoint"})
        lines += [
            {"time": now - 300, "round": rounds - 100, "event": "late",
             "peer": "hospital-2", "text": "a round goes on without hospital-2, "
             "which has not answered for 3 s"},
            {"time": now - 200, "round": rounds - 80, "event": "lost",
             "peer": "hospital-3", "text": "peer 3 hospital-3 is lost: nothing was "
             "heard of it for 60 s"},
            {"time": now - 100, "round": rounds - 60, "event": "swap aborted",
             "text": "swap aborted: not complete after 60 s"},
            {"time": now - 50, "round": rounds - 40, "event": "fault",
             "peer": ODD_NAME,
             "text": "<img src=//elsewhere.invalid/x.png> is no valid answer"}]
        write_lines(self.folder / "events.jsonl", lines)
