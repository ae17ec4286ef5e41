#!/usr/bin/env python3
"""Measures ways of training the same thing against each other, in turn.

  compare.py --data MNIST                      this project against PyTorch
  compare.py --data MNIST --arms tcp no-sockets --tuned Haswell

The arms run one after the other, again and again (A B A B ...), since only
figures taken side by side compare. Printed are the medians, and the ratio of
the first arm to each other one: median, least and greatest of the repeats.
"""
import argparse
import dataclasses
import json
import pathlib
import signal
import statistics
import sys

import runs


def ratios(first, other):
    """The ratio in each repeat, as median, least and greatest."""
    each = [a / b for a, b in zip(first, other)]
    return {"median": statistics.median(each), "min": min(each),
            "max": max(each)}


def payload(s, peers_a_connection=1):
    """Bytes of tensors a round: what the server sends, and what it gets.

    A connection gets each batch once, in float32; a peer answers with a
    feedback as large as a batch and a logit an image.
    """
    batch = s.batch * s.values * 4
    batches = min(s.k, 2 if peers_a_connection == 1 else s.peers)
    sent = s.peers // peers_a_connection * batches * batch
    return sent, s.peers * (batch + s.batch * 4)


def compare(s, arms, repeats, report=print):
    """Runs the arms in turn; returns everything measured, for JSON."""
    found = {arm: [] for arm in arms}
    for i in range(repeats):
        for arm in arms:
            run = runs.ARMS[arm](s)
            found[arm].append(run)
            report(f"  {i + 1}/{repeats} {arm:19} "
                   f"{run.rounds_per_s:8.2f} rounds/s  "
                   f"{run.cpu_s_per_round * 1e3:8.2f} ms of processor a round")
    rates = {arm: [r.rounds_per_s for r in found[arm]] for arm in arms}
    cpu = {arm: [r.cpu_s_per_round for r in found[arm]] for arm in arms}
    first = arms[0]
    result = {
        "setting": {**dataclasses.asdict(s), "data": str(s.data)},
        "rounds_per_s": {a: statistics.median(rates[a]) for a in arms},
        "cpu_s_per_round": {a: statistics.median(cpu[a]) for a in arms},
        "ratios": {f"{first} / {a}": ratios(rates[first], rates[a])
                   for a in arms[1:]},
        # Less noisy where others use the processor; the same sense: more is
        # better for the first.
        "cpu_ratios": {f"{first} / {a}": ratios(cpu[a], cpu[first])
                       for a in arms[1:]},
        "runs": {a: [dataclasses.asdict(r) for r in found[a]] for a in arms}}
    for arm, hosted in (("tcp", 1), ("sessions", s.peers)):
        if arm in found:
            sent, received = payload(s, hosted)
            run = found[arm][-1]
            result.setdefault("bytes", {})[arm] = {
                "sent": run.sent, "received": run.received,
                "payload_sent": sent, "payload_received": received,
                "ratio": (run.sent + run.received) / (sent + received)}
    return result


def show(result):
    for arm, rate in result["rounds_per_s"].items():
        print(f"{arm:27} {rate:9.2f} rounds/s")
    for title, key in (("rounds/s", "ratios"),
                       ("processor time", "cpu_ratios")):
        for name, r in result[key].items():
            print(f"{name:27} {r['median']:9.2f} x  in {title} "
                  f"({r['min']:.2f} to {r['max']:.2f})")
    for arm, b in result.get("bytes", {}).items():
        print(f"{arm:27} {b['sent'] + b['received']:9.0f} bytes a round, "
              f"{b['ratio']:.4f} x the payload")


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arms = "\n".join(f"{name}: {arm.__doc__}"
                     for name, arm in runs.ARMS.items())
    p.add_argument("--arms", nargs="+", choices=runs.ARMS,
                   default=["tcp", "torch"],
                   help=f"the first against the rest:\n{arms}")
    defaults = runs.Setting()
    p.add_argument("--model", choices=runs.SHAPES, default=defaults.model)
    for name in ("peers", "batch", "k", "rounds", "warm_up", "swap"):
        p.add_argument("--" + name.replace("_", "-"), type=int,
                       default=getattr(defaults, name))
    p.add_argument("--tuned", metavar="CORETYPE", default="",
                   help="OPENBLAS_CORETYPE for all, such as Haswell, SkylakeX")
    p.add_argument("--data", type=pathlib.Path,
                   help="MNIST's files [MDGAN_MNIST_DIR or Fashion-MNIST]; "
                   "dcgan has made-up images")
    p.add_argument("--extra", nargs=argparse.REMAINDER, default=[],
                   help="more flags for the server; last on the line")
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--json", type=pathlib.Path, metavar="FILE")
    a = p.parse_args()
    others = {*a.arms} - {"tcp", "sessions", "local"}
    if a.extra and others:
        p.error(f"--extra is for the server, which {' and '.join(others)} "
                "would know nothing of")
    return a


def main():
    # So that a stopped benchmark leaves no programs and folders behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    a = arguments()
    with runs.data_for(a.model, a.data) as data:
        s = runs.Setting(model=a.model, peers=a.peers, batch=a.batch, k=a.k,
                         rounds=a.rounds, warm_up=a.warm_up, swap=a.swap,
                         tuned=a.tuned, data=data, extra=tuple(a.extra))
        result = compare(s, a.arms, a.repeats)
    show(result)
    if a.json:
        a.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (runs.Failed, KeyboardInterrupt) as error:
        sys.exit(f"compare.py: {error}")
