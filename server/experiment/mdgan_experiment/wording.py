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


def deviation(key, values):
    """' ± sd' with the decimals of the mean; '' for bytes and for one seed."""
    if values["sd"] is None or key.startswith("bytes"):
        return ""
    mean = values["mean"]
    if key == "seconds":
        return f" ± {100 * values['sd'] / mean:.0f} %" if mean else ""
    if key in ("classes_present", "modes_found"):
        return f" ± {values['sd']:.1f}"
    digits = 2 if mean == 0 else \
        max(0, 2 - math.floor(math.log10(abs(mean))))
    return f" ± {values['sd']:.{min(digits, 6)}f}"


def plain(key, values):
    if not values:
        return "–"
    return unit(key, values["mean"]) + deviation(key, values)


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
