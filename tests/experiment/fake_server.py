#!/usr/bin/env python3
"""Stands in for mdgan-server: it takes the flags that mdgan-experiment gives
and writes the files of a run, with numbers computed from the seed and the
number of peers.

An arm can give the fake these options of its own:
  --fake-end ROUND    The first start saves and ends at ROUND, as after Ctrl-C.
  --fake-fail true    It ends with code 9 before the first round.
  --fake-wait true    The first start waits for SIGINT after half of the rounds,
                      then saves and ends.
"""
import json
import pathlib
import signal
import struct
import sys
import zlib

KNOWN = {"config", "run-dir", "rounds", "seed", "data", "local-peers", "batch",
         "k", "algorithm", "partition", "evaluate-every", "fake-end",
         "fake-fail", "fake-wait", "swap-epochs", "local-steps"}
EVERY = 10  # how many rounds lie between ticks, and between samples


def options_of(words):
    options = {}
    words = [w for w in words if w != "--dry-run"]
    for key, value in zip(words[::2], words[1::2]):
        if key.removeprefix("--") not in KNOWN:
            sys.exit(f"mdgan-server: unknown option '{key}'")
        options[key.removeprefix("--")] = value
    return options


def png(size, value):
    """A grey square as a PNG file."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + \
            struct.pack(">I", zlib.crc32(body))
    rows = (b"\0" + bytes([value]) * size) * size
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def append(path, record):
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def evaluate(run, options, round_, rounds):
    peers, seed = int(options.get("local-peers", 1)), int(options["seed"])
    better = round_ / rounds
    shares = [0.1] * 10
    if options.get("partition", "iid") != "iid":
        shares = [0.3, 0.2, 0.15, 0.15, 0.1, 0.04, 0.03, 0.02, 0.01, 0]
    for name, values in {
            "fid": {"frechet_inception_distance":
                    600 / (1 + 9 * better) + 3 * seed + 2 * peers
                    + (0.5 * (seed % 2) if peers == 1 else 0)},
            "is": {"inception_score_mean": 1 + 8 * better - 0.01 * peers,
                   "inception_score_std": 0.1},
            "kid": {"kernel_inception_distance_mean": 0.5 - 0.4 * better,
                    "kernel_inception_distance_std": 0.01},
            "pr": {"precision": 0.2 + 0.6 * better, "recall": 0.5 * better,
                   "f_score": 0.5},
            "classes": {"class_histogram": shares,
                        "class_distance": 0.3}}.items():
        append(run / f"metric-{name}10k.jsonl", {
            "metric": f"{name}10k", "round": round_, "results": values,
            "samples": 10000, "seconds": 1.0,
            "features": "a made-up classifier (99.1 %, hash 0123abcd)"})


def train(run, options, first):
    rounds = int(options["rounds"])
    end = rounds
    if not first:
        end = int(options.get("fake-end", rounds))
        if options.get("fake-wait"):
            end = rounds // 2
    every = int(options.get("evaluate-every", 0))
    for round_ in range(first + EVERY, end + 1, EVERY):
        append(run / "stats.jsonl", {
            "round": round_, "d_loss": 1.0, "g_loss": 2.0 / round_,
            "seconds_per_round": 0.02, "bytes_sent": 1000,
            "bytes_received": 500, "bytes_swapped": 100,
            "peers": int(options.get("local-peers", 1))})
        (run / "samples").mkdir(exist_ok=True)
        (run / f"samples/{round_:06}.png").write_bytes(
            png(16, 255 * round_ // rounds))
        if every and round_ % every == 0:
            evaluate(run, options, round_, rounds)
    if options.get("fake-wait") and not first:
        # main() has blocked the signal, so one that came earlier waits here.
        signal.sigwait({signal.SIGINT})
    checkpoint = run / f"checkpoints/{end:08}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").write_text("{}")


def main(words):
    if words == ["--version"]:
        print("mdgan-server 0.0.0 (a fake)")
        return 0
    if words[0] == "evaluate":
        run = pathlib.Path(words[words.index("--run") + 1])
        options = dict(line.split(" = ", 1) for line in
                       (run / "config.ini").read_text().splitlines())
        newest = max(int(p.name) for p in (run / "checkpoints").iterdir())
        evaluate(run, options, newest, int(options["rounds"]))
        return 0
    assert words[0] == "train", words
    options = options_of(words[1:])
    if "--dry-run" in words:
        return 0
    if options.get("fake-fail"):
        print("the fake fails as it was told to")
        return 9
    if options.get("fake-wait"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    run = pathlib.Path(options["run-dir"])
    if (run / "config.ini").exists():
        train(run, options, max(int(p.name)
                                for p in (run / "checkpoints").iterdir()))
        return 0
    run.mkdir(parents=True)
    in_force = {"batch": "10", "local-steps": "1", **options}
    (run / "config.ini").write_text(
        "".join(f"{key} = {value}\n" for key, value in in_force.items()))
    train(run, options, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
