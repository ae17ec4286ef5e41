"""Writes the report of an audit for those who answer for the data: report.html,
report.md and report.json in a folder. The same results give the same bytes.
"""
import dataclasses
import html as markup
import json

from .. import document, page, plots, wording
from .measure import (ASKER, CALIBRATED, GENERATOR, LISTENER, RATES, SWAP)

TITLE = "What a run gives away about single images"
QUESTION = ("Can somebody who has what this run has made, or sent, find out whether a "
            "given image was among those that a site trained on? Attacks that are "
            "published were tried on images of which it is known: a coin had decided "
            "which of them the sites were trained on.")
# What is attacked, who has it, and how the attack goes.
ATTACKS = {
    GENERATOR: (
        "the generator", "whoever gets the generator that the run has made",
        "The image is compared with {samples:,} generated ones; the nearer the "
        "nearest, the more it is taken for one that was trained on (GAN-leaks, Chen "
        "and others 2020). Members are the images of all sites."),
    CALIBRATED: (
        "the generator, calibrated",
        "whoever gets it, and has a generator of other images of that kind",
        "As above, but what counts is how much nearer this generator comes than one "
        "that was trained on none of the images (GAN-leaks, calibrated)."),
    SWAP: (
        "a discriminator in a swap",
        "the site that gets a site's discriminator in the next swap, or its copy",
        "The discriminator is asked how real it holds the image (LOGAN, Hayes and "
        "others 2019)."),
    LISTENER: (
        "feedback, by a server that listens",
        "a server that keeps to the protocol",
        "For each generated image the feedback has the discriminator's verdict and "
        "how it would change with each pixel. From the nearest of {samples:,} "
        "generated images, all judged by one state of the discriminator, the verdict "
        "on the image itself is estimated to first order. That is more than a round "
        "asks about; what earlier states of the discriminator answered is not used."),
    ASKER: (
        "feedback, by a server that asks",
        "a server that sends images of its choice in place of generated ones",
        "A peer cannot tell such images from others, and its answer has the "
        "discriminator's verdict on each. So this server can do what the site in the "
        "row of the swap can: the figures are of the same verdicts."),
}


def write(results, out, origin):
    """Writes the three files; `origin` has command, machine and seconds."""
    texts = {"report.json": json.dumps(numbers(results, origin), indent=1) + "\n",
             "report.md": markdown(results, origin),
             "report.html": html(results, origin)}
    for name, text in texts.items():
        part = out / (name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(out / name)


def numbers(results, origin):
    return {
        "attacks": {name: {
            "auc": o.auc, "interval": o.interval,
            "rates": {f"{wrong:g}": rate and dataclasses.asdict(rate)
                      for wrong, rate in zip(RATES, o.rates)},
            "sites": {site: {"auc": value, "interval": interval}
                      for site, (value, interval) in o.sites.items()}}
            for name, o in results.outcomes.items()},
        "sites": {s.name: {
            "trained": s.trained, "members": len(s.members),
            "non_members": len(s.others), "round": s.discriminator.round,
            "spent": s.spent,
            "canaries": dataclasses.asdict(results.audits[s.name])}
            for s in results.sites},
        "together": dataclasses.asdict(results.together),
        "about": {f"{a} about {b}": value
                  for (a, b), value in results.about.items()},
        "round": results.round, "samples": results.samples,
        "delta": results.delta, "training_seconds": results.seconds, **origin}


# --- words ------------------------------------------------------------------------

def of_hundred(share):
    """'98', of 100; '99.8' where that would be rounded to 100."""
    value = 100 * share
    digits = 0 if value == 100 or value < 99.5 else 1 if value < 99.95 else 2
    return f"{value:.{digits}f}"


def spread(value, interval):
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def rate_text(rate):
    if rate is None:
        return "too few images"
    return (f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, "
            f"{100 * rate.high:.1f}]")


def shows(outcome):
    """Whether the attack does better than a coin, by its interval."""
    return outcome.interval[0] > 0.5


def meaning(name, outcome):
    """What the outcome of an attack means, in a sentence or two."""
    title = ATTACKS[name][0]
    pairs = ("of an image that was trained on and one that was not, the attack picks "
             f"the right one in {of_hundred(outcome.auc)} of 100 pairs; a coin does "
             "in 50")
    if not shows(outcome):
        return (f"By {title} nothing was shown to leak: {pairs}, and the interval "
                "has that in it." if outcome.interval[1] >= 0.5 else
                f"By {title} something leaks, but the other way round: {pairs}.")
    text = f"By {title} membership leaks: {pairs}."
    rate = outcome.rates[0]
    if rate is not None:
        text += (f" If it may be wrong about 1 of 100 other images, it recognises "
                 f"{of_hundred(rate.value)} of 100 that were trained on.")
    return text


def promise(results):
    """What the canaries say of the budgets; (text, is it broken)."""
    confidence = "with a confidence of 95 %"

    def guesses(audit):
        return (f"of {audit.canaries:,} canaries {audit.guesses:,} were guessed, "
                f"{audit.right:,} of them right")
    sites = results.sites
    promises = [(site.spent, results.audits[site.name], f"the ledger of {site.name}")
                for site in sites if site.spent is not None]
    off = len(sites) - len(promises)
    if not off:
        promises.append((max(site.spent for site in sites), results.together,
                         "the ledgers"))
    for spent, audit, who in promises:
        if audit.epsilon > spent:
            return (f"THE PROMISE IS BROKEN: by {who} epsilon {spent:.2f} at most was "
                    f"spent, and by the canaries it is at least {audit.epsilon:.2f}, "
                    f"{confidence} ({guesses(audit)}). Do not hand on what the run has "
                    "made; have the cause found.", True)
    together = results.together
    low = f"{together.epsilon:.2f}"
    if off:
        return (f"{'Not all' if promises else 'The'} sites made "
                f"{'a' if promises else 'no'} promise (differential privacy was off at "
                f"{off} of {len(sites)}). None with an epsilon below {low} for all would "
                f"have been true, {confidence}: {guesses(together)}.", False)
    return (f"The promise stands: the ledgers say that epsilon "
            f"{max(site.spent for site in sites):.2f} at most was spent, and the "
            f"canaries that it is at least {low}, {confidence} ({guesses(together)}).",
            False)


def attack_rows(results):
    for name, o in results.outcomes.items():
        yield [ATTACKS[name][0], spread(o.auc, o.interval),
               *map(rate_text, o.rates)]


HEAD = ["what is attacked", "AUC", "recognised at 1 % false alarms",
        "at 0.1 % false alarms"]
CANARY_HEAD = ["site", "trained on", "canaries in", "out", "guesses", "right",
               "epsilon is at least", "by its ledger at most"]
SWAP_HEAD = "discriminator of"


def ledger_text(spent):
    return "no ledger" if spent is None else f"{spent:.2f}"


def canary_rows(results):
    for site in results.sites:
        audit = results.audits[site.name]
        yield [site.name, f"{site.trained:,}", f"{len(site.members):,}",
               f"{len(site.others):,}", f"{audit.guesses:,}", f"{audit.right:,}",
               f"{audit.epsilon:.2f}", ledger_text(site.spent)]
    if len(results.sites) > 1:
        audit = results.together
        spent = [site.spent for site in results.sites]
        yield ["together", f"{sum(s.trained for s in results.sites):,}",
               f"{sum(len(s.members) for s in results.sites):,}",
               f"{sum(len(s.others) for s in results.sites):,}",
               f"{audit.guesses:,}", f"{audit.right:,}", f"{audit.epsilon:.2f}",
               ledger_text(None if None in spent else max(spent))]


def site_rows(results):
    names = [site.name for site in results.sites]
    for a in names:
        yield [a, *(f"{results.about[a, b]:.3f}" for b in names)]


def explained(results):
    """[(what is attacked, how)]"""
    return [(title[0].upper() + title[1:],
             f"By {who}. " + how.format(samples=results.samples))
            for title, who, how in
            (ATTACKS[name] for name in results.outcomes)]


NOTES = (
    "AUC: the probability that the attack gives an image that was trained on more "
    "than one that was not; 0.5 is guessing, 1 is certainty. In brackets: 95 % "
    "intervals, of an AUC by Newcombe's method 5, of a share by Clopper and Pearson "
    "with the threshold taken as given. Scores of different discriminators were "
    "brought to one mean and spread before they were put together.")
LIMITS = (
    "That an attack fails does not show that another one would fail, too; that the "
    "bound by canaries is small does not show that little leaks. Only the ledger of "
    "a site with differential privacy bounds all attacks, also those that nobody has "
    "thought of. The attacks here see the run's last state, not its course, and know "
    "the images' labels where the run uses them. What was found holds for these "
    "images, this many of them at a site, and this training.")


def canary_note(results):
    return (
        "A canary is an image of which a coin decided whether the site was trained on "
        "it. Epsilon bounds what one image can do to all that leaves the site: nothing "
        "becomes more probable by more than the factor e to the epsilon, but for a "
        "probability of delta. The bound here is the least epsilon that so many right "
        f"guesses leave possible at delta {results.delta:g} (Steinke, Nasr and "
        "Jagielski 2023); the guesses are made by the discriminator that a swap hands "
        "over. All bounds here hold at once with a confidence of 95 %, which allows "
        "for that several numbers of guesses were tried.")


def origin_lines(results, origin):
    config = results.run
    keys = ("model", "condition", "loss", "batch", "local-steps", "swap-epochs",
            "rounds", "seed")
    settings = ", ".join(f"{key} {config[key]}" for key in keys if key in config)
    return [
        f"One run, of one seed: {settings or 'its config.ini is missing'}; coins of "
        f"seed {results.seed}. Its discriminators are of round {results.round:,}.",
        f"Training took {wording.duration(results.seconds)}, this audit "
        f"{wording.duration(origin['seconds'])}.",
        f"Machine: {wording.machine_line(origin['machine'])}"]


# --- the files ----------------------------------------------------------------------

def in_short(results):
    return [*(meaning(name, o) for name, o in results.outcomes.items()),
            promise(results)[0]]


def plain_table(head, rows):
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|",
            *("| " + " | ".join(row) + " |" for row in rows), ""]


def markdown(results, origin):
    names = [site.name for site in results.sites]
    lines = [f"# {TITLE}", "", QUESTION, "",
             *(f"- {text}" for text in in_short(results)), "",
             *plain_table(HEAD, attack_rows(results)), NOTES, "",
             "## Canaries", "", *plain_table(CANARY_HEAD, canary_rows(results)),
             canary_note(results), "", "## Swaps", "",
             "The AUC of each site's discriminator about each site's images: what it "
             "has kept of the sites where it was before.", "",
             *plain_table([SWAP_HEAD, *(f"about {name}" for name in names)],
                          site_rows(results)),
             "## How it was done", "",
             *(f"- {what}: {how}" for what, how in explained(results)), "",
             "## What this does not show", "", LIMITS, "",
             "## Where it comes from", "",
             *(line + "  " for line in origin_lines(results, origin)[:-1]),
             origin_lines(results, origin)[-1], "",
             f"    {origin['command']}", ""]
    return "\n".join(lines)


def html_table(head, rows):
    escape = markup.escape
    return page.table([escape(cell) for cell in head],
                      [[escape(row[0]), *(f"<td>{escape(cell)}</td>"
                                          for cell in row[1:])] for row in rows],
                      "text")


def html(results, origin):
    escape = markup.escape
    names = [site.name for site in results.sites]
    drawing = ""
    if plots.available:
        drawing = page.drawing(plots.Drawer().rates(
            [(i, ATTACKS[name][0], *o.curve)
             for i, (name, o) in enumerate(results.outcomes.items())
             if name != ASKER],  # which would lie on that of the swap
            1 / max(10, sum(len(site.others) for site in results.sites))),
            "The further a line is above the dotted one, the more leaks.")
    text, broken = promise(results)
    body = [
        page.section(
            "In short",
            *(page.paragraph(meaning(name, o),
                             "warning" if shows(o) else "finding")
              for name, o in results.outcomes.items()),
            page.paragraph(text, "warning" if broken else "finding")),
        page.section("The attacks", html_table(HEAD, attack_rows(results)),
                     page.paragraph(NOTES), drawing),
        page.section("Canaries", html_table(CANARY_HEAD, canary_rows(results)),
                     page.paragraph(canary_note(results))),
        page.section(
            "Swaps", page.paragraph(
                "The AUC of each site's discriminator about each site's images: "
                "what it has kept of the sites where it was before."),
            html_table([SWAP_HEAD, *(f"about {name}" for name in names)],
                       site_rows(results))),
        page.section("How it was done", *(
            f"<h3>{escape(what)}</h3>"
            + page.paragraph(how, "") for what, how in explained(results))),
        page.section("What this does not show", page.paragraph(LIMITS, "")),
        page.section("Where it comes from", *(
            page.paragraph(line, "") for line in origin_lines(results, origin)),
            page.paragraph("The same again:"),
            f"<pre>{escape(origin['command'])}</pre>")]
    return document.html("MD-GAN audit", TITLE, QUESTION, "\n".join(body))
