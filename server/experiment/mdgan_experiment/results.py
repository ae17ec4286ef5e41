"""Collects the results of an experiment: its record and its runs' numbers."""
import math
import pathlib

from . import comparisons, measurements, record, trajectories
from .definition import Refused


class Results:
    """The record of an experiment, and the runs and averages of each arm. The
    arms are in the order of the record."""

    def __init__(self, out):
        self.out = pathlib.Path(out)
        self.record = record.load(out)
        self.arms = {}
        for name in self.record["arms"]:
            runs = [measurements.read_run(seed, folder)
                    for seed in self.record["seeds"]
                    if (folder := self.out / name / f"seed-{seed}").is_dir()]
            runs = [run for run in runs if run.rounds]
            if runs:
                self.arms[name] = runs
        if not self.arms:
            raise Refused(f"{out} has nothing to report: no run has a line in "
                          "its stats.jsonl; see the logs ARM/seed-N.log there")
        self.evaluate_toys()
        self.tables = {n: measurements.table(r) for n, r in self.arms.items()}
        every = [run for runs in self.arms.values() for run in runs]
        self.fids = self.record["fids"] or measurements.targets(every)
        self.reached = {n: {f: measurements.reached(runs, f) for f in self.fids}
                        for n, runs in self.arms.items()
                        if any(run.series(measurements.FID) for run in runs)}

        # An earlier version's record has no comparisons; and those with an arm
        # that is not in the record are not of these runs.
        self.comparisons = {
            n: comparisons.compare(c, self.arms)
            for n, c in self.record.get("comparisons", {}).items()
            if {*c["arms"]} <= {*self.record["arms"]}}

    def label(self, name):
        return self.record["arms"][name]["label"]

    def index(self, name):
        """The number of an arm, which gives it its colour."""
        return list(self.arms).index(name)

    def data(self, name):
        return self.record["arms"][name]["data"]

    def evaluate_toys(self):
        if trajectories.numpy is None:
            return
        for name, runs in self.arms.items():
            for run in runs:
                self.evaluate_toy(run, self.data(name))

    def evaluate_toy(self, run, data):
        if data == "dirac":
            for round_, theta, psi in trajectories.path_of(run):
                run.evaluations[round_] = {"distance": math.hypot(theta, psi)}
        elif data.startswith("gaussians"):
            for round_, points in trajectories.stages(run):
                run.evaluations[round_] = trajectories.evaluate(points, data)

    def warnings(self):
        """Says which results are missing, and which do not compare."""
        notes = []
        for name in self.record["arms"]:
            runs = self.arms.get(name, [])
            short = [f"seed {run.seed} ends at round {run.rounds:,}"
                     for run in runs if run.rounds < self.record["rounds"]]
            seeds = {run.seed for run in runs}
            absent = [f"seed {seed} has nothing yet"
                      for seed in self.record["seeds"] if seed not in seeds]
            if short or absent:
                notes.append(f"{self.label(name)}: "
                             f"{', '.join(short + absent)}")
            early = [f"seed {run.seed} was last judged at round {last:,}"
                     for run in runs if run.evaluations
                     and (last := max(run.evaluations)) < run.rounds]
            if early:
                notes.append(f"{self.label(name)}: {', '.join(early)}")
            for run in runs:
                notes += [f"{self.label(name)}: seed {run.seed} {what}"
                          for what in self.missing_evaluations(run)]
        if self.record["at_once"] > 1:
            notes.append(f"up to {self.record['at_once']} runs shared the "
                         "machine, so their seconds compare only roughly")
        if len(self.record["machines"]) > 1:
            notes.append("the runs were made on several machines, or with "
                         "several versions, so their seconds do not compare")
        features = sorted({run.features for runs in self.arms.values()
                           for run in runs if run.features})
        if len(features) > 1:
            notes.append("the runs were judged with different features, so "
                         "their figures cannot be compared: "
                         + "; ".join(features))
        return notes

    def missing_evaluations(self, run):
        """The evaluations that the curves of a run lack, in words."""
        every = self.record["evaluate_every"]
        gaps = [r for r in range(every, run.rounds, every)
                if not any(r <= evaluated < r + every
                           for evaluated in run.evaluations)] if every else []
        if gaps and run.evaluations:
            yield ("was not judged at round "
                   + ", ".join(f"{r:,}" for r in gaps))
        if run.others:
            yield ("was also judged otherwise, which is left out: "
                   + "; ".join(run.others))

    def floors(self):
        """The FIDs of real images from real ones: one for each kind of data and
        features; none where the server did not measure it."""
        return sorted({values[measurements.FLOOR]
                       for runs in self.arms.values() for run in runs
                       for values in run.evaluations.values()
                       if measurements.FLOOR in values})

    def columns(self):
        """The entries of MEASURES that at least one arm has."""
        return [m for m in measurements.MEASURES
                if any(m[0] in table for table in self.tables.values())]
