"""Makes the drawings of the report, as SVG elements of its page. Their colours
are CSS variables of the page, so that they follow light and dark mode.

The module needs Debian's python3-matplotlib. Without it `available` is False,
and `why_not` says what to install.
"""
import io
import re

from .measurements import FID, SCORE, curve

try:
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    available, why_not = True, ""
except ImportError as error:
    available = False
    why_not = (f"drawings are left out: {error}; install Debian's "
               "python3-matplotlib and run `mdgan-experiment report`")

COLOURS = 8  # the page defines --c0 to --c7
DASHES = ("-", "--", ":", "-.")
# matplotlib knows no CSS variables, so it draws with these colours and
# #c0de00 to #c0de07 in their place; css() puts the variables in.
INK, MUTED, GRID = "#c0deff", "#c0defe", "#c0defd"
NAMED = {INK: "currentColor", MUTED: "var(--muted)", GRID: "var(--grid)"}


def colour(i):
    return f"#c0de{i % COLOURS:02x}"


def dash(i):
    return DASHES[i // COLOURS % len(DASHES)]


def style():
    return {
        "svg.fonttype": "none", "svg.hashsalt": "mdgan", "font.size": 9,
        "font.family": "sans-serif", "text.color": INK, "axes.labelcolor": INK,
        "axes.titlesize": 10, "axes.titlelocation": "left",
        "axes.titleweight": "bold", "axes.edgecolor": MUTED,
        "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6,
        "axes.axisbelow": True, "xtick.color": MUTED, "ytick.color": MUTED,
        "xtick.labelcolor": INK, "ytick.labelcolor": INK,
        "lines.linewidth": 1.6, "figure.facecolor": "none",
        "axes.facecolor": "none", "savefig.facecolor": "none"}


class Drawer:
    """Draws the figures of one page, and keeps the ids in them apart."""

    def __init__(self):
        self.count = 0

    def svg(self, figure, label):
        self.count += 1
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={
            "Date": None, "Creator": None, "Format": None, "Type": None})
        pyplot.close(figure)
        text = out.getvalue()
        text = text[text.index("<svg"):]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
        text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
        text = text.replace("xlink:href", "href")
        text = re.sub(r'^<svg([^>]*?)>', lambda m: opening(m[1], label), text)
        own = f"d{self.count}-"
        text = re.sub(r'\bid="', f'id="{own}', text)
        text = text.replace('href="#', f'href="#{own}')
        text = text.replace("url(#", f"url(#{own}")
        text = re.sub(r"#c0de[0-9a-f]{2}", css, text)
        # The page's typeface replaces matplotlib's.
        text = re.sub(r"font: ((?:bold )?[\d.]+px)[^;\"]*",
                      r"font: \1 var(--sans)", text)
        return text.strip()

    # --- figures ---

    def curves(self, arms, x):
        """Draws FID and score of each arm against x: rounds, seconds or bytes.
        Bands go from the minimum to the maximum over the seeds. `arms` has a
        list of runs for each arm. Returns '' if nothing was evaluated."""
        keys = [(k, t) for k, t in ((FID, "FID (less is better)"),
                                    (SCORE, "score (more is better)"))
                if any(curve(runs, k) for runs in arms)]
        if not keys:
            return ""
        column = {"rounds": 0, "seconds": 1, "bytes": 2}[x]
        with matplotlib.rc_context(style()):
            figure, axes = pyplot.subplots(
                1, len(keys), figsize=(4.9 * len(keys), 3.4), squeeze=False)
            for panel, (key, title) in zip(axes[0], keys):
                panel.set_title(title)
                scale, unit = 1, x
                if x == "bytes":
                    scale, unit = bytes_unit(arms, key)
                panel.set_xlabel(unit)
                for i, runs in enumerate(arms):
                    self.arm_curve(panel, i, runs, key, column, scale)
                if key == FID:
                    panel.set_yscale("log")
                    plain_ticks(panel)
            figure.tight_layout(w_pad=2)
            return self.svg(figure, f"Learning curves against {x}")

    def arm_curve(self, panel, i, runs, key, column, scale):
        points = curve(runs, key)
        at = [p[column] * scale for p in points]
        panel.plot(at, [p[3] for p in points], color=colour(i),
                   linestyle=dash(i), marker="o" if len(points) < 30 else "",
                   markersize=2.5)
        if len(runs) > 1:
            panel.fill_between(at, [p[4] for p in points],
                               [p[5] for p in points], color=colour(i),
                               alpha=0.16, linewidth=0)
        if column == 0:
            lost = sorted({r for run in runs for r in run.lost})
            for r in lost:
                panel.axvline(r, color=colour(i), linewidth=0.6, alpha=0.5,
                              linestyle=":")

    def losses(self, arms):
        with matplotlib.rc_context(style()):
            figure, axes = pyplot.subplots(1, 2, figsize=(9.8, 3))
            for column, title in ((1, "discriminators' loss"),
                                  (2, "generator's loss")):
                panel = axes[column - 1]
                panel.set_title(title)
                panel.set_xlabel("rounds")
                for i, runs in enumerate(arms):
                    for run in runs[:1]:
                        points = [p for p in run.losses
                                  if p[column] is not None]
                        panel.plot([p[0] for p in points],
                                   [p[column] for p in points],
                                   color=colour(i), linestyle=dash(i),
                                   linewidth=1)
            figure.tight_layout(w_pad=2)
            return self.svg(figure, "Losses of the first seed")

    def at_a_glance(self, labels, tables, key, title):
        """Draws a row for each arm, with a dot for each seed and a bar at their
        mean."""
        rows = [(i, label, t[key]) for i, (label, t) in
                enumerate(zip(labels, tables)) if key in t]
        if not rows:
            return ""
        with matplotlib.rc_context({**style(), "axes.grid.axis": "x"}):
            figure, panel = pyplot.subplots(
                figsize=(9.8, 0.75 + 0.32 * len(rows)))
            for y, (i, _, values) in enumerate(rows):
                panel.plot(values["values"], [y] * values["n"], "o",
                           color=colour(i), alpha=0.55, markersize=5,
                           markeredgewidth=0)
                panel.plot([values["mean"]], [y], "|", color=colour(i),
                           markersize=15, markeredgewidth=2.5)
            panel.set_yticks(range(len(rows)), [label for _, label, _ in rows])
            panel.set_ylim(len(rows) - 0.5, -0.5)
            panel.tick_params(axis="y", length=0)
            panel.spines["left"].set_visible(False)
            panel.set_title(title)
            figure.tight_layout()
            return self.svg(figure, title)

    def histogram(self, i, shares, label):
        """Draws the share of each class, and a line at equal shares."""
        with matplotlib.rc_context({**style(), "axes.grid.axis": "y"}):
            figure, panel = pyplot.subplots(figsize=(3.2, 1.9))
            panel.bar(range(len(shares)), [100 * s for s in shares],
                      color=colour(i), width=0.75)
            panel.axhline(100 / len(shares), color=MUTED, linewidth=1,
                          linestyle="--")
            panel.set_xticks(range(len(shares)))
            panel.set_ylabel("% of samples")
            figure.tight_layout()
            return self.svg(figure, f"Classes of {label}")

    def rates(self, attacks, least):
        """Draws the share of members that attacks recognise against the share of
        others that they take for members, both from `least` on. `attacks` has
        (i, label, wrong, right); shares are ascending."""
        with matplotlib.rc_context(style()):
            figure, panel = pyplot.subplots(figsize=(6.2, 4.2))
            panel.plot([least, 1], [least, 1], color=MUTED, linewidth=1,
                       linestyle=":", label="guessing")
            for i, label, wrong, right in attacks:
                panel.plot(wrong, right, color=colour(i), linestyle=dash(i),
                           label=label, drawstyle="steps-post")
            for scale in (panel.set_xscale, panel.set_yscale):
                scale("log")
            percent = matplotlib.ticker.FuncFormatter(
                lambda v, _: f"{100 * v:g} %")
            panel.xaxis.set_major_formatter(percent)
            panel.yaxis.set_major_formatter(percent)
            panel.set_xlim(least, 1)
            panel.set_ylim(least, 1.05)
            panel.set_xlabel("other images wrongly taken for a site's")
            panel.set_ylabel("images of the site recognised")
            panel.legend(frameon=False, fontsize=8)
            figure.tight_layout()
            return self.svg(figure, "Recognised images against false alarms")


def bytes_unit(arms, key):
    """(factor, name) of the unit for an axis that ends at the most bytes of any
    arm."""
    most = max(p[2] for runs in arms for p in curve(runs, key))
    for factor, name in ((1e-12, "TB"), (1e-9, "GB"), (1e-6, "MB")):
        if most * factor >= 1:
            return factor, f"{name} sent, by server and peers"
    return 1e-3, "kB sent, by server and peers"


def plain_ticks(panel):
    """Labels a logarithmic axis with 200 instead of 2 x 10^2."""
    plain = matplotlib.ticker.FuncFormatter(lambda v, _: f"{v:g}")
    panel.yaxis.set_major_formatter(plain)
    low, high = panel.get_ylim()
    if high / low < 30:  # so few powers of ten need labels between them
        panel.yaxis.set_minor_formatter(matplotlib.ticker.FuncFormatter(
            lambda v, _: f"{v:g}" if str(v).lstrip("0.")[0] in "235" else ""))
        panel.tick_params(axis="y", which="minor", labelsize=8)
    else:
        panel.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def opening(attributes, label):
    """An <svg> tag without width and height, so that the page sets them."""
    kept = re.search(r'viewBox="[^"]*"', attributes)[0]
    return f'<svg {kept} role="img" aria-label="{label}">'


def css(match):
    name = match[0]
    return NAMED.get(name) or f"var(--c{int(name[-2:], 16)})"
