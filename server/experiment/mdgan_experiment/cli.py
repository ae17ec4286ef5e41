"""Trains the arms of an experiment, each with several seeds, and writes a
report that compares them.

  mdgan-experiment run configs/experiments/paper-mlp.ini --data mnist
  mdgan-experiment report experiments/paper-mlp
  mdgan-experiment run configs/experiments/paper-mlp.ini --data mnist --task 7
  mdgan-experiment merge experiments/paper-mlp experiments/paper-mlp-tasks/*

`run` continues an interrupted experiment: it skips complete runs and resumes
the others from their newest checkpoint. On a cluster each task of an array trains
one run, into a folder of its own; `merge` makes one experiment of these folders.

`canaries` and `audit` tell what a run gives away about single images: peers are
trained on images that a coin chooses, and then what they have made is attacked.

  mdgan-experiment canaries audits/mnist --data mnist --sites north,south
  mdgan-experiment audit audits/mnist --run runs/00001-mnist-mlp --state state

Exit codes: 0 every run is complete; 1 a run failed, or stdout cannot be
written; 2 the arguments or the
definition are not valid; 130 a signal stopped the runs, and the same command
continues them; 141 the reader of the output closed the pipe.
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import signal
import sys

from . import definition, jobs, record, report, runner, toys
from .audit import command as audits

FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
SOURCE_TREE = pathlib.Path(__file__).resolve().parents[3]


def arguments():
    parser = argparse.ArgumentParser(
        prog="mdgan-experiment", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True,
                                     metavar="run | report | merge | canaries | "
                                     "audit")
    run = commands.add_parser("run", help="train what is not complete yet, "
                              "then write the report")
    run.add_argument("definition", metavar="FILE",
                     help="the definition of the experiment, such as "
                     "configs/experiments/paper-mlp.ini")
    run.add_argument("--data", metavar="DIR", type=pathlib.Path,
                     help="the folder of the data that the definition names "
                     "[mnist: $MDGAN_MNIST_DIR; fashion: Debian's folder]")
    run.add_argument("--out", metavar="DIR", type=pathlib.Path,
                     help="the folder for the runs and the report "
                     "[experiments/NAME]")
    run.add_argument("--rounds", type=positive_int,
                     help="how many rounds to train [the definition's]")
    run.add_argument("--seeds",
                     help="the seeds, such as 1,2,3 [the definition's]")
    run.add_argument("--arms",
                     help="the arms to train, such as fl-gan,md-gan-k3 [all]")
    run.add_argument("--task", type=positive_int, metavar="I",
                     help="train the I-th run only, counted from 1 in the order "
                     "of --dry-run; --out is then [experiments/NAME-tasks/I]")
    run.add_argument("--jobs", type=positive_int, default=1, metavar="N",
                     help="how many runs to train at a time; compare seconds "
                     "only between runs that were made one at a time "
                     "[%(default)s]")
    run.add_argument("--bin", type=pathlib.Path, metavar="DIR",
                     help="the folder of mdgan-server and mdgan-peer [the "
                     "folder of this program, build/release/bin, or the PATH]")
    run.add_argument("--dry-run", action="store_true",
                     help="check the definition, print the commands, and end")
    again = commands.add_parser("report", help="write the report again")
    again.add_argument("out", metavar="DIR", type=pathlib.Path,
                       help="the --out folder of a run")
    merge = commands.add_parser(
        "merge", help="copy the runs of several folders into one, and write "
        "its report")
    merge.add_argument("out", metavar="DIR", type=pathlib.Path,
                       help="the folder to make; the runs that it has already "
                       "are replaced")
    merge.add_argument("folders", metavar="FOLDER", type=pathlib.Path,
                       nargs="+", help="the --out folder of a run, such as of "
                       "one --task")
    audits.add(commands)
    return parser.parse_args()


def positive_int(text):
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a whole number from 1")
    return value


def programs(given):
    """The absolute folder of mdgan-server."""
    if given:
        return given.resolve()
    beside = pathlib.Path(sys.argv[0]).absolute().parent
    tree = SOURCE_TREE / "build/release/bin"
    for folder in (beside, tree):
        if (folder / "mdgan-server").exists():
            return folder
    server = shutil.which("mdgan-server")
    if not server:
        raise definition.Refused(
            f"there is no mdgan-server in {beside}, in {tree} or on the PATH; "
            "name its folder with --bin")
    return pathlib.Path(server).absolute().parent


def data_of(arm, given, out):
    """The absolute folder of an arm's data."""
    if arm.data in toys.MADE:
        return (out / "data" / arm.data).resolve()
    if given is None and arm.data == "mnist" and \
            os.environ.get("MDGAN_MNIST_DIR"):
        given = pathlib.Path(os.environ["MDGAN_MNIST_DIR"])
    if given is None and arm.data == "fashion":
        given = FASHION
    if given is None:
        raise definition.Refused(f"arm '{arm.name}' needs data ({arm.data}); "
                                 "name the folder with --data")
    if not given.is_dir():
        raise definition.Refused(f"{given} is not a folder; name the folder "
                                 f"of the data ({arm.data}) with --data")
    return given.resolve()


def names(text):
    return [x.strip() for x in text.split(",") if x.strip()] if text else None


def run(options):
    defined = definition.read(options.definition)
    experiment = definition.select(
        defined, options.rounds,
        definition.seeds_of(options.seeds) if options.seeds else None,
        names(options.arms))
    out = options.out or default_out(experiment, options.task)
    whole = experiment
    if options.task:
        experiment = definition.task(experiment, options.task)
    binaries = programs(options.bin)
    folders = {arm.data: data_of(arm, options.data, out)
               for arm in experiment.arms}
    todo = [jobs.make(experiment, arm, seed, out, folders[arm.data], binaries)
            for seed, arm in definition.runs_of(experiment)]
    for arm in experiment.arms:
        jobs.check(next(job for job in todo if job.arm == arm))
    if options.dry_run:
        for job in todo:
            print("done" if job.done() else
                  record.command_line(job.command()))
        return 0
    out.mkdir(parents=True, exist_ok=True)
    with record.lock(out):
        for name in folders.keys() & {*toys.MADE}:
            toys.make(name, out / "data" / name)
        now = record.describe(experiment, record.machine(binaries), folders,
                              options.jobs)
        if (out / record.NAME).exists():
            before = record.load(out)
            now = record.merge(before, now, out)
            if all(job.done() for job in todo):  # this machine runs nothing
                now["machines"] = before["machines"]
        now["command"] = command_for_all(
            options, defined, describe_task(whole, now, options.task), out)
        record.save(out, now)
        running = runner.Runner(todo, options.jobs)
        through = running.run()
        reported = write_report(out)
    for job, reason in running.failed:
        print(f"failed: {job.name} ({reason}), see {job.log}", file=sys.stderr)
    if not through:
        print("stopped; the same command continues the runs", file=sys.stderr)
        return 130
    return 0 if reported and not running.failed else 1


def default_out(experiment, task):
    name = pathlib.Path("experiments") / experiment.name
    return name.with_name(f"{name.name}-tasks") / str(task) if task else name


def describe_task(whole, now, task):
    """The record for command_for_all(): where one task of an array was run,
    the command is that of the whole experiment."""
    if not task:
        return now
    return {**now, "seeds": sorted(whole.seeds),
            "arms": {arm.name: None for arm in whole.arms}}


def merge(options):
    """Makes one experiment of several folders."""
    folders = sorted(options.folders, key=lambda folder: [
        int(part) if part.isdigit() else part
        for part in re.split(r"(\d+)", str(folder))])
    records = [record.load(folder) for folder in folders]
    for folder, one in zip(folders, records):
        if one["name"] != records[0]["name"]:
            raise definition.Refused(
                f"{folder} is of the experiment '{one['name']}', and "
                f"{folders[0]} of '{records[0]['name']}'; merge folders of one "
                "experiment")
        if folder.resolve() == options.out.resolve():
            raise definition.Refused(f"{folder} is the folder to make; leave "
                                     "it out")
    merged = records[0]
    for folder, one in zip(folders[1:], records[1:]):
        try:
            merged = record.merge(merged, one, folders[0])
        except definition.Refused as error:
            raise definition.Refused(f"{folder} cannot be merged: {error}"
                                     ) from None
    options.out.mkdir(parents=True, exist_ok=True)
    with record.lock(options.out):
        if (options.out / record.NAME).exists():
            merged = record.merge(record.load(options.out), merged,
                                  options.out)
        for folder, one in zip(folders, records):
            for name in one["arms"]:
                for seed in one["seeds"]:
                    copy_run(folder, options.out, f"{name}/seed-{seed}")
            if (folder / "data").is_dir():  # toys
                shutil.copytree(folder / "data", options.out / "data",
                                dirs_exist_ok=True)
        # The command ends with the folder of the runs.
        merged["command"] = record.command_line(
            [*shlex.split(merged["command"])[:-1], options.out])
        record.save(options.out, merged)
        return 0 if write_report(options.out) else 1


def copy_run(source, target, name):
    """Copies the folder of a run and its log, if there is such a run."""
    if not (source / name).is_dir():
        return
    shutil.rmtree(target / name, ignore_errors=True)
    shutil.copytree(source / name, target / name)
    log = f"{name}.log"
    if (source / log).exists():
        shutil.copy2(source / log, target / log)


def write_report(out):
    try:
        report.write(out)
    except definition.Refused as error:  # such as: no run has trained yet
        print(f"mdgan-experiment: {error}", file=sys.stderr)
        return False
    print(f"the report is {out / 'report.html'}")
    return True


def command_for_all(options, defined, now, out):
    """The command that repeats every run in `out` on another machine."""
    words = ["mdgan-experiment", "run", options.definition]
    if options.data:
        words += ["--data", options.data]
    words += ["--rounds", now["rounds"],
              "--seeds", ",".join(map(str, now["seeds"]))]
    if {arm.name for arm in defined.arms} - {*now["arms"]}:
        words += ["--arms", ",".join(now["arms"])]
    if now["at_once"] > 1:
        words += ["--jobs", now["at_once"]]
    return record.command_line([*words, "--out", out])


def execute(options):
    try:
        if options.what in audits.COMMANDS:
            return audits.execute(options)
        if options.what == "report":
            return 0 if write_report(options.out) else 2
        return merge(options) if options.what == "merge" else run(options)
    except definition.Refused as error:
        print(f"mdgan-experiment: {error}", file=sys.stderr)
        return 2


def main():
    try:
        try:
            return execute(arguments())
        finally:  # argparse ends the program by an exception
            print(end="", flush=True)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has closed the pipe.
        discard(sys.stdout, sys.stderr)
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.filename is not None:  # a file that the program opened
            raise
        discard(sys.stdout)
        print(f"mdgan-experiment: cannot write to stdout: {error.strerror}; "
              "free some space or send the output elsewhere, and repeat the "
              "command", file=sys.stderr)
        return 1


def discard(*streams):
    """Lets Python end: it flushes them, which would raise the error again."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
