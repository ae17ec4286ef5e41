"""Starts what is to be measured, reads the figures, and cleans up.

Every arm is a function of a Setting that returns a Run. Programs run in a
temporary folder; they are ended and it is removed whatever happens.
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build" / os.environ.get("MDGAN_BENCH_PRESET", "release") / "bin"
YARDSTICK = pathlib.Path(__file__).with_name("mdgan_torch.py")
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
DEADLINE_S = 600  # of one run
PNGS = 2000  # pictures in a folder of them

# channels x height x width of what a model is measured on
SHAPES = {"mlp": (1, 28, 28), "mnist-cnn": (1, 28, 28), "dcgan": (3, 32, 32),
          "dcgan-64": (3, 64, 64), "resnet-64": (3, 64, 64)}


@dataclasses.dataclass(kw_only=True)
class Setting:
    model: str = "mlp"
    peers: int = 10
    batch: int = 10
    k: int = 2
    rounds: int = 400
    warm_up: int = 20  # rounds that are not counted
    swap: int = 100  # a swap every so many rounds; 0: never
    tuned: str = ""  # OPENBLAS_CORETYPE for every program
    data: pathlib.Path = None
    device: str = "cpu"  # of the server, local peers and the yardstick
    precision: str = "float32"
    python: str = ""  # that has PyTorch; Debian's, if empty
    extra: tuple = ()  # more flags for the server
    variables: dict = dataclasses.field(default_factory=dict)  # environment's

    @property
    def values(self):
        """Numbers in one image."""
        c, h, w = SHAPES[self.model]
        return c * h * w

    @property
    def environment(self):
        """Out of the box means without what this shell says about it."""
        env = {k: v for k, v in os.environ.items()
               if k not in ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS")
               and not k.startswith(("MALLOC_", "MDGAN_"))}
        if self.tuned:
            env["OPENBLAS_CORETYPE"] = self.tuned
        return env | self.variables


@dataclasses.dataclass
class Run:
    rounds_per_s: float
    cpu_s_per_round: float  # of all processes together
    # what only this project's programs tell
    phases: dict = None  # seconds a round, of the server
    sent: float = 0  # bytes a round, by the server
    received: float = 0
    server_rss: int = 0  # bytes
    peers_rss: int = 0  # of all peer processes together
    # what only the yardstick tells, of a round
    operations: int = 0  # floating point
    moved: int = 0  # bytes of weights and moments, at the least


class Failed(Exception):
    """A program ended early or never came to its first round."""


# --- data ---------------------------------------------------------------------

def default_data():
    return pathlib.Path(os.environ.get("MDGAN_MNIST_DIR") or FASHION)


@contextlib.contextmanager
def data_for(model, given=None):
    """A folder of images: MNIST's, or made-up ones: CIFAR-10's file, or PNGs."""
    if SHAPES[model] == (1, 28, 28):
        yield (given or default_data()).resolve()
        return
    with temporary_folder() as folder:
        draw = random.Random(1)
        if SHAPES[model] == (3, 64, 64):
            for i in range(PNGS):
                file = folder / str(i % 10) / f"{i}.png"
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(png(64, 64, draw))
            yield folder
            return
        (folder / "data_batch_1.bin").write_bytes(
            b"".join(bytes([i % 10]) + draw.randbytes(3072)
                     for i in range(10_000)))
        yield folder


def png(width, height, draw):
    """A picture in colour, of noise."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + \
            struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + draw.randbytes(3 * width) for _ in range(height))
    return b"\x89PNG\r\n\x1a\n" + \
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + \
        chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def images_in(folder):
    """How many training images a folder of data_for() has."""
    if (folder / "0").is_dir():
        return PNGS
    cifar = folder / "data_batch_1.bin"
    return cifar.stat().st_size // 3073 if cifar.exists() else 60_000


# --- processes ----------------------------------------------------------------

@contextlib.contextmanager
def temporary_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mdgan-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Processes:
    """Children with their children, all of which end with the `with`."""

    def __init__(self, folder, env):
        self.folder, self.env, self.started = folder, env, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process, _ in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process, _ in self.started:
            process.wait()

    def start(self, name, *command):
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(c) for c in command], cwd=self.folder, env=self.env,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True)
        self.started.append((process, log))
        return process, log

    def check(self):
        for process, log in self.started:
            if process.poll() is not None:
                raise Failed(f"{process.args[0]} ended with "
                             f"{process.returncode}:\n"
                             f"{log.read_text()[-2000:]}")

    def cpu_seconds(self):
        return sum(cpu_seconds(process.pid) for process, _ in self.started)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def wait_until(ready, processes, what):
    """What `ready` returns as soon as it is not None."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if (value := ready()) is not None:
            return value
        processes.check()
        time.sleep(0.02)
    raise Failed(f"{what} did not happen in {DEADLINE_S} s")


# --- this project -------------------------------------------------------------

def server_command(s, folder):
    shard = images_in(s.data) // s.peers
    # A swap every floor(shard * E / batch) rounds; the half keeps it clear of
    # a rounding error.
    epochs = (s.swap + 0.5) * s.batch / shard if s.swap else 0
    c, h, w = SHAPES[s.model]
    return (BIN / "mdgan-server", "train", "--model", s.model.partition("-64")[0],
            "--condition", "none", "--image", f"{c}x{h}x{w}", "--classes", 10,
            "--k", s.k, "--batch", s.batch, "--rounds", 1_000_000_000,
            "--swap-epochs", f"{epochs:.9f}", "--min-peers", s.peers,
            "--stats-every", s.warm_up, "--samples-every", 0,
            "--checkpoint-every", 0, "--device", s.device, "--precision",
            s.precision, "--run-dir", folder / "run", *s.extra)


def ticks(folder):
    """The records of stats.jsonl so far."""
    file = folder / "run/stats.jsonl"
    lines = file.read_text().splitlines(True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def measured(s, folder, processes, server):
    """Waits for the rounds and reads the figures; the programs still run."""
    def after(rounds):
        def ready():
            done = ticks(folder)
            return done if done and done[-1]["round"] >= rounds else None
        return wait_until(ready, processes, f"round {rounds}")

    started = after(s.warm_up)[-1]["round"]
    cpu = processes.cpu_seconds()
    done = after(s.warm_up + s.rounds)
    cpu = processes.cpu_seconds() - cpu
    server_rss = resident_bytes(server.pid)
    everything = sum(resident_bytes(p.pid) for p, _ in processes.started)
    counted = [t for t in done if t["round"] > started]
    rounds = done[-1]["round"] - started

    def mean(value):
        return sum(value(t) for t in counted) / len(counted)
    return Run(
        rounds_per_s=1 / mean(lambda t: t["seconds_per_round"]),
        cpu_s_per_round=cpu / rounds,
        phases={name: mean(lambda t, n=name: t["seconds"][n])
                for name in counted[0]["seconds"]},
        sent=sum(t["bytes_sent"] for t in counted) / rounds,
        received=sum(t["bytes_received"] for t in counted) / rounds,
        server_rss=server_rss, peers_rss=everything - server_rss)


@contextlib.contextmanager
def served(s, *flags):
    """A server that waits for its peers, and where they reach it."""
    with temporary_folder() as folder, \
            Processes(folder, s.environment) as processes:
        server, _ = processes.start("server", *server_command(s, folder),
                                      *flags)

        def endpoint():
            status = folder / "run/status.json"
            return status.exists() and \
                json.loads(status.read_text())["endpoint"] or None
        yield folder, processes, server, endpoint


def peer_command(s, endpoint):
    return (BIN / "mdgan-peer", "--server", endpoint, "--data", s.data,
            "--quiet")


def tcp(s):
    """A server and a process a peer."""
    with served(s, "--bind", "tcp://127.0.0.1:0") as (folder, processes, server,
                                                      endpoint):
        at = wait_until(endpoint, processes, "the server's start")
        for i in range(s.peers):
            processes.start(f"peer{i}", *peer_command(s, at), "--shard",
                            f"{i}/{s.peers}", "--name", f"p{i}")
        return measured(s, folder, processes, server)


def keys(s):
    """The same with keys: what is sent is encrypted."""
    with temporary_folder() as made:
        def keygen(program, name, *flags):
            subprocess.run([BIN / program, "keygen", "--key",
                            made / f"{name}.key", *flags], check=True,
                           stdout=subprocess.DEVNULL)
            return (made / f"{name}.pub").read_text()
        own = keygen("mdgan-server", "server").split()[0]
        (made / "authorized_peers").write_text("".join(
            keygen("mdgan-peer", f"p{i}", "--name", f"p{i}")
            for i in range(s.peers)))
        with served(s, "--bind", "tcp://127.0.0.1:0", "--key",
                    made / "server.key") as (folder, processes, server,
                                             endpoint):
            at = wait_until(endpoint, processes, "the server's start")
            for i in range(s.peers):
                processes.start(f"peer{i}", *peer_command(s, at), "--shard",
                                f"{i}/{s.peers}", "--name", f"p{i}", "--key",
                                made / f"p{i}.key", "--server-key", own)
            return measured(s, folder, processes, server)


def sessions(s):
    """A server and one process that hosts all peers."""
    with served(s, "--bind", "tcp://127.0.0.1:0") as (folder, processes, server,
                                                      endpoint):
        at = wait_until(endpoint, processes, "the server's start")
        processes.start("peers", *peer_command(s, at), "--sessions", s.peers)
        return measured(s, folder, processes, server)


def local(s):
    """One process with server and peers (--local-peers)."""
    flags = "--local-peers", s.peers, "--data", s.data
    with served(s, *flags) as (folder, processes, server, _):
        return measured(s, folder, processes, server)


# --- what it is measured against ----------------------------------------------

def printed(s, *command):
    """Runs a program that prints one line of JSON, which is returned."""
    with temporary_folder() as folder, \
            Processes(folder, s.environment) as processes:
        process, log = processes.start("yardstick", *command)
        try:
            code = process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"{command[0]} took over {DEADLINE_S} s") from None
        text = log.read_text()
        lines = [x for x in text.splitlines() if x.startswith("{")]
        if code != 0 or not lines:
            raise Failed(f"{command} ended with {code}:\n{text[-2000:]}")
        return json.loads(lines[-1])


def flags_of(s):
    return [f for name in ("model", "peers", "batch", "k", "swap", "warm_up",
                           "data")
            for f in ("--" + name.replace("_", "-"), getattr(s, name))] + [
                "--rounds", s.rounds + s.warm_up]


def yardstick_flags(s):
    """It reads no PNGs: in place of made-up ones it makes up its own images."""
    flags = flags_of(s)
    flags[1] = s.model.partition("-64")[0]
    if SHAPES[s.model] == (3, 64, 64):
        at = flags.index("--data")
        flags[at:at + 2] = "--noise", "3x64x64"
    return flags + ["--device", s.device, "--precision", s.precision]


def torch(s):
    """The plain PyTorch MD-GAN."""
    # Debian's PyTorch is for Debian's Python, whichever this one is.
    python = s.python or ("/usr/bin/python3"
                          if os.path.exists("/usr/bin/python3")
                          else sys.executable)
    result = printed(s, python, YARDSTICK, *yardstick_flags(s))
    return Run(result["rounds_per_s"], result["cpu_s_per_round"],
               operations=result["operations"], moved=result["bytes"])


def torch_keeping_pages(s):
    """The same, glibc told to keep pages, as our own programs tell it."""
    keep = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20),
            "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
            "MALLOC_TOP_PAD_": str(64 << 20)}
    return torch(dataclasses.replace(s, variables=keep))


def no_sockets(s):
    """The same arithmetic in one process, without sockets."""
    result = printed(s, BIN / "bench_no_sockets", *flags_of(s))
    return Run(result["rounds_per_s"], result["cpu_s_per_round"],
               phases=result["seconds"])


def bare_sockets(s):
    """The same arithmetic, a process a peer, blocking TCP sockets between."""
    result = printed(s, BIN / "bench_bare_sockets", *flags_of(s))
    return Run(result["rounds_per_s"], result["cpu_s_per_round"])


ARMS = {"tcp": tcp, "keys": keys, "sessions": sessions, "local": local, "torch": torch,
        "torch-keeping-pages": torch_keeping_pages, "no-sockets": no_sockets,
        "bare-sockets": bare_sockets}
