"""Trains the arms of an experiment, each with several seeds, and writes a
report that compares them.

  mdgan-experiment run configs/experiments/paper-mlp.ini --data mnist
  mdgan-experiment report experiments/paper-mlp

`run` continues an interrupted experiment: it skips complete runs and resumes
the others from their newest checkpoint.

Exit codes: 0 every run is complete; 1 a run failed, or stdout cannot be
written; 2 the arguments or the
definition are not valid; 130 a signal stopped the runs, and the same command
continues them; 141 the reader of the output closed the pipe.
"""
import argparse
import os
import pathlib
import shutil
import signal
import sys

from . import definition, jobs, record, report, runner, toys

FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
SOURCE_TREE = pathlib.Path(__file__).resolve().parents[3]


def arguments():
    parser = argparse.ArgumentParser(
        prog="mdgan-experiment", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True,
                                     metavar="run | report")
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
    out = options.out or pathlib.Path("experiments") / experiment.name
    binaries = programs(options.bin)
    folders = {arm.data: data_of(arm, options.data, out)
               for arm in experiment.arms}
    todo = [jobs.make(experiment, arm, seed, out, folders[arm.data], binaries)
            for seed in experiment.seeds for arm in experiment.arms]
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
        now["command"] = command_for_all(options, defined, now, out)
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
        if options.what == "report":
            return 0 if write_report(options.out) else 2
        return run(options)
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
