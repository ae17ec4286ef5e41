"""Runs the commands that the documentation shows, with small settings, and checks
that every --flag it names exists.

  readme_test.py REPOSITORY FOLDER_OF_MDGAN_SERVER

A block of commands is indented by four spaces or fenced as ```sh; blocks fenced as
```text are none. Where a block cannot run here, a comment before it says why:
<!-- untested: REASON -->. The commands of a document run in their order in one
folder, in which configs/ is the repository's and DIR a small data set. A command
with the comment "on host a" runs at the same time as the block's other ones, once
for each host named.
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

DOCUMENTS = ("README.md", "configs/README.md", "server/evaluate/README.md",
             "docker/README.md", "tests/bench/README.md")
SECONDS = 120
BLOCK = re.compile(
    r"(?:<!-- untested: (?P<reason>[^>]*?) -->\n\n)?"
    r"(?:^```(?P<kind>\w*)\n(?P<fenced>(?:.*\n)*?)```$"
    r"|(?<=\n\n)(?P<indented>(?: {4}.*\n)+))", re.M)


class Fault(Exception):
    """What the documentation has wrong."""


def blocks(text):
    """(reason not to run it or None, commands) of each block."""
    found = []
    for block in BLOCK.finditer(text):
        if block["indented"] is None and block["kind"] == "text":
            continue
        if block["indented"] is None and block["kind"] != "sh":
            raise Fault(f"a block is fenced as '{block['kind']}', "
                        "neither sh nor text")
        code = block["indented"] or block["fenced"]
        lines = [line.strip()
                 for line in re.sub(r"\\\n\s*", "", code).splitlines()]
        found.append((block["reason"], [line for line in lines
                                        if line and not line.startswith("#")]))
    if text.count("<!-- untested") != sum(1 for reason, _ in found if reason):
        raise Fault("a comment 'untested' has no reason or no block after it")
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


def endpoint_of(server, folder):
    """Where a server that picks a free port listens, by its status.json."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        for file in folder.glob("runs/*/status.json"):
            status = json.loads(file.read_bytes())
            if status["pid"] == server.pid and status["endpoint"]:
                return status["endpoint"]
        time.sleep(0.05)
    raise Fault("the server does not listen")


def put(arguments, flag, value):
    """Gives `flag` another value, or appends it."""
    if flag in arguments:
        arguments[arguments.index(flag) + 1] = value
    else:
        arguments += [flag, value]


def smaller(arguments, host):
    """The command with settings that take seconds."""
    if arguments[0] == "mdgan-experiment":
        return arguments + ["--dry-run"]
    if arguments[0] == "mdgan-peer":
        return arguments + ["--name", f"on-{host}", "--state-dir", host]
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


def hosts_of(line):
    """['b', 'c'] of '... # on hosts b and c'; [''] without."""
    note = re.search(r"\s# on hosts? ([a-z](?: and [a-z])*)$", line)
    return note[1].split(" and ") if note else [""]


def start(line, host, folder, running, environment):
    line = re.sub(r"--bind tcp://[\w.]+:5555", "--bind tcp://127.0.0.1:0", line)
    if ":5555" in line:
        line = re.sub(r"tcp://[\w.]+:5555", endpoint_of(running[0][2], folder),
                      line)
    arguments = [str(folder / "data") if word == "DIR" else word
                 for word in shlex.split(line, comments=True)]
    if not arguments[0].startswith("mdgan-"):
        raise Fault(f"cannot run here, so mark it as untested: {line}")
    log = tempfile.TemporaryFile("w+", encoding="utf-8")
    return line, log, subprocess.Popen(
        smaller(arguments, host), cwd=folder, env=environment, stdout=log,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def finish(line, log, process):
    try:
        code = process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        code = f"no end after {SECONDS} s"
    if code != 0:
        log.seek(0)
        raise Fault(f"{line}\n  gave {code}:\n{log.read()[-2000:]}")


def run_block(commands, folder, environment):
    running = []
    try:
        for line in commands:
            hosts = hosts_of(line)
            for host in hosts:
                running.append(start(line, host, folder, running,
                                     environment))
            if hosts == [""]:
                finish(*running[-1])
        for one in running:
            finish(*one)
    finally:
        for _, log, process in running:
            process.kill()
            process.wait()
            log.close()


def run_document(file, root, environment):
    ran = left_out = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "configs").symlink_to(root / "configs")
        (folder / "data").mkdir()
        write_digits(folder / "data", "train", 400)
        write_digits(folder / "data", "t10k", 100)
        environment = {**environment, "HOME": name,
                       "XDG_CACHE_HOME": str(folder / "cache")}
        for reason, commands in blocks(file.read_text(encoding="utf-8")):
            if reason:
                left_out += len(commands)
                print(f"{file.relative_to(root)}: not run, {reason}: "
                      f"{commands[0]}")
                continue
            run_block(commands, folder, environment)
            ran += len(commands)
    return ran, left_out


def known_flags(root, environment):
    helps = [["mdgan-server", "--help"], ["mdgan-peer", "--help"],
             [root / "run.sh", "--help"], [root / "bench.sh", "--help"]]
    helps += [[sys.executable, root / "tests/bench" / script, "--help"]
              for script in ("kill_server.py", "hostile.py")]
    helps += [["mdgan-server", command, "--help"]
              for command in ("train", "sample", "evaluate", "export")]
    helps += [["mdgan-experiment", command, "--help"]
              for command in ("run", "report")]
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


def main(root, programs):
    environment = {**os.environ, "OMP_NUM_THREADS": "1",
                   "PATH": f"{programs}:{os.environ['PATH']}"}
    faults = []
    all_ran = all_left_out = 0
    known = known_flags(root, environment)
    for name in DOCUMENTS:
        file = root / name
        faults += flag_faults(file, root, known)
        try:
            ran, left_out = run_document(file, root, environment)
            all_ran += ran
            all_left_out += left_out
        except Fault as fault:
            faults.append(f"{name}: {fault}")
    print("\n".join(faults))
    print(f"{all_ran} commands ran, {all_left_out} are marked as untested")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(),
                  pathlib.Path(sys.argv[2]).resolve()))
