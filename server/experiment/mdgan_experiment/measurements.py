"""What runs have left, as numbers: reads the folders, averages over seeds.

A run folder has stats.jsonl (a line a tick) and metric-*.jsonl (a line an
evaluation). After a resumption rounds may be told twice: the later lines count.
"""
import dataclasses
import json
import math
import pathlib
import statistics

FID = "frechet_inception_distance"
SCORE = "inception_score_mean"
# A class is there when at least this share of the samples is of it.
PRESENT = 0.05

# key, heading, whether less is better (None: neither)
MEASURES = (
    (FID, "FID", True),
    (SCORE, "score", False),
    ("kernel_inception_distance_mean", "KID", True),
    ("precision", "precision", False),
    ("recall", "recall", False),
    ("classes_present", "classes", False),
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
    arm: str
    seed: int
    folder: pathlib.Path
    rounds: int = 0  # the last one told
    # totals after each tick: (round, seconds, bytes, bytes_swapped)
    totals: list = dataclasses.field(default_factory=list)
    losses: list = dataclasses.field(default_factory=list)  # (round, d, g)
    evaluations: dict = dataclasses.field(default_factory=dict)
    features: str = ""
    samples: int = 0
    others: list = dataclasses.field(default_factory=list)  # kinds left out
    swaps_told: bool = False  # older servers do not
    lost: list = dataclasses.field(default_factory=list)  # rounds

    def total_at(self, round_, which):
        """Column `which` of totals at a round, between ticks by proportion."""
        before = (0, 0.0, 0, 0)
        for tick in self.totals:
            if tick[0] >= round_:
                part = (round_ - before[0]) / (tick[0] - before[0])
                return before[which] + part * (tick[which] - before[which])
            before = tick
        return before[which]

    def series(self, key):
        """[(round, seconds, bytes with swaps, value)], oldest first."""
        return [(r, self.total_at(r, 1),
                 self.total_at(r, 2) + self.total_at(r, 3), values[key])
                for r, values in sorted(self.evaluations.items())
                if key in values]

    def final(self):
        """Every measure at the newest evaluation, and the totals."""
        values = {}
        if self.evaluations:
            values.update(self.evaluations[max(self.evaluations)])
        if self.totals:
            _, seconds, sent, swapped = self.totals[-1]
            values.update(seconds=seconds, bytes=sent)
            if self.swaps_told:
                values["bytes_swapped"] = swapped
        return values


def lines(path):
    """The complete JSON lines of a file; a torn last one is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines(True):
        if line.endswith("\n") and line.strip():
            try:
                records.append(json.loads(line))
            except ValueError:
                continue  # torn by a power cut, then written on
    return records


def ascending(records):
    """Those that a resumption did not tell anew."""
    kept = []
    for record in records:
        while kept and kept[-1]["round"] >= record["round"]:
            kept.pop()
        kept.append(record)
    return kept


def read_run(arm, seed, folder):
    run = Run(arm, seed, pathlib.Path(folder))
    before = (0, 0.0, 0, 0)
    for tick in ascending(lines(run.folder / "stats.jsonl")):
        rounds = tick["round"] - before[0]
        before = (tick["round"],
                  before[1] + rounds * tick.get("seconds_per_round", 0),
                  before[2] + tick.get("bytes_sent_apart",
                                       tick.get("bytes_sent", 0))
                  + tick.get("bytes_received", 0),
                  before[3] + tick.get("bytes_swapped", 0))
        run.totals.append(before)
        run.losses.append((tick["round"], tick.get("d_loss"),
                           tick.get("g_loss")))
        run.swaps_told |= "bytes_swapped" in tick
    run.rounds = before[0]
    read_evaluations(run)
    for values in run.evaluations.values():
        if "class_histogram" in values:
            values["classes_present"] = sum(
                share >= PRESENT for share in values["class_histogram"])
    run.lost = [r["round"] for r in lines(run.folder / "lost.jsonl")]
    return run


def read_evaluations(run):
    """Those of one kind: figures of other features, or of fewer samples, do
    not belong on one curve."""
    kinds = {}
    for file in sorted(run.folder.glob("metric-*.jsonl")):
        for record in lines(file):
            kind = record.get("samples", 0), record.get("features", "")
            kinds.setdefault(kind, []).append(record)
    if not kinds:
        return

    # As most rounds were judged; of several, with the most samples.
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
    """{mean, sd, n, values}; sd is None for one value, the sample's else."""
    values = [v for v in values if v is not None and math.isfinite(v)]
    if not values:
        return None
    return {"mean": statistics.fmean(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None,
            "n": len(values), "values": values}


def table(runs):
    """{measure: spread over these runs of one arm} at their last rounds."""
    finals = [run.final() for run in runs]
    spreads = {key: spread([f.get(key) for f in finals])
               for key, _, _ in MEASURES}
    return {key: value for key, value in spreads.items() if value}


def histogram(runs):
    """The mean share of each class over the runs, or None."""
    each = [h for run in runs if (h := run.final().get("class_histogram"))]
    return [statistics.fmean(shares) for shares in zip(*each)] or None


def curve(runs, key):
    """Mean, least and greatest over the runs at the rounds all have:
    [(round, seconds, bytes, mean, least, greatest)]."""
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
    most this FID; None when there is none."""
    for point in run.series(FID):
        if point[3] <= fid:
            return point[:3]
    return None


def reached(runs, fid):
    """What the runs of an arm took to the FID: spreads, and how many got
    there."""
    costs = [cost for run in runs if (cost := to_reach(run, fid))]
    result = {"reached": len(costs), "of": len(runs)}
    for i, name in enumerate(("rounds", "seconds", "bytes")):
        result[name] = spread([cost[i] for cost in costs])
    return result


def targets(runs, most=5):
    """FIDs worth asking for: round numbers between what the first evaluations
    show and the best one."""
    series = [[p[3] for p in run.series(FID)] for run in runs]
    series = [s for s in series if s]
    if not series:
        return []
    best = min(min(s) for s in series)
    first = max(s[0] for s in series)
    steps = [m * 10.0**e for e in range(-3, 6)
             for m in (1, 1.5, 2, 3, 5, 7)]
    return [f for f in steps if best <= f < first][:most][::-1]
