"""What the page and TensorBoard's files cost training, and how fast a long run's
page answers.

  page_cost.py FOLDER_OF_MDGAN_SERVER DATA [--pairs N] [--rounds N]
  page_cost.py FOLDER_OF_MDGAN_SERVER --view [--lines N]

Runs are made in turn: without, with a page that a browser would ask every two
seconds, with event files. The processor's seconds a round are the measure where
others use the machine, too; rounds a second are told beside them.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "view"))
import fixtures  # noqa: E402

WAYS = {"without": [], "page": ["--http", "127.0.0.1:0"],
        "tensorboard": ["--tensorboard"]}
ROUTES = ("api/status", "api/events?limit=20", "api/samples",
          "api/series?points=400")


def url_in(process):
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"http://\S+/", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[0]
    raise SystemExit(f"no page: {said}")


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def train(server, data, rounds, options):
    """Processor seconds a round, and rounds a second."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        # pylint: disable=consider-using-with
        process = subprocess.Popen(
            [server, "train", "--data", data, "--local-peers", "2", "--rounds",
             str(rounds), "--run-dir", f"{folder}/run", *options],
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"})
        if "--http" in options:
            url = url_in(process)
            while process.poll() is None:
                try:
                    for route in ROUTES:
                        get(url + route)
                except OSError:
                    pass  # the run has ended meanwhile
                time.sleep(2)
        else:
            process.stderr.read()
        if process.wait() != 0:
            raise SystemExit(f"training ended with {process.returncode}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = [json.loads(line) for line in
                 pathlib.Path(folder, "run/stats.jsonl").read_text().splitlines()]
    used = sum(getattr(after, name) - getattr(before, name)
               for name in ("ru_utime", "ru_stime"))
    return used / rounds, statistics.median(
        line["rounds_per_second"] for line in lines[1:])


def cost(server, options):
    found = {way: [] for way in WAYS}
    for _ in range(options.pairs):
        for way, more in WAYS.items():
            found[way].append(train(server, options.data, options.rounds, more))
    for way, runs in found.items():
        shares = [run[0] / plain[0] - 1 for run, plain in zip(runs, found["without"])]
        print(f"{way:12} {1e3 * statistics.mean(r[0] for r in runs):.4f} ms of "
              f"processor a round ({100 * statistics.mean(shares):+.2f} %, "
              f"median {100 * statistics.median(shares):+.2f} %), "
              f"{statistics.mean(r[1] for r in runs):.1f} rounds/s")


def view(server, lines):
    """A run of 100,000 rounds with so many lines of statistics."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run = fixtures.Run(folder / "run", peers=10, rounds=100_000,
                           every=100_000 // lines)
        size = (run.folder / "stats.jsonl").stat().st_size
        begun = time.monotonic()
        # pylint: disable=consider-using-with
        process = subprocess.Popen(
            [server, "view", run.folder, "--http", "127.0.0.1:0"],
            stderr=subprocess.PIPE, text=True)
        url = url_in(process)
        print(f"{lines} lines, {size / 1e6:.1f} MB: the address is told after "
              f"{1e3 * (time.monotonic() - begun):.0f} ms")
        for route in ("", *ROUTES, "metrics"):
            times = []
            for _ in range(10):
                begun = time.monotonic()
                get(url + route)
                times.append(1e3 * (time.monotonic() - begun))
            print(f"  /{route}: {times[0]:.1f} ms at first, then {min(times[1:]):.1f} "
                  f"to {max(times[1:]):.1f} ms")
        process.terminate()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("programs")
    parser.add_argument("data", nargs="?")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--view", action="store_true")
    parser.add_argument("--lines", type=int, default=2000)
    options = parser.parse_args()
    server = str(pathlib.Path(options.programs).resolve() / "mdgan-server")
    if options.view:
        view(server, options.lines)
    elif options.data:
        cost(server, options)
    else:
        parser.error("give the folder of MNIST's files, or --view")


main()
