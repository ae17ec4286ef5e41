"""Reads and writes OUT/experiment.json, the record of what the runs in a folder
were made with. The report needs only the record and the runs, and a later `run`
into the folder must agree with the record.
"""
import fcntl
import hashlib
import json
import os
import pathlib
import platform
import shlex
import subprocess

from .definition import Refused

NAME = "experiment.json"
KEYS = {"name", "title", "question", "rounds", "seeds", "evaluate_every",
        "fids", "configs", "arms", "machines", "at_once", "command"}


def fingerprint(folder):
    """A hash of the names, sizes and first bytes of a data set's files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(folder)}\0"
                         f"{path.stat().st_size}\0".encode() + file.read(4096))
    return digest.hexdigest()


def describe(experiment, machine, folders, at_once):
    """The record of an experiment; `folders` maps the names that arms have for
    their data to the folders of the data."""
    return {
        "name": experiment.name, "title": experiment.title,
        "question": experiment.question, "rounds": experiment.rounds,
        "seeds": sorted(experiment.seeds),
        "evaluate_every": experiment.evaluate_every, "fids": experiment.fids,
        "configs": {arm.config.name: arm.config.read_text(encoding="utf-8")
                    for arm in experiment.arms if arm.config},
        "arms": {arm.name: {
            "label": arm.label, "options": arm.options, "data": arm.data,
            "data_hash": fingerprint(folders[arm.data]),
            "config": arm.config.name if arm.config else "",
            "lose_peers": arm.lose_peers} for arm in experiment.arms},
        "comparisons": experiment.comparisons,
        "machines": [machine], "at_once": at_once}


def load(out):
    path = pathlib.Path(out) / NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or KEYS - record.keys():
            raise ValueError("its keys are not those of this version of "
                             "mdgan-experiment")
        return record
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}; name the "
                      "--out folder of a run") from None
    except ValueError as error:
        raise Refused(f"{path} is no record of an experiment: {error}; remove "
                      "it and run the experiment again, complete runs stay"
                      ) from None


def merge(before, now, out):
    """The earlier record with the arms and seeds of the new one added; raises
    Refused if the two define the same runs differently."""
    def refused(what):
        return Refused(f"{out} holds runs that were made with {what}; name "
                       "another folder with --out, or remove this one")

    for key in "rounds", "evaluate_every":
        if before[key] != now[key]:
            raise refused(f"{key.replace('_', '-')} = {before[key]}, not "
                          f"{now[key]}")
    for name in {*before["configs"]} & {*now["configs"]}:
        if before["configs"][name] != now["configs"][name]:
            raise refused(f"another text of {name}")
    for name, arm in now["arms"].items():
        old = before["arms"].get(name)
        if old is None:
            continue
        if old["data_hash"] != arm["data_hash"]:
            raise refused(f"other data for arm '{name}'")
        for key in ("options", "data", "config", "lose_peers"):
            if old[key] != arm[key]:
                raise refused(f"another definition of arm '{name}': "
                              f"{difference(key, old[key], arm[key])}")
    return {**now, "configs": {**before["configs"], **now["configs"]},
            "arms": {**before["arms"], **now["arms"]},
            "seeds": sorted({*before["seeds"], *now["seeds"]}),
            "machines": before["machines"] + [
                m for m in now["machines"] if m not in before["machines"]],
            "at_once": max(before["at_once"], now["at_once"])}


def difference(what, old, new):
    if not isinstance(old, dict):
        return f"{what} = {old} then, {new} now"
    keys = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
    return ", ".join(f"{k} = {old.get(k, '(default)')} then, "
                     f"{new.get(k, '(default)')} now" for k in keys)


def save(out, record):
    path = pathlib.Path(out) / NAME
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def lock(out):
    """Locks the folder until the returned file is closed; raises Refused if
    another mdgan-experiment has locked it."""
    file = (pathlib.Path(out) / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Refused(f"another mdgan-experiment works in {out}; wait until it "
                      "ends, or name another folder with --out") from None
    return file


def machine(programs):
    """Describes this machine and the version of its mdgan-server."""
    cpu = platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    server = pathlib.Path(programs) / "mdgan-server"
    try:
        version = subprocess.run([server, "--version"], capture_output=True,
                                 text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        version = ""
    return {"cpu": cpu, "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "versions": [x.strip() for x in version.splitlines() if x.strip()]}


def command_line(words):
    return shlex.join(str(w) for w in words)
