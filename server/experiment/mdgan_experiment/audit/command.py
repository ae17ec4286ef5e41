"""The commands `canaries` and `audit` of mdgan-experiment."""
import pathlib
import time

from .. import record
from ..definition import Refused

COMMANDS = ("canaries", "audit")


def add(commands):
    """Adds the commands to the program's."""
    made = commands.add_parser(
        "canaries", help="let a coin choose what peers are trained on, for an audit")
    made.add_argument("folder", metavar="FOLDER", type=pathlib.Path,
                      help="the folder to make, with the data of each site and "
                      "what was kept out of them")
    made.add_argument("--data", metavar="DIR", type=pathlib.Path, required=True,
                      help="MNIST's files, or image files of one size with a "
                      "subfolder for each class; the training part is taken")
    made.add_argument("--sites", metavar="NAMES", default="site-1",
                      help="the names of the peers, such as site-1,site-2 "
                      "[%(default)s]")
    made.add_argument("--images", type=int, metavar="N",
                      help="how many images a site draws [all, shared evenly]")
    made.add_argument("--canaries", type=int, metavar="M",
                      help="how many of these are in only if a coin says so; the "
                      "others are in [all]")
    made.add_argument("--seed", type=int, default=1,
                      help="of the draw and of the coins [%(default)s]")
    audit = commands.add_parser(
        "audit", help="attack a finished run, and report what it gives away about "
        "single images")
    audit.add_argument("folder", metavar="FOLDER", type=pathlib.Path,
                       help="what `canaries` has made, on which the peers were "
                       "trained")
    audit.add_argument("--run", metavar="DIR", type=pathlib.Path, required=True,
                       help="the server's folder of the run")
    audit.add_argument("--state", metavar="DIR", type=pathlib.Path, required=True,
                       help="the --state-dir of the peers; sites that have no "
                       "folder in it are left out")
    audit.add_argument("--reference", metavar="DIR", type=pathlib.Path,
                       help="a run that was trained on none of these images, by "
                       "which the attack on the generator is calibrated")
    audit.add_argument("--samples", type=int, default=20000, metavar="N",
                       help="how many images to generate [%(default)s]")
    audit.add_argument("--delta", type=float, default=1e-5,
                       help="the delta of the bound on epsilon, and of what the "
                       "ledgers say [%(default)s]")
    audit.add_argument("--out", metavar="DIR", type=pathlib.Path,
                       help="the folder for the report [FOLDER/report]")


def checked(condition, text):
    if not condition:
        raise Refused(text)


def prepare(options):
    from . import canaries
    checked(options.images is None or options.images > 0,
            f"--images is {options.images}: give a whole number from 1")
    made = canaries.prepare(
        options.data, options.folder,
        [name.strip() for name in options.sites.split(",")], options.images,
        options.canaries, options.seed)
    for name, site in made["sites"].items():
        print(f"{name}: {site['trained']} images to train on, of which "
              f"{site['members']} by a coin, which kept {site['non_members']} out")
    print("now train with these, each in a peer of that name, such as\n  "
          + record.command_line(["mdgan-peer", "--name", next(iter(made["sites"])),
                                 "--data", options.folder /
                                 next(iter(made["sites"])) / "train"])
          + " ...\nand then audit the run")
    return 0


def audit(options):
    from . import measure, report
    checked(100 <= options.samples <= 1000000,
            f"--samples is {options.samples}: give a number from 100 to 1000000")
    checked(0 < options.delta < 1,
            f"--delta is {options.delta}: give a number between 0 and 1")
    began = time.monotonic()
    results = measure.measure(options.folder, options.run, options.state,
                              options.reference, options.samples, options.delta)
    out = options.out or options.folder / "report"
    out.mkdir(parents=True, exist_ok=True)
    words = ["mdgan-experiment", "audit", options.folder, "--run", options.run,
             "--state", options.state]
    if options.reference:
        words += ["--reference", options.reference]
    report.write(results, out, {
        "command": record.command_line(
            [*words, "--samples", options.samples, "--delta",
             f"{options.delta:g}", "--out", out]),
        "machine": record.machine(options.run),
        "seconds": time.monotonic() - began})
    print(f"the report is {out / 'report.html'}")
    return 0


def execute(options):
    try:
        return prepare(options) if options.what == "canaries" else audit(options)
    except ImportError as error:
        raise Refused(f"an audit needs NumPy ({error}): install Debian's "
                      "python3-numpy") from None
