"""Student's t: intervals of a mean, and tests of paired differences.

Pairs are runs with the same seed. The level is 95 % everywhere, so a one-sided
statement that follows from an interval is wrong in at most 2.5 % of cases.
"""
import math
import statistics

LEVEL = 0.95


def incomplete_beta(a, b, x):
    """The regularised incomplete beta function, by Lentz's continued fraction
    (Numerical Recipes, section 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                     + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    fraction = d
    for m in range(1, 1000):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x
                     / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction


def above(t, freedom):
    """The probability that Student's t exceeds `t`."""
    half = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    return half if t >= 0 else 1 - half


def quantile(freedom, level=LEVEL):
    """The t that |t| exceeds with probability 1 - level."""
    low, high = 0.0, 1.0
    while 2 * above(high, freedom) > 1 - level:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if 2 * above(middle, freedom) > 1 - level:
            low = middle
        else:
            high = middle
    return high


def interval(values):
    """(low, high) of the mean; None for a single value."""
    if len(values) < 2:
        return None
    mean = statistics.fmean(values)
    half = (quantile(len(values) - 1) * statistics.stdev(values)
            / math.sqrt(len(values)))
    return mean - half, mean + half


def p_above(values):
    """The one-sided p of the mean being at most 0: small if it is above."""
    mean = statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    if not error:
        return float(mean <= 0)
    return above(mean / error, len(values) - 1)


def p_paired(a, b):
    """The two-sided p of the paired t-test."""
    p = p_above([x - y for x, y in zip(a, b)])
    return 2 * min(p, 1 - p)


def p_equal(a, b, margin):
    """The p of two one-sided paired t-tests (TOST) of the mean of a being
    within `margin`, a fraction, of the mean of b, which is above 0."""
    return max(p_above([x - (1 - margin) * y for x, y in zip(a, b)]),
               p_above([(1 + margin) * y - x for x, y in zip(a, b)]))
