"""Formats numbers for reading."""
import math


def figure(value):
    """A number with three significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 6)}f}"


def duration(seconds):
    if seconds < 120:
        return f"{figure(seconds)} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{figure(seconds / 3600)} h"


def size(count):
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= factor:
            return f"{figure(count / factor)} {unit}"
    return f"{count:.0f} B"


def unit(key, value):
    if key == "seconds":
        return duration(value)
    if key.startswith("bytes"):
        return size(value)
    if key in ("classes_present", "modes_found"):
        return f"{value:.1f}".removesuffix(".0")
    return figure(value)


def interval(key, values):
    """The 95 % interval of the mean over the seeds as ' [low, high]', of seconds
    ' ± half of it in %'; '' for bytes and for one seed."""
    if not values["interval"] or key.startswith("bytes"):
        return ""
    mean, (low, high) = values["mean"], values["interval"]
    if key == "seconds":
        return f" ± {100 * (high - mean) / mean:.0f} %" if mean else ""
    digits = 1 if key in ("classes_present", "modes_found") else decimals(mean)
    return f" [{low:,.{digits}f}, {high:,.{digits}f}]"


def decimals(value):
    """How many decimals figure() gives a value."""
    return 2 if value == 0 else \
        min(6, max(0, 2 - math.floor(math.log10(abs(value)))))


def seeds(count):
    return "one seed" if count == 1 else f"{count} seeds"


def plain(key, values):
    if not values:
        return "–"
    return unit(key, values["mean"]) + interval(key, values)


def p_value(p):
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def difference(result):
    """'-1.20 [-2.00, -0.40]', the difference of a comparison; '–' without."""
    if "difference" not in result:
        return "–"
    digits = decimals(result["values"][1][0])
    text = f"{result['difference']:+,.{digits}f}"
    if result["interval"]:
        low, high = result["interval"]
        text += f" [{low:+,.{digits}f}, {high:+,.{digits}f}]"
    return text


def metric(name):
    return {"fid": "FID", "kid": "KID"}.get(name, name.replace("-", " "))


def floor(values):
    """What the FIDs of real images from real ones tell; '' without."""
    if not values:
        return ""
    return ("The floor, the FID of as many real images of the training part: "
            + ", ".join(map(figure, values)) + ".")


def tests(results):
    """Which tests the p of comparisons are of."""
    equal = {result["claim"] == "equal" for result in results}
    text = ["p: the paired t-test."] if False in equal else []
    if True in equal:
        text.append("p of a comparison that claims equality: two one-sided "
                    "paired t-tests (TOST) within the margin; its verdict asks "
                    "for 2.5 % of each.")
    return " ".join([*text, "No correction is made for the number of "
                     "comparisons."])


def work(result):
    """After how much training a comparison is made."""
    if "rounds" not in result:
        return f"equal {result['at']}"
    a, b = result["rounds"]
    rounds = f"{a:,} rounds" if a == b else f"{a:,} and {b:,} rounds"
    if not result["images"]:
        return rounds
    a, b = map(images, result["images"])
    return f"{rounds}, {a if a == b else f'{a} and {b}'} images"


def images(count):
    return f"{figure(count / 1e6)} million" if count >= 1e6 else f"{count:,.0f}"


def plain_reached(reached):
    if not reached["reached"]:
        return "not reached"
    some = "" if reached["reached"] == reached["of"] else \
        f" ({reached['reached']} of {reached['of']} seeds)"
    return (f"{reached['rounds']['mean']:,.0f} rounds, "
            f"{duration(reached['seconds']['mean'])}, "
            f"{size(reached['bytes']['mean'])}{some}")


def machine_line(machine):
    return ", ".join([f"{machine['cpu']} ({machine['cores']} cores visible)",
                      machine["system"], *machine["versions"]])
