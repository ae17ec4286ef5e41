"""What a run's folder says of its course: statistics and status."""
import fcntl
import os
import pathlib
import time

from .safetensors import parse_json

COMPARED = ("samples", "real_images", "features")  # what an evaluation is of
SCHEMA = 1  # of stats.jsonl, whose fields the server's README has
FRESH_S = 10  # a server writes its status.json about once a second


def stats(run, frame=None):
    """The run's losses, seconds, bytes and evaluations as a table by rounds: a
    pandas DataFrame where pandas is there, and a list of dicts otherwise; `frame`
    true or false asks for one of the two.

    A row is a line of stats.jsonl, whose columns are described beside the server
    (`d_loss`, `g_loss`, `seconds.wait`, ...), with the evaluation of its round
    under torch-fidelity's names (`frechet_inception_distance`, ...) and `samples`,
    `real_images` and `features`, which say what was compared. A round that was
    evaluated in more than one way has a row for each, of which the first has the
    statistics. What a row does not have is None (in a DataFrame NaN).

    A last line without an end, as a running server may leave it, does not count.
    Raises ValueError, which names the file and the line, where one is damaged,
    and where the folder is not a run's.
    """
    run = pathlib.Path(run)
    file = run / "stats.jsonl"
    if not file.exists():
        raise ValueError(f"{run} has no stats.jsonl: it is not the folder of a run "
                         "that has begun; give one like runs/00001-mnist-mlp")
    rows = {}  # by round and what the evaluation is of

    def evaluated(line, results):
        compared = {name: line.get(name) for name in COMPARED}
        if not (isinstance(results, dict) and
                isinstance(compared["samples"], (int, type(None))) and
                isinstance(compared["features"], (str, type(None)))):
            raise ValueError(f"cannot use {file}: an evaluation of round "
                             f"{line['round']} does not say what it compared")
        row = rows.setdefault((line["round"], compared["samples"],
                               compared["features"]), {"round": line["round"]})
        row.update(results, **compared)

    for line in _lines(file):
        # The evaluation that ended in the line's time, of that round or another.
        metrics = line.pop("metrics", None)
        if line.pop("schema", SCHEMA) != SCHEMA:
            raise ValueError(f"cannot use {file}: it is of another version of "
                             "mdgan-server: install that version of this module")
        rows[line["round"], None, None] = _flat(line)
        if isinstance(metrics, dict) and type(metrics.get("round")) is int:
            evaluated(metrics, {name: value for name, value in metrics.items()
                                if name not in ("round", "seconds", *COMPARED)})
    for file in sorted(run.glob("metric-*.jsonl")):
        for line in _lines(file):
            evaluated(line, line.get("results", {}))
    table = []
    for key in sorted(rows, key=lambda key: (key[0], key[1] is not None,
                                             key[1] or 0, key[2] or "")):
        row, last = rows[key], table[-1] if table else None
        if last and last["round"] == row["round"] and "samples" not in last:
            last.update(row)
        else:
            table.append(row)
    columns = list(dict.fromkeys(name for row in table for name in row))
    table = [{name: row.get(name) for name in columns} for row in table]
    if frame is None or frame:
        try:
            import pandas
        except ImportError:
            if frame:
                raise
        else:
            return pandas.DataFrame(table, columns=columns)
    return table


def status(run):
    """How the run stands: the object of its status.json (`state`, `round`,
    `rounds`, `live`, `peers`, `exit`, ...) and `server`, which is "running",
    "gone" or "unknown", as in `mdgan-server status --json`. Raises ValueError
    where the folder has no such file, or a damaged one."""
    run = pathlib.Path(run)
    file = run / "status.json"
    if not file.exists():
        raise ValueError(f"{run} has no status.json: it is not the folder of a run "
                         "that has begun; give one like runs/00001-mnist-mlp")
    try:
        found = parse_json(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"cannot use {file}: it {error}") from None
    if not isinstance(found, dict) or found.get("schema") != 1:
        raise ValueError(f"cannot use {file}: it is not of schema 1, which this "
                         "version reads")
    found["server"] = _server_of(run, found)
    return found


def _server_of(run, found):
    is_held = _is_held(run / "lock", found.get("pid"))
    if is_held:
        return "running"
    updated = found.get("updated")
    is_fresh = isinstance(updated, (int, float)) and \
        time.time() - updated < FRESH_S
    # Another machine may have it, if the file is fresh.
    if is_held is None or (is_fresh and found.get("state") != "finished"):
        return "unknown"
    return "gone"


def _is_held(lock, pid):
    """Whether a process has the run's lock; None where the file system does not
    say. The server's own process is looked at first: trying the lock of a server
    that starts could be in its way."""
    try:
        meant = os.stat(lock)
        with os.scandir(f"/proc/{int(pid)}/fd") as files:
            if any(_is_file(entry.path, meant) for entry in files):
                return True
    except (OSError, TypeError, ValueError):
        pass  # no such process, or another user's, which shows nothing
    try:
        with open(lock) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None


def _is_file(path, meant):
    try:
        return os.path.samestat(os.stat(path), meant)
    except OSError:
        return False  # closed meanwhile


def _lines(file):
    """The objects of a .jsonl file, each of a round."""
    text = file.read_bytes()
    for number, line in enumerate(text[:text.rfind(b"\n") + 1].splitlines(), 1):
        try:
            found = parse_json(line)
        except ValueError as error:
            raise ValueError(f"cannot use {file}: line {number} {error}") from None
        if not isinstance(found, dict) or type(found.get("round")) is not int:
            raise ValueError(f"cannot use {file}: line {number} is not of a round")
        yield found


def _flat(line):
    """{"seconds": {"wait": 1}} becomes {"seconds.wait": 1}."""
    flat = {}
    for name, value in line.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{key}": part for key, part in value.items()})
        else:
            flat[name] = value
    return flat
