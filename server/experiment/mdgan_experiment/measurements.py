"""Reads the numbers that runs have left in their folders, and averages them
over the seeds.

A run folder has stats.jsonl with a line for each tick, which is a fixed number
of rounds, and metric-*.jsonl with a line for each evaluation. A resumed run may
record a round twice: the later line counts.
"""
import dataclasses
import json
import math
import pathlib
import statistics

from . import student
from .definition import METRICS

FID = METRICS["fid"]
SCORE = METRICS["score"]
FLOOR = "real_frechet_inception_distance"  # of real images from real ones
# A class is present if at least this share of the samples belongs to it.
PRESENT = 0.05

# (key, heading, whether less is better); None: neither less nor more is better
MEASURES = (
    (FID, "FID", True),
    (SCORE, "score", False),
    ("kernel_inception_distance_mean", "KID", True),
    ("precision", "precision", False),
    ("recall", "recall", False),
    ("classes_present", "classes", False),
    ("least_class", "least class", False),
    ("class_distance", "class distance", True),
    ("good_samples", "on a mode", False),
    ("modes_found", "modes found", False),
    ("distance", "distance from (0, 0)", True),
    ("seconds", "seconds", None),
    ("bytes", "bytes, server", None),
    ("bytes_swapped", "bytes, swapped", None),
)


@dataclasses.dataclass
class Run:
    seed: int
    folder: pathlib.Path
    rounds: int = 0  # the last recorded round
    # (round, seconds, bytes, bytes swapped), summed up to the end of each tick
    totals: list = dataclasses.field(default_factory=list)
    losses: list = dataclasses.field(default_factory=list)  # (round, d, g)
    # {round: {measure: value}}
    evaluations: dict = dataclasses.field(default_factory=dict)
    features: str = ""
    samples: int = 0
    # the kinds of evaluation, in words, that `evaluations` leaves out
    others: list = dataclasses.field(default_factory=list)
    # (round, real images that discriminators have seen) at the end of each tick
    seen: list = dataclasses.field(default_factory=list)
    swaps_recorded: bool = False  # older servers did not count swapped bytes
    lost: list = dataclasses.field(default_factory=list)  # rounds of lost peers

    def total_at(self, round_, which):
        """Column `which` of the totals at a round, with linear interpolation
        between ticks."""
        before = (0, 0.0, 0, 0)
        for tick in self.totals:
            if tick[0] >= round_:
                part = (round_ - before[0]) / (tick[0] - before[0])
                return before[which] + part * (tick[which] - before[which])
            before = tick
        return before[which]

    def images_at(self, round_):
        """How many real images discriminators have seen up to a round; None if
        the run does not tell."""
        before = (0, 0)
        for tick in self.seen:
            if tick[0] >= round_:
                part = (round_ - before[0]) / (tick[0] - before[0])
                return before[1] + part * (tick[1] - before[1])
            before = tick
        return before[1] if self.seen else None

    def series(self, key):
        """[(round, seconds, bytes with swaps, value)] of a measure, in order of
        rounds."""
        return [(r, self.total_at(r, 1),
                 self.total_at(r, 2) + self.total_at(r, 3), values[key])
                for r, values in sorted(self.evaluations.items())
                if key in values]

    def final(self):
        """Every measure at the last evaluation, and the totals of the run."""
        values = {}
        if self.evaluations:
            values.update(self.evaluations[max(self.evaluations)])
        if self.totals:
            _, seconds, sent, swapped = self.totals[-1]
            values.update(seconds=seconds, bytes=sent)
            if self.swaps_recorded:
                values["bytes_swapped"] = swapped
        return values


def lines(path):
    """The records in a JSON Lines file; incomplete lines are left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines(True):
        if line.endswith("\n") and line.strip():
            try:
                records.append(json.loads(line))
            except ValueError:
                continue  # a crash cut it short, and a resumed run wrote on
    return records


def ascending(records):
    """The records without those that a resumed run has recorded again."""
    kept = []
    for record in records:
        while kept and kept[-1]["round"] >= record["round"]:
            kept.pop()
        kept.append(record)
    return kept


def configuration(folder):
    """{key: value} of the config.ini that a run has written; {} without one."""
    try:
        text = (folder / "config.ini").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines()
             if not line.startswith("#"))
    return {key.strip(): value.strip() for key, equals, value in pairs
            if equals}


def images_a_round(config, peers):
    """How many real images the discriminators of `peers` peers see a round:
    N b L, of `participants` of them where only so many are asked; None if the
    configuration does not tell."""
    try:
        steps = int(config["batch"]) * int(config["local-steps"])
        asked = int(config.get("participants", 0))
    except (KeyError, ValueError):
        return None
    return (min(peers, asked) if asked else peers) * steps


def read_run(seed, folder):
    run = Run(seed, pathlib.Path(folder))
    before = (0, 0.0, 0, 0)
    config, images = configuration(run.folder), 0
    for tick in ascending(lines(run.folder / "stats.jsonl")):
        rounds = tick["round"] - before[0]
        before = (tick["round"],
                  before[1] + rounds * tick.get("seconds_per_round", 0),
                  before[2] + tick.get("bytes_sent_apart",
                                       tick.get("bytes_sent", 0))
                  + tick.get("bytes_received", 0),
                  before[3] + tick.get("bytes_swapped", 0))
        run.totals.append(before)
        each = images_a_round(config, tick.get("peers", 0))
        if each is not None:
            images += rounds * each
            run.seen.append((tick["round"], images))
        run.losses.append((tick["round"], tick.get("d_loss"),
                           tick.get("g_loss")))
        run.swaps_recorded |= "bytes_swapped" in tick
    run.rounds = before[0]
    read_evaluations(run)
    for values in run.evaluations.values():
        if "class_histogram" in values:
            values["classes_present"] = sum(
                share >= PRESENT for share in values["class_histogram"])
            values["least_class"] = min(values["class_histogram"])
    run.lost = [r["round"] for r in lines(run.folder / "lost.jsonl")]
    return run


def read_evaluations(run):
    """Reads the evaluations of one kind: values with different features or
    numbers of samples must not share a curve."""
    kinds = {}
    for file in sorted(run.folder.glob("metric-*.jsonl")):
        for record in lines(file):
            kind = record.get("samples", 0), record.get("features", "")
            kinds.setdefault(kind, []).append(record)
    if not kinds:
        return

    # The kind with the most evaluated rounds, then with the most samples.
    def worth(kind):
        return len({record["round"] for record in kinds[kind]}), kind[0]
    chosen = max(kinds, key=worth)
    run.samples, run.features = chosen
    run.others = [f"{samples:,} samples, {features}"
                  for samples, features in sorted(kinds) if
                  (samples, features) != chosen]
    for record in kinds[chosen]:
        run.evaluations.setdefault(record["round"], {}).update(
            {k: v for k, v in record["results"].items() if v is not None})


def spread(values):
    """{mean, sd, interval, n, values}; sd, the sample standard deviation, and
    interval, the 95 % interval of the mean, are None for a single value. None
    if there is no value."""
    values = [v for v in values if v is not None and math.isfinite(v)]
    if not values:
        return None
    return {"mean": statistics.fmean(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None,
            "interval": student.interval(values),
            "n": len(values), "values": values}


def table(runs):
    """{measure: its spread over the runs of one arm at their ends}"""
    finals = [run.final() for run in runs]
    spreads = {key: spread([f.get(key) for f in finals])
               for key, _, _ in MEASURES}
    return {key: value for key, value in spreads.items() if value}


def histogram(runs):
    """The mean share of each class over the runs; None without shares."""
    each = [h for run in runs if (h := run.final().get("class_histogram"))]
    return [statistics.fmean(shares) for shares in zip(*each)] or None


def curve(runs, key):
    """[(round, seconds, bytes, mean, minimum, maximum)] of a measure over the
    runs, at the rounds that all runs share."""
    by_round = [{point[0]: point for point in run.series(key)}
                for run in runs]
    by_round = [points for points in by_round if points]
    if not by_round:
        return []
    shared = set.intersection(*(set(points) for points in by_round))
    result = []
    for r in sorted(shared):
        points = [p[r] for p in by_round]
        values = [p[3] for p in points]
        result.append((r, statistics.fmean(p[1] for p in points),
                       statistics.fmean(p[2] for p in points),
                       statistics.fmean(values), min(values), max(values)))
    return result


def to_reach(run, fid):
    """(rounds, seconds, bytes with swaps) until the first evaluation with at
    most this FID; None if there is none."""
    for point in run.series(FID):
        if point[3] <= fid:
            return point[:3]
    return None


def reached(runs, fid):
    """The spreads of rounds, seconds and bytes that the runs of an arm took to
    reach the FID, and how many runs reached it."""
    costs = [cost for run in runs if (cost := to_reach(run, fid))]
    result = {"reached": len(costs), "of": len(runs)}
    for i, name in enumerate(("rounds", "seconds", "bytes")):
        result[name] = spread([cost[i] for cost in costs])
    return result


def targets(runs, most=5):
    """The FIDs that the report gives costs for, in descending order: the `most`
    smallest round numbers between the best FID and the worst first one."""
    series = [[p[3] for p in run.series(FID)] for run in runs]
    series = [s for s in series if s]
    if not series:
        return []
    best = min(min(s) for s in series)
    first = max(s[0] for s in series)
    steps = [m * 10.0**e for e in range(-3, 6)
             for m in (1, 1.5, 2, 3, 5, 7)]
    return [f for f in steps if best <= f < first][:most][::-1]
