"""Runs the commands that the documentation shows, with small settings, and checks
that every --flag it names exists.

  readme_test.py REPOSITORY FOLDER_OF_MDGAN_SERVER [DOCUMENT ...]

A block of commands is indented by four spaces or fenced as ```sh; blocks fenced as
```text are none, and those fenced as ```cpp must compile. Where a block cannot run
here, a comment before it says why: <!-- untested: REASON -->. The commands of a
document run in their order in one folder, in which configs/ is the repository's and
DIR a small data set. A block after <!-- in FOLDER --> runs in a folder of that name
below it, which stands for a host: there a server without local peers, and a peer, go
on running beside what comes next, and have to end with 0. LINE is what `mdgan-server
invite FOLDER` printed, KEY the server's public key, and port 5555 the one on which
the server listens.
"""
import dataclasses
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

from documentation_test import markdown_files

# Its bytes are compared by tests/protocol/document_test.cc.
NOT_COMMANDS = {"protocol/PROTOCOL.md"}
# mdgan-experiment wrote these, each with the command that it was given.
REPORTS = "configs/experiments/results/"
# What may stand in a document beside this project's programs.
ORDINARY = {"mkdir", "tar"}
SECONDS = 300  # of one command
BLOCK = re.compile(
    r"(?:<!-- (?:untested: (?P<reason>[^>]*?)|in (?P<folder>\w+)) -->\n\n)?"
    r"(?:^```(?P<kind>\w*)\n(?P<fenced>(?:.*\n)*?)```$"
    r"|(?<=\n\n)(?P<indented>(?: {4}.*\n)+(?:\n+(?: {4}.*\n)+)*))", re.M)


class Fault(Exception):
    """What the documentation has wrong."""


@dataclasses.dataclass
class Block:
    reason: str  # not to run it; None: it runs
    folder: str  # "" without
    commands: list
    cpp: str = ""


def files_named(name, folder):
    """Below a folder in which programs make and remove files meanwhile, which
    pathlib's glob takes for a failure."""
    for below, _, names in os.walk(folder):
        if name in names:
            yield pathlib.Path(below) / name


def commands_of(code):
    lines = [line.strip() for line in re.sub(r"\\\n\s*", "", code).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def blocks(text):
    found = []
    fences = comments = 0
    for block in BLOCK.finditer(text):
        fences += 2 * (block["indented"] is None)
        comments += bool(block["reason"] or block["folder"])
        kind = block["kind"] if block["indented"] is None else "sh"
        if kind == "cpp":
            found.append(Block(block["reason"], "", [], block["fenced"]))
        elif kind == "sh":
            found.append(Block(
                block["reason"], block["folder"] or "",
                commands_of(block["indented"] or block["fenced"])))
        # tests/python/pictures_test.py runs the lines of python/README.md.
        elif kind not in ("text", "python"):
            raise Fault(f"a block is fenced as '{kind}', not as sh, cpp or text")
    if len(re.findall(r"^ *```", text, re.M)) != fences:
        raise Fault("a fence is indented, or has no end")
    if len(re.findall(r"^<!-- (?:untested|in )", text, re.M)) != comments:
        raise Fault("a comment 'untested' or 'in' has no reason or folder, or no "
                    "block after it")
    return found


def write_digits(folder, part, count):
    """Images of 28x28 with a bar for each of ten classes, as MNIST's files."""
    def number(value):
        return value.to_bytes(4, "big")
    images = bytearray()
    for i in range(count):
        image = bytearray(28 * 28)
        row = 28 * (2 * (i % 10) + 3)
        image[row:row + 28] = bytes([200 + i // 10 % 50]) * 28
        images += image
    (folder / f"{part}-images-idx3-ubyte").write_bytes(
        number(0x803) + number(count) + number(28) * 2 + images)
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(
        number(0x801) + number(count) + bytes(i % 10 for i in range(count)))


def put(arguments, flag, value):
    """Gives `flag` another value, or appends it."""
    if flag in arguments:
        arguments[arguments.index(flag) + 1] = value
    else:
        arguments += [flag, value]


def smaller(arguments):
    """The command with settings that take seconds."""
    if arguments[0] == "mdgan-experiment":
        return arguments + ["--dry-run"]
    if arguments[:2] == ["mdgan-server", "train"]:
        put(arguments, "--rounds", "8" if "--resume" in arguments else "4")
        for flag in ("--checkpoint-every", "--samples-every"):
            put(arguments, flag, "2")
        if "--evaluate-every" in arguments:
            put(arguments, "--evaluate-every", "2")
            put(arguments, "--evaluate-samples", "20")
    if arguments[:2] == ["mdgan-server", "evaluate"]:
        put(arguments, "--samples", "20")
    return arguments


def goes_on(arguments):
    """Whether it runs until others have done their part."""
    if arguments[0] == "mdgan-peer":
        return arguments[1].startswith("--")
    return (arguments[:2] == ["mdgan-server", "train"]
            and not {"--local-peers", "--resume", "--dry-run"} & set(arguments))


class Host:
    """The folder in which a document's commands run, and what runs there."""

    def __init__(self, root, environment):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        (self.folder / "configs").symlink_to(root / "configs")
        (self.folder / "data").mkdir()
        write_digits(self.folder / "data", "train", 400)
        write_digits(self.folder / "data", "t10k", 100)
        self.environment = {**environment, "HOME": str(self.folder),
                            "XDG_CACHE_HOME": str(self.folder / "cache")}
        self.running = []  # (line, log, process)
        self.invitations = {}  # by name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _, log, process in self.running:
            process.kill()
            process.wait()
            log.close()
        self.temporary.cleanup()

    def status(self, field, folder):
        """What status.json of a process has in this field, once it has."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            self.raise_failures()
            pids = {process.pid for _, _, process in self.running}
            for file in files_named("status.json", self.folder / folder):
                status = json.loads(file.read_bytes())
                if status["pid"] in pids and status.get(field):
                    return status[field]
            time.sleep(0.05)
        raise Fault(f"no status.json below '{folder}' has a field {field}")

    def logged(self, text):
        """Waits until a run's log.txt has the text."""
        deadline = time.monotonic() + SECONDS
        while not any(text in file.read_text(encoding="utf-8")
                      for file in files_named("log.txt", self.folder)):
            if time.monotonic() > deadline:
                raise Fault(f"no log.txt says '{text}'")
            time.sleep(0.05)

    def arguments_of(self, line, name):
        line = re.sub(r"--bind tcp://[\w.]+:5555", "--bind tcp://127.0.0.1:0",
                      line)
        if ":5555" in line:
            line = re.sub(r"tcp://[\w.]+:5555", self.status("endpoint", ""), line)
        words = {"DIR": str(self.folder / "data"),
                 "LINE": self.invitations.get(name)}
        if keys := list(files_named("server.pub", self.folder)):
            words["KEY"] = keys[0].read_text().strip()
        return [words.get(word, word) for word in shlex.split(line, comments=True)]

    def run(self, line, name):
        arguments = self.arguments_of(line, name)
        if None in arguments:
            raise Fault(f"nobody was invited as {name}: {line}")
        if not (self.folder / name).is_dir():
            raise Fault(f"no command has made the folder {name}: {line}")
        if arguments == ["mdgan-peer", "status"]:  # there is one after a while
            self.status("server", name)
        if arguments[:2] == ["mdgan-peer", "check"]:  # in less time than a person
            self.logged("2 peers are let in")
        ours = arguments[0].startswith("mdgan-")
        if not ours and arguments[0] not in ORDINARY:
            raise Fault(f"cannot run here, so mark it as untested: {line}")
        # The log's file goes when it is closed; the output alone is a pipe.
        log = tempfile.TemporaryFile("w+", encoding="utf-8")
        invites = arguments[:2] == ["mdgan-server", "invite"]
        one = (line, log, subprocess.Popen(
            smaller(arguments), cwd=self.folder / name, env=self.environment,
            stdout=subprocess.PIPE if invites else log,
            stderr=log if invites else subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True))
        self.running.append(one)
        if invites:
            self.invitations[arguments[2]] = one[2].communicate()[0].strip()
        if not (name and ours and goes_on(arguments)):
            self.finish(one)

    def finish(self, one):
        """Waits for its end, unless another one has failed, which says more."""
        deadline = time.monotonic() + SECONDS
        while one[2].poll() is None and time.monotonic() < deadline:
            self.raise_failures()
            time.sleep(0.05)
        self.raise_failures()
        if one[2].poll() is None:
            raise Fault(said(one, f"no end after {SECONDS} s"))

    def raise_failures(self):
        for one in self.running:
            if one[2].poll() not in (None, 0):
                raise Fault(said(one, one[2].returncode))

    def finish_all(self):
        for one in self.running:
            self.finish(one)


def said(one, code):
    line, log, _ = one
    log.seek(0)
    return f"{line}\n  gave {code}:\n{log.read()[-2000:]}"


def compile_cpp(code, root):
    done = subprocess.run(
        [os.environ.get("CXX", "c++"), "-std=c++20", "-Wall", "-Wextra", "-Werror",
         "-fsyntax-only", "-I", root, "-x", "c++", "-"],
        input=code, capture_output=True, text=True)
    if done.returncode != 0:
        raise Fault(f"C++ that does not compile:\n{code}\n{done.stderr[:2000]}")


@dataclasses.dataclass
class Count:
    ran: int = 0
    untested: int = 0  # commands
    blocks: int = 0  # that are marked as untested


def run_document(file, root, environment, count):
    found = blocks(file.read_text(encoding="utf-8"))
    if not found:
        return
    with Host(root, environment) as host:
        for block in found:
            if str(file.relative_to(root)).startswith(REPORTS):
                block.reason = "a report's command takes hours"
            if block.reason:
                count.untested += len(block.commands)
                count.blocks += 1
                print(f"{file.relative_to(root)}: not run, {block.reason}: "
                      f"{block.commands[0]}", flush=True)
                continue
            if block.cpp:
                compile_cpp(block.cpp, root)
            for line in block.commands:
                host.run(line, block.folder)
            count.ran += len(block.commands)
        host.finish_all()


def known_flags(root, environment):
    helps = [["mdgan-server", "--help"], ["mdgan-peer", "--help"],
             [root / "run.sh", "--help"], [root / "bench.sh", "--help"]]
    helps += [[sys.executable, root / "tests" / script, "--help"]
              for script in ("bench/kill_server.py", "bench/hostile.py",
                             "bench/page_cost.py", "mutants/run.py", "soak/soak.py")]
    helps += [["mdgan-server", command, "--help"]
              for command in ("train", "sample", "evaluate", "export",
                              "advise", "status", "stop", "inspect", "view", "keygen",
                              "invite", "admit")]
    helps += [["mdgan-peer", command, "--help"]
              for command in ("check", "status", "join", "keygen")]
    helps += [["mdgan-experiment", command, "--help"]
              for command in ("run", "report", "canaries", "audit")]
    text = "".join(subprocess.run(command, env=environment, check=True,
                                  capture_output=True, text=True).stdout
                   for command in helps)
    return {"--help", *re.findall(r"--[a-z][a-z0-9-]*", text)}


def flag_faults(file, root, known):
    """Flags in the document's backticks that no program has."""
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"),
                  flags=re.M | re.S)
    named = {flag for code in re.findall(r"`([^`]+)`", text)
             for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", code)}
    return [f"{file.relative_to(root)}: no program has {flag}"
            for flag in sorted(named - known)]


def documents(root, names):
    """The documents named, or all."""
    return [file for file in sorted(markdown_files(root))
            if str(file.relative_to(root)) not in NOT_COMMANDS
            and (not names or str(file.relative_to(root)) in names)]


def main(root, programs, names):
    environment = {**os.environ, "OMP_NUM_THREADS": "1",
                   "PATH": f"{programs}:{os.environ['PATH']}"}
    faults = []
    count = Count()
    known = known_flags(root, environment)
    for file in documents(root, names):
        faults += flag_faults(file, root, known)
        try:
            run_document(file, root, environment, count)
        except Fault as fault:
            faults.append(f"{file.relative_to(root)}: {fault}")
    print("\n".join(faults))
    print(f"{count.ran} commands ran; {count.blocks} blocks with "
          f"{count.untested} commands are marked as untested")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(),
                  pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]))
