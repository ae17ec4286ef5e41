#!/usr/bin/env python3
"""Attacks a server that trains with two honest peers, and tells what that costs:
rounds/s before, during and after, how much memory the server and the peers take
more, how many lines their logs grow by more than without it, and what the attacker says it got done.
The row `honest` has no attacker, but a third peer: what any member costs. Ends with
1, and says why, if an attack costs more than it may: a fifth of the rounds/s (of a
member, beyond what that third peer costs), 32 MiB, 100 lines of log, or a fifth of the
rounds/s once it is over. What members do is measured for longer: an exchange that they
spoil costs seconds, but no second one soon."""
import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import attacks
from kill_server import write_data

LEAST_RATIO = 0.8  # of the rounds/s
LONGER = 4         # times as long as strangers are members measured
MOST_MIB = 32      # of the server, and of its peers together
MOST_LINES = 100   # of the logs


class Victims:
    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        self.run = folder / "run"
        self.logs = folder / "logs"
        self.logs.mkdir()
        write_data(folder / "data", side=attacks.SIDE)
        server = self.start("server", [
            programs / "mdgan-server", "train", "--bind", "tcp://127.0.0.1:*",
            "--min-peers", "2", "--rounds", "100000000", "--samples-every", "0",
            "--checkpoint-every", "1000", "--stats-every", "1000",
            "--batch", str(attacks.BATCH), "--swap-epochs", "5", "--run-dir", self.run])
        self.processes = [server]
        self.endpoint = self.wait_for("endpoint")
        for i in (0, 1):
            self.processes.append(self.start(f"peer-{i}", self.peer(i)))
        while self.status().get("round", 0) < 100:
            time.sleep(0.2)

    def peer(self, i):
        return [self.programs / "mdgan-peer", "--server", self.endpoint, "--data",
                self.folder / "data", "--shard", f"{i}/3", "--name", f"peer-{i}",
                "--state-dir", self.folder / "state"]

    def start(self, name, command):
        output = (self.logs / name).open("w")
        return subprocess.Popen(command, stdout=output, stderr=output)

    def status(self):
        try:
            return json.loads((self.run / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def wait_for(self, key):
        while not self.status().get(key):
            time.sleep(0.1)
        return self.status()[key]

    def rate(self, seconds):
        """Rounds/s, and the most memory in MiB meanwhile: server, all peers."""
        first, begun, most = self.status()["round"], time.monotonic(), [0, 0]
        while time.monotonic() < begun + seconds:
            time.sleep(0.25)
            memory = [self.memory(p) for p in self.processes]
            most = [max(most[0], memory[0]), max(most[1], sum(memory[1:]))]
        return (self.status()["round"] - first) / (time.monotonic() - begun), most

    @staticmethod
    def memory(process):
        text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    def lines(self):
        return sum(len(p.read_bytes().splitlines()) for p in self.logs.iterdir())

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def is_member(name):
    return name == "honest" or attacks.ATTACKS[name] in attacks.MEMBERS


def attack(name, programs, seconds, times, keep):
    """The ratio of rounds/s, and what is beyond what an attack may cost."""
    with tempfile.TemporaryDirectory() as folder:
        victims = Victims(programs, pathlib.Path(folder))
        told = pathlib.Path(folder) / "told"
        command = victims.peer(2) if name == "honest" else \
            [sys.executable, __file__, "--attack", name, victims.endpoint]
        try:
            victims.rate(3)  # warm
            had = victims.lines()
            before, memory = victims.rate(seconds)
            usual = victims.lines() - had
            quiet, ratios, during, lines, most = [before], [], [], 0, [0, 0]
            for _ in range(times):
                had = victims.lines()
                with told.open("w") as output:
                    attacker = subprocess.Popen(command, stdout=output,
                                                stderr=subprocess.DEVNULL)
                rate, more = victims.rate(seconds)
                ended = attacker.poll() is not None
                attacker.send_signal(signal.SIGKILL)
                attacker.wait()
                during.append(rate)
                lines = max(lines, victims.lines() - had - usual)
                most = [max(a, b) for a, b in zip(most, more)]
                quiet.append(victims.rate(seconds)[0])
                ratios.append(rate / statistics.mean(quiet[-2:]))
            most = [a - b for a, b in zip(most, memory)]
            what = "a third peer" if name == "honest" else \
                attacks.ATTACKS[name].__doc__
            got = "" if name == "honest" else last_line(told)
            if ended:
                got += " (the attacker ended by itself)"
            print(f"| {what} | {before:.0f} | {statistics.median(during):.0f} | "
                  f"{quiet[-1]:.0f} | {statistics.median(ratios):.2f} | "
                  f"{quiet[-1] / before:.2f} | {most[0]:.0f} | "
                  f"{most[1]:.0f} | {lines} | {got} |", flush=True)
            if keep:
                for log in victims.logs.iterdir():
                    (keep / f"{name}-{log.name}").write_bytes(log.read_bytes())
        finally:
            victims.stop()
    excess = {f"{quiet[-1] / before:.2f} of the rounds/s after it":
              quiet[-1] / before < LEAST_RATIO,
              f"{max(most):.0f} MiB": max(most) > MOST_MIB,
              f"{lines} lines of log": lines > MOST_LINES}
    return statistics.median(ratios), [f"{name}: {what}" for what, is_so
                                       in excess.items() if is_so]


def last_line(path):
    """What the attacker told last, in words."""
    for line in reversed(path.read_text().splitlines()):
        try:
            return ", ".join(f"{count:,} {what}" for what, count
                             in json.loads(line).items())
        except ValueError:
            pass  # it was killed while it wrote
    return "NOTHING"


def main():
    rows = ["honest", *attacks.ATTACKS]
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("attacks", nargs="*", default=rows, metavar="ATTACK",
                        help=", ".join(rows))
    parser.add_argument("--bin", type=pathlib.Path,
                        default=pathlib.Path("build/release/bin"))
    parser.add_argument("--seconds", type=float, default=15,
                        help=f"of each measurement of strangers; {LONGER} times as "
                        "long of members")
    parser.add_argument("--times", type=int, default=1,
                        help="as often each attack comes and goes; medians are shown")
    parser.add_argument("--keep", type=pathlib.Path,
                        help="a folder that gets the logs of server and peers")
    parser.add_argument("--attack", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        attacks.begin(*options.attack)
        return
    unknown = set(options.attacks) - set(rows)
    if unknown:
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    print("| attack | rounds/s before | during | after | during : quiet | "
          "after : before | server MiB | peers MiB | log lines | the attacker's count |\n"
          "|---|---|---|---|---|---|---|---|---|---|", flush=True)
    excess, honest = [], 1
    for name in options.attacks:
        seconds = options.seconds * (LONGER if is_member(name) else 1)
        ratio, beyond = attack(name, options.bin.resolve(), seconds, options.times,
                               options.keep)
        if name == "honest":
            honest = min(ratio, 1)
            continue
        excess += beyond
        if ratio < LEAST_RATIO * (honest if is_member(name) else 1):
            excess.append(f"{name}: {ratio:.2f} of the rounds/s")
    if excess:
        sys.exit("beyond what an attack may cost:\n  " + "\n  ".join(excess))


if __name__ == "__main__":
    main()
