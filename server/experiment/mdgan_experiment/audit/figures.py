"""How well an attack tells members from others, with intervals, and what its right
guesses say of epsilon.

A score is a number for each image: the greater, the more the attack takes it for a
member. All intervals are of 95 %.
"""
import dataclasses
import math

import numpy

from .. import student

Z = 1.959963984540054  # of the normal distribution, two-sided 95 %
LEVEL = 0.05  # of the bound on epsilon
# The shares of the canaries that are guessed. They stand beforehand, and the level is
# divided among them (Bonferroni): a share that is chosen by how many guesses are right
# would make the bound wrong.
GUESSED = (1, 0.5, 0.2, 0.1, 0.05, 0.02)
BISECTIONS = 60


def auc(members, others):
    """The probability that a member has a greater score than another image (Mann and
    Whitney); equal scores count half."""
    others = numpy.sort(others)
    below = numpy.searchsorted(others, members, "left")
    up_to = numpy.searchsorted(others, members, "right")
    return float((below + up_to).mean() / 2 / len(others))


def root(function, low, high):
    """Where a function that is positive at `low` and negative at `high` is 0."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def auc_interval(theta, members, others):
    """(low, high) of an AUC `theta` from so many members and others: those t whose
    distance from theta is at most Z times the standard error that t would have
    (Newcombe 2006, part 2, method 5). It is no point even if theta is 0 or 1."""
    each = (members + others) / 2 - 1

    def outside(t):
        variance = t * (1 - t) * (1 + each * ((1 - t) / (2 - t) + t / (1 + t))
                                  ) / (members * others)
        return (theta - t) ** 2 - Z ** 2 * variance
    tiny = 1e-12  # 0 and 1 are roots of their own if theta is there
    low = root(outside, 0, theta - tiny) if theta > 0 else 0.0
    high = root(outside, 1, theta + tiny) if theta < 1 else 1.0
    return low, high


def share_interval(count, total):
    """(low, high) of a share (Clopper and Pearson 1934)."""
    def above(p):  # P[Bin(total, p) >= count]
        return student.incomplete_beta(count, total - count + 1, p)

    def up_to(p):  # P[Bin(total, p) <= count]
        return 1 - student.incomplete_beta(count + 1, total - count, p)
    half = (1 - student.LEVEL) / 2
    low = root(lambda p: half - above(p), 0, 1) if count > 0 else 0.0
    high = root(lambda p: up_to(p) - half, 0, 1) if count < total else 1.0
    return low, high


@dataclasses.dataclass(frozen=True)
class Rate:
    """The share of members that are recognised, and its interval; the threshold is
    taken as given."""
    value: float
    low: float
    high: float


def rate_at(members, others, wrong):
    """The Rate where at most the share `wrong` of the others is taken for members;
    None if there are too few others for one of them to be that share."""
    allowed = math.floor(wrong * len(others) + 1e-9)
    if allowed < 1:
        return None
    threshold = numpy.sort(others)[::-1][allowed]  # the first that is not taken
    count = int((numpy.asarray(members) > threshold).sum())
    return Rate(count / len(members), *share_interval(count, len(members)))


def curve(members, others):
    """(wrong, right): the shares of others and of members that are taken for members
    at each threshold, ascending."""
    scores = numpy.concatenate((members, others))
    is_member = numpy.arange(len(scores)) < len(members)
    order = numpy.argsort(-scores, kind="stable")
    ends = numpy.append(numpy.diff(scores[order]) != 0, True)
    right = numpy.cumsum(is_member[order])[ends] / len(members)
    wrong = numpy.cumsum(~is_member[order])[ends] / len(others)
    return numpy.append(0, wrong), numpy.append(0, right)


# --- a bound on epsilon by canaries ----------------------------------------------

def p_value(canaries, guesses, right, epsilon, delta):
    """How probable it is, if the run is (epsilon, delta)-private, that at least
    `right` of the guesses about `guesses` of the canaries are right (Steinke, Nasr
    and Jagielski 2023, theorem 5.2 and appendix D)."""
    q = 1 / (1 + math.exp(-epsilon))
    p = 1.0 if right == 0 else \
        student.incomplete_beta(right, guesses - right + 1, q)
    if delta and right:
        k = numpy.arange(right)[::-1]  # right - 1, right - 2, ..., 0
        log = numpy.array([math.lgamma(guesses + 1) - math.lgamma(i + 1)
                           - math.lgamma(guesses - i + 1) for i in k])
        # Of 1 - q a large epsilon would leave nothing.
        log += k * math.log(q) - (guesses - k) * (
            epsilon + math.log1p(math.exp(-epsilon)))
        less = numpy.cumsum(numpy.exp(log)) / numpy.arange(1, right + 1)
        p += 2 * canaries * delta * float(less.max())
    return min(p, 1.0)


def epsilon_bound(canaries, guesses, right, delta, level=LEVEL):
    """The run is not (e, delta)-private for any e below this, at a confidence of
    1 - level. 0 says that the guesses show nothing."""
    def p(epsilon):
        return p_value(canaries, guesses, right, epsilon, delta)
    if p(0) >= level:
        return 0.0
    high = 1.0
    while p(high) < level:
        high *= 2
    low = 0.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if p(middle) < level:
            low = middle
        else:
            high = middle
    return low


@dataclasses.dataclass(frozen=True)
class Audit:
    canaries: int
    guesses: int
    right: int
    epsilon: float


def audit(scores, is_in, delta, level=LEVEL):
    """The Audit with the greatest bound. Of a share of the canaries those with the
    highest scores are guessed to be in, as many with the lowest to be out; of the
    others nothing is guessed."""
    scores, is_in = numpy.asarray(scores), numpy.asarray(is_in, bool)
    # Equal scores must not be guessed by the order in which members stand first.
    shuffled = numpy.random.default_rng(0).permutation(len(scores))
    order = shuffled[numpy.argsort(-scores[shuffled], kind="stable")]
    best = None
    for share in GUESSED:
        half = int(share * len(scores) / 2)
        if half < 1:
            continue
        right = int(is_in[order[:half]].sum() + (~is_in[order[-half:]]).sum())
        bound = epsilon_bound(len(scores), 2 * half, right, delta,
                              level / len(GUESSED))
        if best is None or bound > best.epsilon:
            best = Audit(len(scores), 2 * half, right, bound)
    return best
