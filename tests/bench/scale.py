#!/usr/bin/env python3
"""What a peer costs when there are many: N = 10 against N = 1,000 peers.

  scale.py --data MNIST

All peers are hosted by one process (--sessions) beside the server. Printed are
the time of a round divided by the peers, and the memory of server and peers.
The machine needs 12 MB for each peer.
"""
import argparse
import dataclasses
import json
import pathlib
import signal
import statistics
import sys

import runs


def setting(peers, rounds, data, tuned=""):
    """As many peer-rounds whatever the number of peers, and no swap."""
    each = max(2, rounds * 10 // peers)
    return runs.Setting(peers=peers, rounds=each, warm_up=max(2, each // 10),
                        swap=0, tuned=tuned, data=data)


def measure(few, many, rounds, repeats, data, tuned="", report=print):
    found = {few: [], many: []}
    for i in range(repeats):
        for peers in found:
            run = runs.sessions(setting(peers, rounds, data, tuned))
            found[peers].append(run)
            report(f"  {i + 1}/{repeats} N = {peers:5}  "
                   f"{1e3 / run.rounds_per_s / peers:7.3f} ms a peer-round  "
                   f"{run.cpu_s_per_round * 1e3 / peers:7.3f} ms of processor  "
                   f"server {run.server_rss / 2**20:6.0f} MiB  "
                   f"peers {run.peers_rss / 2**20:6.0f} MiB")

    def ratio(value):
        return statistics.median(value(b) / value(a) for a, b
                                 in zip(found[few], found[many]))
    return {
        "few": few, "many": many,
        "peer_round_ratio": ratio(lambda r: 1 / r.rounds_per_s) * few / many,
        "peer_round_cpu_ratio": ratio(lambda r: r.cpu_s_per_round) * few / many,
        "server_rss_ratio": ratio(lambda r: r.server_rss),
        "bytes_a_peer": statistics.median(
            (b.peers_rss - a.peers_rss) / (many - few)
            for a, b in zip(found[few], found[many])),
        "runs": {n: [dataclasses.asdict(r) for r in found[n]] for n in found}}


def show(r):
    print(f"time of a peer-round, N = {r['many']} / {r['few']}: "
          f"{r['peer_round_ratio']:.2f} x "
          f"({r['peer_round_cpu_ratio']:.2f} x in processor time)")
    print(f"server's memory, N = {r['many']} / {r['few']}: "
          f"{r['server_rss_ratio']:.2f} x")
    print(f"a peer's memory: {r['bytes_a_peer'] / 2**20:.1f} MiB")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--few", type=int, default=10)
    p.add_argument("--many", type=int, default=1000)
    p.add_argument("--rounds", type=int, default=600,
                   help="with ten peers; with more the fewer [600]")
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--tuned", metavar="CORETYPE", default="")
    p.add_argument("--data", type=pathlib.Path)
    p.add_argument("--json", type=pathlib.Path, metavar="FILE")
    a = p.parse_args()
    with runs.data_for("mlp", a.data) as data:
        result = measure(a.few, a.many, a.rounds, a.repeats, data, a.tuned)
    show(result)
    if a.json:
        a.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (runs.Failed, KeyboardInterrupt) as error:
        sys.exit(f"scale.py: {error}")
