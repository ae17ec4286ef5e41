"""Compares two arms over paired seeds, and says in words what the numbers show.

A comparison of the definition is {arms: [a, b], metric, claim, margin, at}; it
says of a how it stands to b. Its verdict claims no more than its 95 % interval.
"""
import statistics

from . import student
from .definition import METRICS

# How far the images of two arms may differ where these are to be equal.
IMAGES_DIFFER = 0.05
ONE_SEED = "one seed: no interval"
NO_SPREAD = "no spread: no interval"
NOT_SHOWN = "no difference shown"


def percent(fraction):
    return f"{100 * fraction:g} %"


def verdict(a, b, claim, margin):
    """What the values of two arms show, in words; `a` and `b` have a value for
    each of the same seeds, and `margin` is a fraction."""
    if len(a) < 2:
        return ONE_SEED

    def below(factor):
        """Whether the mean of a is shown to be below factor * that of b."""
        return student.interval([x - factor * y for x, y in zip(a, b)])[1] < 0

    def over(factor):
        return student.interval([x - factor * y for x, y in zip(a, b)])[0] > 0
    if len({x - y for x, y in zip(a, b)}) == 1:
        return NO_SPREAD  # Student's t needs some
    if statistics.fmean(b) <= 0:
        margin = None  # a share of it is no margin
    if claim == "equal" and margin and over(1 - margin) and below(1 + margin):
        return f"equal within {percent(margin)}"
    if claim == "lower" and margin and below(1 - margin):
        return f"lower by more than {percent(margin)}"
    if claim == "higher" and margin and over(1 + margin):
        return f"higher by more than {percent(margin)}"
    if below(1):
        return "lower"
    if over(1):
        return "higher"
    return NOT_SHOWN


def points(run, key):
    """{round: (value, images)} of a run's evaluations."""
    return {r: (values[key], run.images_at(r))
            for r, values in run.evaluations.items() if key in values}


def equal_work(pairs, at):
    """The rounds (of a, of b) that are compared: the latest ones that every run
    has been judged at and that are equal work; None if there are none."""
    of_a, of_b = (set.intersection(*(set(pair[i]) for pair in pairs))
                  for i in (0, 1))
    if at == "rounds":
        shared = of_a & of_b
        return (max(shared),) * 2 if shared else None

    fits = []  # (the least images of any run, - how much a pair differs, rounds)
    for rounds in ((ra, rb) for ra in of_a for rb in of_b):
        counts = [(a[rounds[0]][1], b[rounds[1]][1]) for a, b in pairs]
        if any(None in pair for pair in counts):
            return None
        if any(0 in pair for pair in counts):  # nothing was trained yet
            continue
        apart = max(1 - min(pair) / max(pair) for pair in counts)
        if apart <= IMAGES_DIFFER:
            fits.append((min(map(min, counts)), -apart, rounds))
    return max(fits)[2] if fits else None


def compare(comparison, arms):
    """The result of a comparison: its verdict and, where there are such, the
    values, their difference, its interval and p. `arms` has the runs of each."""
    key = METRICS[comparison["metric"]]
    runs = [{run.seed: run for run in arms.get(name, [])}
            for name in comparison["arms"]]
    seeds = sorted(runs[0].keys() & runs[1].keys())
    seeds = [s for s in seeds if all(points(of[s], key) for of in runs)]

    def not_compared(why):
        return {**comparison, "seeds": seeds,
                "verdict": f"not compared: {why}"}
    if not seeds:
        return not_compared("no seed has values of both")
    kinds = {(of[s].features, of[s].samples) for of in runs for s in seeds}
    if len(kinds) > 1:
        return not_compared("they were judged with different features or "
                            "numbers of samples")
    pairs = [tuple(points(of[s], key) for of in runs) for s in seeds]
    rounds = equal_work(pairs, comparison["at"])
    if rounds is None:
        return not_compared(f"no evaluations at equal {comparison['at']}")
    a, b = ([pair[i][rounds[i]][0] for pair in pairs] for i in (0, 1))
    images = [[pair[i][rounds[i]][1] for pair in pairs] for i in (0, 1)]
    result = {
        **comparison, "seeds": seeds, "rounds": list(rounds),
        "images": None if any(None in x for x in images)
        else [statistics.fmean(x) for x in images],
        "values": [a, b], "difference": statistics.fmean(a)
        - statistics.fmean(b), "interval": None, "p": None,
        "verdict": verdict(a, b, comparison["claim"], comparison["margin"])}
    if result["verdict"] not in (ONE_SEED, NO_SPREAD):
        result["interval"] = list(student.interval(
            [x - y for x, y in zip(a, b)]))
        result["p"] = student.p_equal(a, b, comparison["margin"]) \
            if comparison["claim"] == "equal" else student.p_paired(a, b)
    return result
