#!/usr/bin/env python3
"""What a network between server and peers costs, and what staleness gives back.

Server and four peers, each in a network namespace of its own, on a wire of stated
delay and rate (tests/network/wire.py). Prints rounds a second beside the bound

  min(1 / compute, rate / bytes, (S + 1) / (round trip + compute))

in which `compute` is the time of a round on the same wire without delay or limit, and
`bytes` are what one peer gets and sends in a round, the larger of both. Needs user
namespaces with TAP devices; says so where they cannot be made.

  far_apart.py --programs build/release/bin --data DIR
"""
import argparse
import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "network"))
import programs  # noqa: E402

PEERS = 4
UNLIMITED = 0
ROOT = pathlib.Path(__file__).resolve().parents[2]


class FarRun(programs.Run):
    """A run of a configuration file on given data."""

    def __init__(self, options, folder, network):
        super().__init__(options.programs, folder, network)
        self.options = options

    def server_command(self, *more):
        return self.place(0, [
            self.programs / "mdgan-server", "train", "--run-dir", self.directory,
            "--config", self.options.config, "--min-peers", PEERS,
            "--bind", f"tcp://{self.host(0)}:{programs.PORT}", "--insecure",
            "--samples-every", 0, "--checkpoint-every", 0, "--evaluate-every", 0,
            "--stats-every", 1, "--swap-epochs", 0, "--rounds", 1_000_000,
            "--seed", 1, *more])

    def peer_command(self, index, peers, *more):
        command = super().peer_command(index, peers, *more)
        at = command.index("--data") + 1
        return [*command[:at], self.options.data, *command[at + 1:]]

    def ticks(self):
        try:
            lines = (self.directory / "stats.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}")]


def measure(options, staleness, round_trip, rate):
    """Rounds a second, and the bytes that a round takes one peer, the larger way."""
    with tempfile.TemporaryDirectory(prefix="mdgan") as folder:
        network = programs.Network(PEERS + 1)
        run = FarRun(options, pathlib.Path(folder), network)
        try:
            for node in range(1, PEERS + 1):
                network.rule(0, [node], delay=round_trip / 2, rate=rate / 8)
            run.server("--staleness", staleness, *options.more)
            run.peers(PEERS)
            if not programs.eventually(lambda: run.round() > 10):
                raise RuntimeError(run.processes[0].output()[-2000:])
            time.sleep(options.warm_up)
            begin, start = run.round(), time.monotonic()
            time.sleep(options.seconds)
            rounds, took = run.round() - begin, time.monotonic() - start
            last = run.ticks()[-2]
            size = max(last["bytes_sent"], last["bytes_received"]) / PEERS
            return rounds / took, size
        finally:
            run.close()
            network.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=ROOT / "build/release/bin")
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--config", default=ROOT / "configs/mnist-mlp.ini",
                        type=pathlib.Path)
    parser.add_argument("--round-trips", default="1,20,50,150", help="milliseconds")
    parser.add_argument("--rates", default="1000,100,20", help="Mbit/s")
    parser.add_argument("--stalenesses", default="0,1,2,4")
    parser.add_argument("--seconds", default=10, type=float, help="of each run")
    parser.add_argument("--warm-up", default=3, type=float, help="seconds before")
    parser.add_argument("--json", type=pathlib.Path, help="also write all figures")
    options, options.more = parser.parse_known_args()
    options.data, options.config = options.data.resolve(), options.config.resolve()
    if not programs.in_namespaces():
        return 0

    def numbers(text):
        return [float(number) for number in text.split(",")]

    figures = []
    plain, _ = measure(options, 0, 0, UNLIMITED)
    compute = 1 / plain
    print(f"without delay or limit: {plain:.1f} rounds/s with staleness 0, "
          f"{measure(options, 1, 0, UNLIMITED)[0]:.1f} with 1", flush=True)
    print("round trip  Mbit/s  staleness  rounds/s   bound  of it  times S = 0")
    for round_trip in numbers(options.round_trips):
        for rate in numbers(options.rates):
            synchronous = None
            for staleness in map(int, numbers(options.stalenesses)):
                reached, size = measure(options, staleness, round_trip / 1000,
                                        rate * 1e6)
                synchronous = synchronous or reached
                bound = min(plain, rate * 1e6 / 8 / size,
                            (staleness + 1) / (round_trip / 1000 + compute))
                figures.append({"round_trip_ms": round_trip, "mbit": rate,
                                "staleness": staleness, "rounds_per_s": reached,
                                "bound": bound, "bytes": size})
                print(f"{round_trip:7.0f} ms  {rate:6.0f}  {staleness:9}  "
                      f"{reached:8.1f}  {bound:6.1f}  {reached / bound:5.2f}  "
                      f"{reached / synchronous:12.2f}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(
            {"plain": plain, "peers": PEERS, "figures": figures}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
