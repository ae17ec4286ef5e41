#!/usr/bin/python3
"""Takes the protections out of the code, one at a time: their tests must fail.

  run.py [--check] [--rows ROW,...] [--folder DIR] [--report FILE]

Each mutant (mutants.py) replaces one text of one source file. In a copy of HEAD in
DIR, a mutant is put in, what its tests need is built, and the tests run: one that
fails has noticed it. Results are kept in DIR; what has one there is not run again, so
that a run that was stopped goes on.

--check only looks whether each mutant fits: its text stands once in its file, and its
tests exist. It builds nothing, and is a test itself.
"""
import argparse
import collections
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import mutants

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from faults_test import names_in_sources  # noqa: E402

# A test that waits for what a mutant took out would wait for its own, longer limit.
TEST_SECONDS = 180
NAMES = 20  # tests in one call of ctest


def misfits(all_mutants, root):
    """What is wrong with the mutants, as sentences."""
    known = names_in_sources(root / "tests")
    for mutant in all_mutants:
        file = root / mutant.file
        count = file.read_text("utf-8").count(mutant.before) if file.exists() else 0
        if count != 1:
            yield f"{mutant}: its text stands {count} times in {mutant.file}"
        if mutant.before == mutant.after:
            yield f"{mutant}: it changes nothing"
        if not mutant.tests:
            yield f"{mutant}: it names no test"
        for test in mutant.tests:
            if test not in known:
                yield f"{mutant}: there is no test '{test}'"


def say(text):
    print(text, flush=True)


class Copy:
    """A copy of HEAD, and its build folder."""

    def __init__(self, folder):
        self.source = folder / "source"
        self.build = folder / "build"
        self.log = folder / "log.txt"
        folder.mkdir(parents=True, exist_ok=True)

    def prepare(self):
        if not self.source.exists():
            self.call(["git", "clone", "--quiet", "--shared", ROOT, self.source])
        self.call(["git", "-C", self.source, "fetch", "--quiet"])
        head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], check=True,
                              capture_output=True, text=True).stdout.strip()
        self.call(["git", "-C", self.source, "checkout", "--quiet", "--force", head])
        self.call(["cmake", "-S", self.source, "-B", self.build, "-G", "Ninja",
                   "-DCMAKE_BUILD_TYPE=Release", "-DMDGAN_BUILD_TESTS=ON"])
        self.make(["all"])
        return head

    def call(self, command):
        with open(self.log, "a", encoding="utf-8") as log:
            subprocess.run([str(part) for part in command], check=True, stdout=log,
                           stderr=log, stdin=subprocess.DEVNULL)

    def make(self, targets):
        self.call(["cmake", "--build", self.build, "--parallel", str(os.cpu_count()),
                   "--target", *targets])

    def known_tests(self):
        """ctest's names, with the program that each runs."""
        shown = subprocess.run(
            ["ctest", "--show-only=json-v1"], cwd=self.build, check=True,
            capture_output=True, text=True).stdout
        return {test["name"]: test.get("command", [""])
                for test in json.loads(shown)["tests"]}

    def test(self, names):
        """Those of the tests that fail."""
        # A regular expression of CMake's has no room for many names.
        return [failed for first in range(0, len(names), NAMES)
                for failed in self.test_some(names[first:first + NAMES])]

    def test_some(self, names):
        # A name may hold what means something in a regular expression.
        pattern = "|".join(re.sub(r"[^\w ]", ".", name) for name in names)
        junit = self.build / "mutant.xml"
        junit.unlink(missing_ok=True)
        with open(self.log, "a", encoding="utf-8") as log:
            subprocess.run(
                ["ctest", "--output-on-failure", "--timeout", str(TEST_SECONDS),
                 "--parallel", "2",
                 "--output-junit", junit, "-R", f"^({pattern})$"],
                cwd=self.build, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        text = junit.read_text("utf-8", "replace")
        cases = re.findall(r'<testcase name="([^"]*)"[^>]*status="(\w+)"', text)
        ran = collections.Counter(status for _, status in cases)
        if sum(ran.values()) == ran["notrun"] + ran["disabled"]:
            raise RuntimeError(f"none of the tests ran: {names}")
        return [unescape(name) for name, status in cases if status == "fail"]


def unescape(text):
    for entity, character in (("&quot;", '"'), ("&lt;", "<"), ("&gt;", ">"),
                              ("&apos;", "'"), ("&amp;", "&")):
        text = text.replace(entity, character)
    return text


def targets_of(names, known):
    """What has to be built for the tests: what they run, and where that is not a
    program that does it all itself, server and peer."""
    targets = {pathlib.Path(known[name][0]).name for name in names}
    complete = {"unit_tests", "thread_tests", "protocol_tests", "tensor_tests",
                "integration_tests", "shell_tests", "mdgan-simulate"}
    if not targets <= complete:
        targets = targets & (complete | {"e2e_tests"})
        targets |= {"mdgan-server", "mdgan-peer", "mdgan-decode"}
    return sorted(targets)


def run_one(mutant, copy, known):
    """The tests that noticed the mutant; or a word why that is not known."""
    file = copy.source / mutant.file
    sound = file.read_text("utf-8")
    file.write_text(sound.replace(mutant.before, mutant.after), "utf-8")
    try:
        copy.make(targets_of(mutant.tests, known))
        return copy.test(mutant.tests)
    except subprocess.CalledProcessError:
        return "does not compile"
    finally:
        file.write_text(sound, "utf-8")


def run(chosen, folder):
    copy = Copy(folder)
    head = copy.prepare()
    known = copy.known_tests()
    if failed := copy.test(sorted({test for mutant in chosen for test in mutant.tests})):
        raise SystemExit(f"without a mutant, these fail: {failed}")
    results = folder / "results.jsonl"
    done = read_results(results)
    for number, mutant in enumerate(chosen, 1):
        if key(mutant) in done:
            continue
        begun = time.monotonic()
        failed = run_one(mutant, copy, known)
        done[key(mutant)] = {"key": key(mutant), "commit": head[:7], "failed": failed}
        with open(results, "a", encoding="utf-8") as file:
            file.write(json.dumps(done[key(mutant)]) + "\n")
        say(f"{number}/{len(chosen)} {mutant}: {verdict(failed)} "
            f"({time.monotonic() - begun:.0f} s)")
    copy.make(["all"])
    return done


def read_results(file):
    if not file.exists():
        return {}
    lines = file.read_text("utf-8").splitlines()
    return {line["key"]: line for line in map(json.loads, lines)}


def key(mutant):
    text = "\0".join([mutant.file, mutant.before, mutant.after, *mutant.tests])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def verdict(failed):
    if isinstance(failed, str):
        return failed
    return f"noticed by {len(failed)}" if failed else "NOT NOTICED"


def table(chosen, done):
    """The results, as a table of a document."""
    yield "| row | what is taken out | tests that failed | commit |"
    yield "|---|---|---|---|"
    for mutant in chosen:
        if result := done.get(key(mutant)):
            failed = result["failed"]
            seen = "; ".join(f"`{name}`" for name in failed) \
                if failed and isinstance(failed, list) else verdict(failed)
            yield f"| {mutant.row} | {mutant.removes} | {seen} | {result['commit']} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--rows", help="only these, as 3,4,keys")
    parser.add_argument("--folder", type=pathlib.Path,
                        default=ROOT / "build/mutants")
    parser.add_argument("--report", type=pathlib.Path,
                        help="write the table of results here")
    options = parser.parse_args()
    rows = options.rows.split(",") if options.rows else None
    chosen = [mutant for mutant in mutants.ALL
              if not rows or str(mutant.row) in rows]
    faults = list(misfits(chosen, ROOT))
    if faults or options.check:
        say("\n".join(faults) or f"{len(chosen)} mutants fit")
        return 1 if faults else 0
    done = run(chosen, options.folder)
    if options.report:
        options.report.write_text("\n".join(table(chosen, done)) + "\n", "utf-8")
    unnoticed = [mutant for mutant in chosen
                 if not isinstance(done[key(mutant)]["failed"], list)
                 or not done[key(mutant)]["failed"]]
    say(f"{len(chosen) - len(unnoticed)} of {len(chosen)} mutants were noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
