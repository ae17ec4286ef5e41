#!/usr/bin/env python3
"""Measures this project on a GPU, beside the processor and PyTorch.

  benchmark.py [--python PYTHON] [--models mlp dcgan-64 resnet-64]

For each model: rounds/s of one process with server and four peers
(--local-peers) on the GPU and on the processor, the phases of a round on the
GPU, and rounds/s of the plain PyTorch MD-GAN (tests/bench/mdgan_torch.py) of
--python on the same GPU. Products are float32 everywhere; with --precision tf32
they are TF32 on the GPU. The arms run in turn; what is printed are medians.
"""
import argparse
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("MDGAN_BENCH_PRESET", "gpu")
sys.path.insert(0, str(ROOT / "tests/bench"))
import runs  # noqa: E402

PEERS = 4


def arms(a, model, data):
    """name: what it runs, and its Setting."""
    def setting(device, rounds):
        return runs.Setting(
            model, peers=PEERS, batch=a.batch, rounds=rounds,
            warm_up=max(2, rounds // 10), data=data, device=device,
            precision="float32" if device == "cpu" else a.precision,
            python=a.python)
    found = {"gpu": (runs.local, setting(a.device, a.rounds))}
    if a.python:
        found["PyTorch, same GPU"] = (runs.torch, setting(a.device, a.rounds))
    found["processor"] = (runs.local, setting("cpu", max(10, a.rounds // 20)))
    return found


def measure(a, model):
    with runs.data_for(model, a.data) as data:
        each = arms(a, model, data)
        found = {name: [] for name in each}
        for _ in range(a.repeats):
            for name, (run, setting) in each.items():
                found[name].append(run(setting))
    rates = {name: statistics.median(r.rounds_per_s for r in found[name])
             for name in found}
    print(f"\n{model}, {PEERS} sessions, batch {a.batch}, {a.precision}")
    for name, rate in rates.items():
        beside = "" if name == "gpu" else \
            f"   the GPU: {rates['gpu'] / rate:.2f} x"
        print(f"  {name:20} {rate:9.2f} rounds/s{beside}")
    phases = found["gpu"][-1].phases
    print("  of a round on the GPU: " + ", ".join(
        f"{name} {seconds * 1e3:.2f} ms" for name, seconds in phases.items()))


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--models", nargs="+", choices=runs.SHAPES,
                   default=["mlp", "dcgan-64", "resnet-64"])
    p.add_argument("--device", default="cuda")
    p.add_argument("--precision", default="float32",
                   choices=("float32", "tf32"))
    p.add_argument("--python", default="", help="one that has torch with CUDA")
    p.add_argument("--data", type=pathlib.Path, help="MNIST's files, for mlp")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rounds", type=int, default=400)
    p.add_argument("--repeats", type=int, default=3)
    a = p.parse_args()
    if not a.python:
        print("no python3 has torch with CUDA: PyTorch is not measured")
    for model in a.models:
        measure(a, model)


if __name__ == "__main__":
    try:
        main()
    except (runs.Failed, KeyboardInterrupt) as error:
        sys.exit(f"benchmark.py: {error}")
