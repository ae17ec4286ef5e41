"""What an experiment is: one file configs/experiments/NAME.ini, read and
checked.

  [experiment]
  title          a line
  question       a paragraph that the report begins with
  config         the configuration every arm starts from, relative to this file
  data           mnist, fashion, folder (a folder that --data names), or a set
                 that is made: dirac, gaussians-8, gaussians-25
  rounds, seeds, evaluate-every
  fids           FIDs to which rounds, seconds and bytes are told; chosen from
                 the results when there is none

  [common]       options of `mdgan-server train` for every arm; local-peers is
                 needed, here or in each arm
  [arm NAME]     label, and the options that differ; also data, config, and
                 lose-peers = true: a server and local-peers peer processes, of
                 which one is killed every rounds/local-peers rounds

Whether an option exists and has a good value the server says itself, before
anything is trained (runs.check).
"""
import configparser
import dataclasses
import difflib
import pathlib
import re

from . import toys

DATA = ("mnist", "fashion", "folder", *toys.MADE)
KEYS = {"title", "question", "config", "data", "rounds", "seeds",
        "evaluate-every", "fids"}
REQUIRED = ("title", "question", "data", "rounds", "seeds")
# What the runner says to the server itself.
OWN_OPTIONS = {"config", "name", "run-dir", "resume", "rounds", "seed",
               "data", "evaluate-every", "evaluate-data", "dry-run", "quiet",
               "bind", "min-peers"}


class Refused(Exception):
    """Something the user can mend; the text says what and where."""


@dataclasses.dataclass(frozen=True)
class Arm:
    name: str
    label: str
    options: dict  # of mdgan-server train; the common ones included
    data: str
    config: pathlib.Path  # or None
    lose_peers: bool = False

    @property
    def peers(self):
        return int(self.options["local-peers"])


@dataclasses.dataclass
class Experiment:
    path: pathlib.Path
    title: str
    question: str
    rounds: int
    seeds: list
    evaluate_every: int
    fids: list
    arms: list

    @property
    def name(self):
        return self.path.stem


def nearest(word, words):
    matches = difflib.get_close_matches(word, words, 1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def read(path):
    """The Experiment in a file; raises Refused."""
    path = pathlib.Path(path)
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=("#",),
        inline_comment_prefixes=("#",), default_section="")
    parser.optionxform = str
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Refused(f"{path}: {' '.join(str(error).split())}") from None
    try:
        return experiment_of(path, parser)
    except Refused as error:
        raise Refused(f"{path}: {error}") from None


def experiment_of(path, parser):
    for section in parser.sections():
        if section not in ("experiment", "common") and \
                not re.fullmatch(r"arm [a-z0-9][a-z0-9.-]*", section):
            raise Refused(
                f"unknown section [{section}]"
                f"{nearest(section, ['experiment', 'common', 'arm NAME'])}"
                "; [arm NAME] takes small letters, digits, '.' and '-'")
    if not parser.has_section("experiment"):
        raise Refused("there is no section [experiment]")
    about = parser["experiment"]
    for key in about:
        if key not in KEYS:
            raise Refused(f"unknown key '{key}' in [experiment]"
                          f"{nearest(key, KEYS)}")
    for key in REQUIRED:
        if not about.get(key, "").strip():
            raise Refused(f"[experiment] needs '{key}'")
    rounds = parse_int(about["rounds"], "rounds", 1)
    common = dict(parser["common"]) if parser.has_section("common") else {}
    shared = {"data": about["data"], "config": about.get("config", "")}
    arms = [arm_of(section[len("arm "):], {**shared, **parser[section]}, common,
                   path.parent)
            for section in parser.sections() if section.startswith("arm ")]
    if not arms:
        raise Refused("there is no section [arm NAME]")
    for arm in arms:
        if arm.lose_peers and arm.peers > rounds:
            raise Refused(f"[arm {arm.name}] loses a peer every rounds/N "
                          f"rounds, but {rounds} rounds are fewer than its "
                          f"{arm.peers} peers")
    return Experiment(
        path=path, title=about["title"],
        question=" ".join(about["question"].split()), rounds=rounds,
        seeds=seeds_of(about["seeds"]),
        evaluate_every=parse_int(about.get("evaluate-every", "0"),
                             "evaluate-every", 0),
        fids=[parse_float(x, "fids") for x in about.get("fids", "").split(",")
              if x.strip()],
        arms=arms)


def arm_of(name, options, common, folder):
    where = f"[arm {name}]"
    label = options.pop("label", "")
    if not label:
        raise Refused(f"{where} needs 'label'")
    data = options.pop("data")
    if data not in DATA:
        raise Refused(f"data = {data} is none of {', '.join(DATA)}"
                      f"{nearest(data, DATA)}")
    config = options.pop("config")
    config = (folder / config).resolve() if config else None
    if config and not config.is_file():
        raise Refused(f"{where} config: there is no file {config}")
    lose = options.pop("lose-peers", "false")
    if lose not in ("true", "false"):
        raise Refused(f"{where} lose-peers = {lose} is neither true nor false")
    merged = {**common, **options}
    for key in merged:
        if key in OWN_OPTIONS:
            raise Refused(f"{where} '{key}' is set by the runner; see the "
                          "keys of [experiment]")
    if "local-peers" not in merged:  # the configuration's own does not count
        raise Refused(f"{where} needs 'local-peers', here or in [common]")
    peers = parse_int(merged["local-peers"], f"{where} local-peers", 1)
    if lose == "true" and peers < 2:
        raise Refused(f"{where} loses peers, so local-peers must be 2 or more")
    return Arm(name, label, merged, data, config, lose == "true")


def seeds_of(text):
    seeds = [parse_int(x, "seeds", 0) for x in text.split(",")]
    if len(set(seeds)) != len(seeds):
        raise Refused(f"seeds: {text} names one twice")
    return seeds


def parse_int(text, what, least):
    value = parse_float(text, what)
    if value != int(value) or value < least:
        raise Refused(f"{what}: {text.strip()} is not a whole number from "
                      f"{least}")
    return int(value)


def parse_float(text, what):
    try:
        return float(text)
    except ValueError:
        raise Refused(f"{what}: '{text.strip()}' is not a number") from None


def chosen(experiment, rounds=None, seeds=None, arms=None):
    """The experiment with what the command line says in place of the file."""
    changes = {}
    if rounds is not None:
        changes["rounds"] = rounds
    if seeds is not None:
        changes["seeds"] = seeds
    if arms is not None:
        names = [arm.name for arm in experiment.arms]
        for name in arms:
            if name not in names:
                raise Refused(f"{experiment.path} has no arm '{name}'"
                              f"{nearest(name, names)}; it has "
                              f"{', '.join(names)}")
        changes["arms"] = [a for a in experiment.arms if a.name in arms]
    return dataclasses.replace(experiment, **changes)
