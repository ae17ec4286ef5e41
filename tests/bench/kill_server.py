#!/usr/bin/env python3
"""Kills a server (SIGKILL) at random instants of one run and starts it again by
the same command line; nobody touches its peers. Says whether the run ended with
its rounds, each trained once in the end, and never began anew."""
import argparse
import json
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time


def write_data(folder, count=400, side=8):
    """MNIST files with a bright bar whose place is the class."""
    folder.mkdir()
    images, labels = bytearray(), bytearray()
    for i in range(count):
        labels.append(i % 10)
        for y in range(side):
            for x in range(side):
                images.append(255 if (y + x // 4) % side == i % 10 % side else 0)
    (folder / "train-images-idx3-ubyte").write_bytes(
        struct.pack(">IIII", 0x803, count, side, side) + images)
    (folder / "train-labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 0x801, count) + labels)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def newest_checkpoint(run):
    names = [p.name for p in (run / "checkpoints").glob("*")
             if re.fullmatch(r"\d+", p.name)]
    return max(map(int, names), default=-1)


def status_round(run):
    try:
        return json.loads((run / "status.json").read_text())["round"]
    except (OSError, ValueError):
        return 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path,
                        default=pathlib.Path("build/release/bin"))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--peers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=40000,
                        help="more than can be trained before the last kill")
    parser.add_argument("--checkpoint-every", type=int, default=20)
    parser.add_argument("--longest", type=float, default=6,
                        help="seconds that a server lives at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    instants = random.Random(options.seed)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_data(folder / "data")
        run = folder / "run"
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        output = (folder / "output").open("a+")

        def start_server():
            return subprocess.Popen(
                [options.bin / "mdgan-server", "train", "--run-dir", run,
                 "--bind", endpoint, "--min-peers", str(options.peers),
                 "--rounds", str(options.rounds), "--stats-every", "1",
                 "--samples-every", "0", "--swap-epochs", "2",
                 "--checkpoint-every", str(options.checkpoint_every)],
                stdout=output, stderr=output)

        server = start_server()
        peers = [subprocess.Popen(
            [options.bin / "mdgan-peer", "--server", endpoint, "--data",
             folder / "data", "--shard", f"{i}/{options.peers}", "--name",
             f"peer-{i}", "--state-dir", folder / "state", "--quiet"],
            stdout=output, stderr=output) for i in range(options.peers)]
        started, kills, trained_lives, lost = time.monotonic(), 0, 0, 0
        problems = []
        before = -1
        while kills < options.kills:
            first = newest_checkpoint(run)
            try:
                code = server.wait(instants.uniform(0, options.longest))
            except subprocess.TimeoutExpired:
                done = status_round(run)
                server.kill()
                server.wait()
                kills += 1
                after = newest_checkpoint(run)
                trained_lives += after > first
                lost += max(0, done - after)
                if after < before:
                    problems.append(f"kill {kills}: the newest checkpoint went "
                                    f"back from {before} to {after}")
                before = after
            else:
                problems.append(f"after kill {kills}: exit code {code}" +
                                ("; take more --rounds" if code == 0 else ""))
                break
            server = start_server()
        codes = [server.wait(1800)] + [p.wait(600) for p in peers]
        seconds = time.monotonic() - started

        if codes != [0] * len(codes):
            problems.append(f"exit codes of server and peers: {codes}")
        recorded = [json.loads(line)["round"]
                    for line in (run / "stats.jsonl").read_text().splitlines()]
        if recorded != list(range(1, options.rounds + 1)):
            problems.append(f"stats.jsonl has {len(recorded)} lines, the last of "
                            f"round {recorded[-1:]}")
        log = (run / "log.txt").read_text()
        went_on = [int(r) for r in re.findall(r"continues after round (\d+)", log)]
        runs = set(re.findall(r"\"run\": \"(\w+)\"",
                              (run / "status.json").read_text()))
        begun = len(re.findall(r"the run begins here", log))
        if went_on != sorted(went_on):
            problems.append("a start went on from an earlier round than the one "
                            "before")
        print(f"{kills} kills in {seconds:.0f} s; {options.rounds} rounds; "
              f"{len(went_on)} starts went on, {begun} began again (killed "
              f"before the first checkpoint); {trained_lives} lives saved "
              f"something; {lost} rounds were trained twice; run {runs}")
        for problem in problems:
            print("PROBLEM:", problem)
        if problems:
            output.seek(0)
            print("".join(output.readlines()[-30:]))
        return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
