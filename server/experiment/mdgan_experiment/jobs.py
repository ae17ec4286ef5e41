"""Starts, watches and ends the programs of one run: an arm with one seed.

A job's folder is the run folder of its mdgan-server. The output of the programs
goes to FOLDER.log beside it.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from .definition import Refused

LISTEN_WAIT_S = 1800  # until a server listens: it may train a classifier first
END_WAIT_S = 10  # how long peers may take to end after their server


def newest_checkpoint(folder):
    """The round of the newest checkpoint; 0 if there is none."""
    names = [p.name for p in (folder / "checkpoints").glob("*")
             if re.fullmatch(r"\d+", p.name) and (p / "manifest.json").exists()]
    return max(map(int, names), default=0)


def last_round(folder):
    """The last round in stats.jsonl; 0 if there is none."""
    try:
        with (folder / "stats.jsonl").open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            rounds = re.findall(rb'^\{"round":\s*(\d+).*\n', file.read(), re.M)
    except OSError:
        return 0
    return int(rounds[-1]) if rounds else 0


def status_of(folder, pid):
    """What status.json says of the server with this process id; {} before that
    has written one."""
    try:
        status = json.loads((folder / "status.json").read_bytes())
    except FileNotFoundError:
        return {}
    return status if status["pid"] == pid else {}


def environment():
    """Without this shell's MDGAN_ variables: they would stand above an arm's
    options, and nothing would record them."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith("MDGAN_")}


class Job:
    """A run whose peers are in the server's process."""

    def __init__(self, experiment, arm, seed, folder, data, programs):
        self.experiment, self.arm, self.seed = experiment, arm, seed
        self.folder, self.data = pathlib.Path(folder), data
        self.programs = pathlib.Path(programs)
        self.log = self.folder.with_name(self.folder.name + ".log")
        self.server = None
        self.first_round = 0  # the round that this start continues from

    @property
    def name(self):
        return f"{self.arm.name}/seed-{self.seed}"

    @property
    def rounds(self):
        return self.experiment.rounds

    # --- what earlier starts have left ---

    def done(self):
        return self.trained() and self.evaluated()

    def trained(self):
        return newest_checkpoint(self.folder) >= self.rounds

    def evaluated(self):
        """Whether the last round has been evaluated. It has not if the run was
        killed between its last checkpoint and its last evaluation."""
        last = f'"round":{self.rounds},'
        return not self.experiment.evaluate_every or any(
            last in file.read_text().replace(" ", "")
            for file in self.folder.glob("metric-fid*.jsonl"))

    def resumable(self):
        return newest_checkpoint(self.folder) > 0

    def progress(self):
        return min(self.rounds, last_round(self.folder))

    # --- commands ---

    def flags(self):
        """The flags of mdgan-server train."""
        options = {**self.arm.options, **self.peer_flags(),
                   "rounds": self.rounds, "seed": self.seed}
        if self.experiment.evaluate_every:
            options["evaluate-every"] = self.experiment.evaluate_every
        flags = []
        if self.arm.config:
            flags += ["--config", self.arm.config]
        for key, value in options.items():
            flags += ["--" + key, value]
        return [str(f) for f in [*flags, "--run-dir", self.folder]]

    def peer_flags(self):
        return {"local-peers": self.arm.peers, "data": self.data}

    def command(self):
        server = str(self.programs / "mdgan-server")
        if self.trained():
            return [server, "evaluate", "--run", str(self.folder),
                    "--data", str(self.data)]
        return [server, "train", *self.flags()]  # begins or goes on

    # --- processes ---

    def start(self):
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self.trained() or self.resumable():
            self.first_round = newest_checkpoint(self.folder)
        else:  # nothing is lost: it has trained no round that it could keep
            self.remove_folder()
        self.server = self.launch(self.command())

    def remove_folder(self):
        """Removes the run folder; raises OSError if a server still works in it,
        which happens when its runner was killed."""
        with contextlib.suppress(FileNotFoundError), \
                (self.folder / "lock").open() as lock:
            for attempt in range(5):  # a look at its status has it for a moment
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
            else:
                raise OSError(f"a server still works in {self.folder}; end it "
                              "first")
        shutil.rmtree(self.folder, ignore_errors=True)

    def launch(self, command):
        # In a session of its own the program gets no Ctrl-C from the terminal,
        # only the signal that stop() sends.
        with self.log.open("ab") as log:
            log.write((" ".join(command) + "\n").encode())
            log.flush()
            return subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log,
                                    env=environment(),
                                    start_new_session=True)

    def poll(self):
        """The server's exit code, or None while it runs."""
        return self.server.poll()

    def stop(self):
        """Asks the server to finish the round, save and end."""
        self.server.send_signal(signal.SIGINT)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.server.kill()
        self.server.wait()


class LosingJob(Job):
    """A run with N peer processes, of which one is killed (SIGKILL) every
    rounds/N rounds until one is left. It cannot be resumed, because that would
    start the killed peers again."""

    def __init__(self, *args):
        super().__init__(*args)
        self.peers, self.to_lose = [], []

    def resumable(self):
        return False

    def peer_flags(self):
        n = self.arm.peers
        flags = {"local-peers": 0, "min-peers": n,
                 "bind": "tcp://127.0.0.1:0",
                 # often enough to kill each peer close to its round
                 "stats-every": max(1, min(50, self.rounds // (4 * n)))}
        if self.experiment.evaluate_every:
            flags["evaluate-data"] = self.data
        return flags

    def start(self):
        self.training = not self.trained()
        super().start()
        self.deadline = time.monotonic() + LISTEN_WAIT_S
        n = self.arm.peers
        self.peers = []
        self.to_lose = [self.rounds * (i + 1) // n for i in range(n - 1)]

    def poll(self):
        code = super().poll()
        if code is not None:
            self.end_peers()
        elif self.training:
            self.kill_peers_due() if self.peers else self.start_peers()
        return code

    def start_peers(self):
        endpoint = status_of(self.folder, self.server.pid).get("endpoint")
        if not endpoint:
            if time.monotonic() > self.deadline:
                with self.log.open("a") as log:
                    log.write(f"the server did not listen within "
                              f"{LISTEN_WAIT_S} s and was killed\n")
                self.server.kill()
            return
        n = self.arm.peers
        self.peers = [self.launch(
            [str(self.programs / "mdgan-peer"), "--server", endpoint,
             "--data", str(self.data), "--shard", f"{i}/{n}",
             "--name", f"peer-{i}", "--state-dir", str(self.folder / "peers"),
             "--quiet"]) for i in range(n)]

    def kill_peers_due(self):
        round_ = last_round(self.folder)
        while self.to_lose and round_ >= self.to_lose[0]:
            self.to_lose.pop(0)
            # The live peer with the lowest number.
            number = self.arm.peers - 2 - len(self.to_lose)
            self.peers[number].kill()
            self.peers[number].wait()
            with (self.folder / "lost.jsonl").open("a") as file:
                file.write(json.dumps({"round": round_,
                                       "peer": f"peer-{number}"}) + "\n")

    def end_peers(self):
        for peer in self.peers:
            try:
                peer.wait(END_WAIT_S)
            except subprocess.TimeoutExpired:
                peer.kill()
                peer.wait()

    def kill(self):
        super().kill()
        for peer in self.peers:
            peer.kill()
            peer.wait()


def check(job):
    """Lets mdgan-server check the options of a job; raises Refused with the
    server's error."""
    command = [str(job.programs / "mdgan-server"), "train", *job.flags(),
               "--dry-run"]
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL,
                                env=environment(), capture_output=True,
                                text=True, timeout=60)
    except OSError as error:
        raise Refused(f"{command[0]} cannot be started: {error.strerror}; name "
                      "the folder of the programs with --bin") from None
    except subprocess.TimeoutExpired:
        raise Refused(f"{command[0]} train --dry-run did not end within a "
                      "minute; try it by hand, or name other programs with "
                      "--bin") from None
    if answer.returncode != 0:
        error = answer.stderr.strip() or answer.stdout.strip()
        raise Refused(f"{job.experiment.path}: [arm {job.arm.name}]: {error}")


def make(experiment, arm, seed, out, data, programs):
    kind = LosingJob if arm.lose_peers else Job
    return kind(experiment, arm, seed,
                pathlib.Path(out) / arm.name / f"seed-{seed}", data, programs)
