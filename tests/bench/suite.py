#!/usr/bin/env python3
"""All benchmarks in turn; bench.sh installs and builds, then starts this.

Prints a table of what was measured beside what is aimed at, and where the time
of a round goes, and writes everything as JSON. Nothing is asserted: figures
depend on the machine and on what else runs there. Ratios of processor time
(in brackets) suffer least from that.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import signal
import sys

import compare
import runs
import scale

SMALL_CODECS = ("--image-codec", "uint8", "--feedback-codec", "int8")


def best_core():
    """The OPENBLAS_CORETYPE for this processor, where we know it."""
    flags = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        return "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= flags else ""


class Suite:
    def __init__(self, data, core, repeats):
        self.data, self.core, self.repeats = data, core, repeats
        self.rows = []  # of the table: what, value, aim, note
        self.results = {}
        self.limits = None  # see processor()

    def row(self, what, value, aim="", note=""):
        self.rows.append((what, value, aim, note))

    def compare(self, arms, model="mlp", tuned="", repeats=None, **setting):
        with runs.data_for(model, self.data) as data:
            s = runs.Setting(model=model, tuned=tuned, data=data, **setting)
            return compare.compare(s, arms, repeats or self.repeats)

    def ratio(self, what, result, name, aim):
        r, cpu = result["ratios"][name], result["cpu_ratios"][name]
        rates = result["rounds_per_s"]
        a, b = name.split(" / ")
        self.row(what, f"{r['median']:.2f} x [{cpu['median']:.2f}]", aim,
                 f"{r['min']:.2f} to {r['max']:.2f}; {rates[a]:.1f} "
                 f"and {rates[b]:.1f} rounds/s")

    def micro_benchmarks(self, pattern, file, repetitions=1):
        """What bench_micro measures under such names; the quickest of some."""
        with runs.temporary_folder() as folder, runs.Processes(
                folder, runs.Setting().environment) as processes:
            process, log = processes.start(
                "micro", runs.BIN / "bench_micro", "--benchmark_min_time=0.1",
                f"--benchmark_filter={pattern}", f"--benchmark_out={file}",
                f"--benchmark_repetitions={repetitions}",
                "--benchmark_out_format=json")
            if process.wait(runs.DEADLINE_S) != 0:
                raise runs.Failed(log.read_text()[-2000:])
            print(log.read_text())
        measured = [b for b in json.loads(file.read_text())["benchmarks"]
                    if b["run_type"] == "iteration"
                    and not b.get("error_occurred")]
        measured.sort(key=lambda b: b["real_time"], reverse=True)
        return {b["name"]: b for b in measured}

    def processor(self):
        """Operations and bytes a second that all cores do at most."""
        if not self.limits:
            with runs.temporary_folder() as folder:
                # Other work on the machine makes a limit too low, never too
                # high.
                found = self.micro_benchmarks(
                    "^limit/", folder / "limits.json", repetitions=10)
            self.limits = (
                found["limit/multiply/real_time"]["items_per_second"],
                found["limit/memory/real_time"]["bytes_per_second"])
        return self.limits

    def limit(self, result):
        """How many times PyTorch's quickest run the processor allows."""
        run = max(result["runs"]["torch"], key=lambda r: r["rounds_per_s"])
        rate = run["rounds_per_s"]
        operations, bytes_ = self.processor()
        compute = run["operations"] / operations
        memory = run["moved"] / bytes_
        self.row("  at most, on this processor",
                 f"{1 / max(compute, memory) / rate:.2f} x", "",
                 f"{1 / (compute + memory) / rate:.2f} without overlap; "
                 f"{run['operations'] / 1e9:.1f} GFLOP take "
                 f"{compute * 1e3:.1f} ms, {run['moved'] / 1e6:.0f} MB "
                 f"{memory * 1e3:.1f} ms")
        result["limit"] = {"compute_s": compute, "memory_s": memory}

    # --- the benchmarks: each returns what goes into the JSON -----------------

    def torch(self):
        """rounds/s against PyTorch, both as they come out of the box"""
        return self.against_torch("MLP against PyTorch", ">= 6", rounds=120)

    def torch_tuned(self):
        """the same with OPENBLAS_CORETYPE set for both"""
        return self.against_torch(
            f"MLP, both with {self.core or 'the BLAS as it is'}", ">= 5",
            rounds=120, tuned=self.core)

    def cnn(self):
        """the MNIST CNN against the same layers in PyTorch, tuned BLAS"""
        return self.against_torch("MNIST CNN against PyTorch", ">= 1.5",
                                  "mnist-cnn", self.core, rounds=30, warm_up=5,
                                  swap=0)

    def dcgan(self):
        """the DCGAN on 32x32 pixels against PyTorch, tuned BLAS"""
        return self.against_torch("DCGAN-32 against PyTorch", ">= 1.5", "dcgan",
                                  self.core, rounds=30, warm_up=5, swap=0)

    def against_torch(self, what, aim, *model, **setting):
        result = self.compare(["tcp", "torch", "torch-keeping-pages"], *model,
                              **setting)
        self.ratio(what, result, "tcp / torch", aim)
        self.ratio("  PyTorch told to keep pages", result,
                   "tcp / torch-keeping-pages", "")
        self.limit(result)
        return result

    def no_sockets(self):
        """server and 10 processes over TCP against one without sockets"""
        result = self.compare(["tcp", "no-sockets", "bare-sockets"],
                              rounds=300, tuned=self.core)
        self.ratio("TCP against no sockets", result, "tcp / no-sockets",
                   ">= 0.90")
        rates = {arm: [run["rounds_per_s"] for run in result["runs"][arm]]
                 for arm in ("bare-sockets", "no-sockets")}
        bare = compare.ratios(*rates.values())
        self.row("  bare sockets against none", f"{bare['median']:.2f} x", "",
                 f"{bare['min']:.2f} to {bare['max']:.2f}; what processes and "
                 "blocking sockets cost")
        return result

    def keys(self):
        """server and 4 processes over TCP with keys against the same without"""
        found = {}
        for what, model, setting in (
                ("MLP with keys against plain", "mlp",
                 {"rounds": 400}),
                ("DCGAN-64 with keys against plain", "dcgan-64",
                 {"rounds": 20, "warm_up": 5, "swap": 0})):
            found[model] = self.compare(["keys", "tcp"], model,
                                        tuned=self.core, peers=4, **setting)
            self.ratio(what, found[model], "keys / tcp",
                       ">= 0.85" if model == "mlp" else "")
        return found

    def wire(self):
        """bytes on the wire against the payload's, and with small codecs"""
        plain = self.compare(["tcp", "sessions"], repeats=1, rounds=40)
        small = self.compare(["tcp"], repeats=1, rounds=40, extra=SMALL_CODECS)
        for arm, bytes_ in plain["bytes"].items():
            self.row(f"bytes against payload, {arm}",
                     f"{bytes_['ratio']:.4f} x", "<= 1.01",
                     f"{bytes_['sent'] + bytes_['received']:.0f} a round")
        a, b = (r["bytes"]["tcp"] for r in (plain, small))
        ratio = (b["sent"] + b["received"]) / (a["sent"] + a["received"])
        self.row("bytes, uint8 and int8 against float32", f"{ratio:.4f} x",
                 "<= 0.27")
        return {"float32": plain, "small": small, "small_ratio": ratio}

    def scale(self):
        """a thousand peers in one process against ten"""
        with runs.data_for("mlp", self.data) as data:
            r = scale.measure(10, 1000, rounds=600, repeats=1, data=data)
        self.row("time of a peer-round, N = 1,000 / 10",
                 f"{r['peer_round_ratio']:.2f} x "
                 f"[{r['peer_round_cpu_ratio']:.2f}]", "<= 1.15")
        self.row("server's memory, N = 1,000 / 10",
                 f"{r['server_rss_ratio']:.2f} x", "<= 2",
                 f"a peer has {r['bytes_a_peer'] / 2**20:.1f} MiB")
        return r

    def broadcast(self):
        """3 MB to 4 receivers over loopback, ZeroMQ against bare sockets"""
        r = self.printed(runs.BIN / "bench_broadcast")
        self.row("broadcast of 3 MB against bare TCP",
                 f"{r['ratio']['median']:.2f} x [{r['cpu_ratio']:.2f}]",
                 ">= 0.8",
                 f"{r['ratio']['min']:.2f} to {r['ratio']['max']:.2f}; "
                 f"{r['channel_gb_per_s']:.1f} and "
                 f"{r['sockets_gb_per_s']:.1f} GB/s")
        return r

    def micro(self):
        """parts of the arithmetic and of the wire, one by one"""
        measured = self.micro_benchmarks(
            "-^limit/", runs.ROOT / "build/release/bench_micro.json")
        found = {name: {"real_us": b["real_time"], "cpu_us": b["cpu_time"]}
                 for name, b in measured.items()}

        # A round of one peer, without what lies between it and the server.
        def round_us(model):
            return sum(found[f"{part}/{model}"]["cpu_us"]
                       for part in ("generate", "learn", "feedback", "step"))
        if "learn/dcgan-64-bf16" in found:
            plain, short = round_us("dcgan-64"), round_us("dcgan-64-bf16")
            self.row("DCGAN-64, bf16 against float32",
                     f"[{plain / short:.2f}]", ">= 1.5 with AMX",
                     f"{plain / 1e3:.0f} and {short / 1e3:.0f} ms")
        return found

    def round(self):
        """where the time of a round goes (uses micro, too)"""
        if "micro" not in self.results:
            self.results["micro"] = self.micro()
        result = self.compare(["tcp", "no-sockets"], repeats=1, rounds=200)
        show_round(result, self.results["micro"])
        return result

    def printed(self, *command):
        return runs.printed(runs.Setting(tuned=self.core), *command)


def show_round(result, micro):
    """The parts of a round, N = 10, b = 10, k = 2, one after the other.

    What server and peers compute is the processor time it took in a run without
    sockets; the rest are the small benchmarks' times the number of messages.
    """
    s = result["setting"]
    n, k = s["peers"], s["k"]
    seconds = result["runs"]["no-sockets"][-1]["phases"]
    ms = {name: value * 1e3 for name, value in seconds.items()}

    def small(part, message, clock="cpu_us"):
        found = [v for name, v in micro.items()
                 if name.startswith(f"{part}/{message}-mnist")]
        return found[0][clock] / 1e3
    # Frames are made once a batch; an envelope goes to each of the peers.
    batches = n * min(2, k)
    serialise = (k * small("frames", "batch") + batches *
                 small("encode", "batch") + n * (small("frames", "feedback") +
                                                 small("encode", "feedback")))
    decode = batches * small("decode", "batch") + n * small("decode",
                                                           "feedback")
    wire = batches * small("tcp", "batch", "real_us") + n * small(
        "tcp", "feedback", "real_us")
    adam = micro["adam/mlp"]["cpu_us"] / 1e3
    with_average = micro["adam/mlp-with-average"]["cpu_us"] / 1e3
    print("\nWhere the time of a round goes (MLP, 10 peers, b = 10, k = 2; ms "
          "of processor,\nall peers together)")
    for name, value in (
            ("generate (G forward)", ms["generate"]),
            ("serialise", serialise),
            ("wire (time, one message at a time)", wire),
            ("decode", decode),
            ("D forward/backward and step", ms["learn"]),
            ("  Adam by itself would take", adam * n),
            ("feedback (D forward, backward to X)", ms["feedback"]),
            ("merge", ms["merge"]),
            ("G backward and step", ms["step"]),
            ("  Adam and average by themselves", with_average),
            ("swap, a hundredth of one", ms["swap"])):
        print(f"  {name:38} {value:9.3f}")
    print("  the server's view over TCP: " + ", ".join(
        f"{name} {value * 1e3:.2f}" for name, value
        in result["runs"]["tcp"][-1]["phases"].items()))


BENCHMARKS = {name.replace("_", "-"): getattr(Suite, name) for name in (
    "torch", "torch_tuned", "no_sockets", "cnn", "dcgan", "keys", "wire",
    "scale", "broadcast", "micro", "round")}


def show_table(rows):
    print(f"\n{'what':40} {'measured':>16}  {'aim':8} range and rates")
    for what, value, aim, note in rows:
        print(f"{what:40} {value:>16}  {aim:8} {note}".rstrip())
    print("[in processor time]")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    listed = "\n".join(f"  {name:12} {function.__doc__}"
                       for name, function in BENCHMARKS.items())
    p = argparse.ArgumentParser(
        prog="bench.sh", description=__doc__,
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", metavar="NAME",
                   help="only these [all]")
    p.add_argument("--repeats", type=int, default=3,
                   help="of what is compared with PyTorch, or without "
                   "sockets [3]")
    p.add_argument("--data", type=pathlib.Path,
                   help="MNIST's files [MDGAN_MNIST_DIR or Fashion-MNIST]")
    p.add_argument("--tuned", metavar="CORETYPE", default=best_core(),
                   help="OPENBLAS_CORETYPE of the tuned ones [%(default)s]")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE",
                   default=runs.ROOT / "build/release/bench.json")
    a = p.parse_args()
    unknown = set(a.names) - BENCHMARKS.keys()
    if unknown:
        p.error(f"no benchmark {', '.join(unknown)}: "
                f"choose of {', '.join(BENCHMARKS)}")
    suite = Suite(a.data, a.tuned, a.repeats)
    failed = False
    for name in a.names or BENCHMARKS:
        print(f"{name}: {BENCHMARKS[name].__doc__}", flush=True)
        try:
            suite.results[name] = BENCHMARKS[name](suite)
        except runs.Failed as error:  # the others are still worth having
            print(f"{name} failed: {error}", file=sys.stderr)
            failed = True
    if suite.rows:
        show_table(suite.rows)
    a.json.write_text(json.dumps(
        {"time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
         "machine": platform.platform(), "cores": os.cpu_count(),
         "load": os.getloadavg(), "tuned": a.tuned, "table": suite.rows,
         **suite.results}, indent=2) + "\n")
    print(f"everything is in {a.json}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
