"""Reads and checks the definition of an experiment, a file
configs/experiments/NAME.ini:

  [experiment]
  title          one line
  question       the paragraph that the report begins with
  config         the configuration file that every arm starts from; its path is
                 relative to the definition
  data           mnist, fashion, or folder: --data names their folder; dirac,
                 gaussians-8, or gaussians-25: mdgan-experiment makes them
  rounds         how many rounds each run trains
  seeds          such as 1, 2, 3; each arm is trained once with each
  evaluate-every how many rounds lie between evaluations; 0, the default: none
  fids           the report says how many rounds, seconds and bytes it took to
                 reach these FIDs; by default it chooses them from the results

  [common]       options of `mdgan-server train` for every arm; local-peers is
                 required, here or in each arm
  [arm NAME]     label, the arm's name in the report; options of `mdgan-server
                 train`, which override [common]; data and config, which
                 override [experiment]; lose-peers = true: the arm trains with
                 local-peers peer processes, and one of them is killed every
                 rounds/local-peers rounds

mdgan-server itself checks the names and values of its options, before anything
is trained (jobs.check).
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
# The metrics of a [compare NAME], and their keys in measurements.py.
METRICS = {"fid": "frechet_inception_distance",
           "score": "inception_score_mean",
           "kid": "kernel_inception_distance_mean",
           "precision": "precision", "recall": "recall",
           "classes": "classes_present", "least-class": "least_class",
           "class-distance": "class_distance",
           "on-a-mode": "good_samples", "modes-found": "modes_found",
           "distance": "distance"}
CLAIMS = ("lower", "higher", "equal")
WORK = ("rounds", "images")
COMPARE_KEYS = ("arms", "metric", "claim", "margin", "at")
# Options of mdgan-server that jobs.py sets, so no arm may.
OWN_OPTIONS = {"config", "name", "run-dir", "resume", "rounds", "seed",
               "data", "evaluate-every", "evaluate-data", "dry-run", "quiet",
               "bind", "min-peers"}


class Refused(Exception):
    """An error that the user can correct; the text says what and where."""


@dataclasses.dataclass(frozen=True)
class Arm:
    name: str
    label: str
    options: dict  # of mdgan-server train, those of [common] included
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
    comparisons: dict  # by name, as comparison_of() returns them

    @property
    def name(self):
        return self.path.stem


def nearest(word, words):
    matches = difflib.get_close_matches(word, words, 1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def read(path):
    """Returns the Experiment that a file defines; raises Refused."""
    path = pathlib.Path(path)
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=("#",),
        inline_comment_prefixes=("#",), default_section="")
    parser.optionxform = str  # keys keep their capitals
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}; name the "
                      "file of a definition") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Refused(f"{path}: {' '.join(str(error).split())}") from None
    try:
        return experiment_of(path, parser)
    except Refused as error:
        raise Refused(f"{path}: {error}") from None


def experiment_of(path, parser):
    for section in parser.sections():
        if section not in ("experiment", "common") and \
                not re.fullmatch(r"(arm|compare) [a-z0-9][a-z0-9.-]*", section):
            known = ["experiment", "common", "arm NAME", "compare NAME"]
            raise Refused(
                f"unknown section [{section}]{nearest(section, known)}"
                "; the NAME in [arm NAME] and [compare NAME] takes small "
                "letters, digits, '.' and '-'")
    if not parser.has_section("experiment"):
        raise Refused("there is no section [experiment]; add it")
    about = parser["experiment"]
    for key in about:
        if key not in KEYS:
            raise Refused(f"unknown key '{key}' in [experiment]"
                          f"{nearest(key, KEYS)}; it takes "
                          f"{', '.join(sorted(KEYS))}")
    for key in REQUIRED:
        if not about.get(key, "").strip():
            raise Refused(f"[experiment] has no '{key}'; add it")
    rounds = parse_int(about["rounds"], "rounds", 1)
    common = dict(parser["common"]) if parser.has_section("common") else {}
    shared = {"data": about["data"], "config": about.get("config", "")}
    arms = [arm_of(section[len("arm "):], {**shared, **parser[section]}, common,
                   path.parent)
            for section in parser.sections() if section.startswith("arm ")]
    if not arms:
        raise Refused("there is no section [arm NAME]; add one for each arm")
    for arm in arms:
        if arm.lose_peers and arm.peers > rounds:
            raise Refused(f"[arm {arm.name}] loses a peer every rounds/N "
                          f"rounds, but {rounds} rounds are fewer than its "
                          f"{arm.peers} peers; train more rounds or fewer "
                          "peers")
    names = [arm.name for arm in arms]
    comparisons = {name: comparison_of(name, parser["compare " + name], names)
                   for section in parser.sections()
                   if section.startswith("compare ")
                   for name in [section[len("compare "):]]}
    return Experiment(
        path=path, title=about["title"],
        question=" ".join(about["question"].split()), rounds=rounds,
        seeds=seeds_of(about["seeds"]),
        evaluate_every=parse_int(about.get("evaluate-every", "0"),
                                 "evaluate-every", 0),
        fids=[parse_float(x, "fids") for x in about.get("fids", "").split(",")
              if x.strip()],
        arms=arms, comparisons=comparisons)


def comparison_of(name, options, arms):
    """A section [compare NAME] as a dictionary, which the record keeps."""
    where = f"[compare {name}]"
    for key in options:
        if key not in COMPARE_KEYS:
            raise Refused(f"{where} unknown key '{key}'"
                          f"{nearest(key, COMPARE_KEYS)}; it takes "
                          f"{', '.join(COMPARE_KEYS)}")
    for key in ("arms", "metric", "claim"):
        if not options.get(key, "").strip():
            raise Refused(f"{where} has no '{key}'; add it")
    pair = [x.strip() for x in options["arms"].split(",")]
    if len(pair) != 2 or pair[0] == pair[1]:
        raise Refused(f"{where} arms = {options['arms']} are not two arms; "
                      "write arms = a, b")
    chosen = {"metric": options["metric"], "claim": options["claim"],
              "at": options.get("at", "rounds")}
    for key, value, known in [("arms", x, arms) for x in pair] + [
            (key, chosen[key], known) for key, known in
            (("metric", METRICS), ("claim", CLAIMS), ("at", WORK))]:
        if value not in known:
            raise Refused(f"{where} {key}: '{value}' is none of "
                          f"{', '.join(known)}{nearest(value, known)}")
    margin = None
    if "margin" in options:
        margin = parse_float(options["margin"].strip().removesuffix("%"),
                             f"{where} margin") / 100
        if not options["margin"].strip().endswith("%") or not 0 < margin < 1:
            raise Refused(f"{where} margin = {options['margin']} is not a "
                          "share between 0 % and 100 %, such as 5 %")
    elif chosen["claim"] == "equal":
        raise Refused(f"{where} claims that the arms are equal, and has no "
                      "'margin'; add one, such as 5 %")
    return {"arms": pair, **chosen, "margin": margin}


def arm_of(name, options, common, folder):
    where = f"[arm {name}]"
    label = options.pop("label", "")
    if not label:
        raise Refused(f"{where} has no 'label'; add it")
    data = options.pop("data")
    if data not in DATA:
        raise Refused(f"{where} data = {data} is none of {', '.join(DATA)}"
                      f"{nearest(data, DATA)}")
    config = options.pop("config")
    config = (folder / config).resolve() if config else None
    if config and not config.is_file():
        raise Refused(f"{where} config: there is no file {config}; give its "
                      f"path relative to {folder}")
    lose = options.pop("lose-peers", "false")
    if lose not in ("true", "false"):
        raise Refused(f"{where} lose-peers = {lose} is neither true nor false")
    merged = {**common, **options}
    for key in merged:
        if key in OWN_OPTIONS:
            raise Refused(f"{where} '{key}' is set by the runner; remove it, "
                          "and see the keys of [experiment]")
    # The runner needs the number, and does not read it from `config`.
    if "local-peers" not in merged:
        raise Refused(f"{where} has no 'local-peers'; add it here or in "
                      "[common]")
    peers = parse_int(merged["local-peers"], f"{where} local-peers", 1)
    if lose == "true" and peers < 2:
        raise Refused(f"{where} loses peers, so local-peers must be 2 or more")
    return Arm(name, label, merged, data, config, lose == "true")


def seeds_of(text):
    seeds = [parse_int(x, "seeds", 0) for x in text.split(",")]
    if len(set(seeds)) != len(seeds):
        raise Refused(f"seeds: {text} names a seed twice; name each once")
    return seeds


def parse_int(text, what, least):
    value = parse_float(text, what)
    if not value.is_integer() or value < least:  # inf and nan are no integers
        raise Refused(f"{what}: {text.strip()} is not a whole number from "
                      f"{least}")
    return int(value)


def parse_float(text, what):
    try:
        return float(text)
    except ValueError:
        raise Refused(f"{what}: '{text.strip()}' is not a number") from None


def select(experiment, rounds=None, seeds=None, arms=None):
    """The experiment with other rounds, other seeds, or only some arms."""
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


def runs_of(experiment):
    """[(seed, arm)] of an experiment, in the order in which they are trained."""
    return [(seed, arm) for seed in experiment.seeds
            for arm in experiment.arms]


def task(experiment, number):
    """The experiment with the run of this number, from 1, alone."""
    runs = runs_of(experiment)
    if number > len(runs):
        raise Refused(f"there is no task {number}: {experiment.path} has "
                      f"{len(runs)} runs with these seeds and arms")
    seed, arm = runs[number - 1]
    return dataclasses.replace(experiment, seeds=[seed], arms=[arm])
