"""Runs the attacks on a finished run, and gathers what they gave."""
import dataclasses
import pathlib
import warnings

import numpy

from .. import measurements
from ..definition import Refused
from . import attacks, canaries, figures, images, ledger

RATES = (0.01, 0.001)  # of false alarms
GENERATOR, CALIBRATED, SWAP, LISTENER, ASKER = (
    "generator", "calibrated", "swap", "listener", "asker")


@dataclasses.dataclass
class Site:
    """One of canaries.prepare(), and what its peer has left."""
    name: str
    discriminator: object
    trained: int  # images
    members: numpy.ndarray  # [n, c, h, w] float32
    others: numpy.ndarray
    labels: list  # of the members, of the others: [n] int64 or None
    spent: float  # epsilon by its ledger; None without one

    def scores(self, of):
        """(of the members, of the others) by of(images, labels)."""
        return tuple(of(part, labels) for part, labels in
                     zip((self.members, self.others), self.labels))


@dataclasses.dataclass
class Outcome:
    """How well one attack did, over all sites."""
    auc: float
    interval: tuple
    rates: list  # figures.Rate or None for each of RATES
    curve: tuple
    sites: dict  # {name: (auc, interval)}


@dataclasses.dataclass
class Results:
    sites: list
    outcomes: dict  # {attack: Outcome}
    about: dict  # {(site of D, site of the images): AUC}
    audits: dict  # {site: figures.Audit}
    together: figures.Audit
    round: int
    samples: int
    delta: float
    conditional: bool
    run: dict  # its config.ini
    seconds: float  # that it took to train
    seed: int  # of the coins


def load_sites(folder, run, state, delta, generator):
    """The sites in `folder` whose peers have their folders in `state`."""
    _, mdgan = attacks.modules()
    record = canaries.load(folder)
    sites = []
    for name, known in record["sites"].items():
        if not (state / name).is_dir():
            continue
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                discriminator = mdgan.load_discriminator(state / name, run)
            except (OSError, ValueError) as error:
                raise Refused(str(error)) from None
        if told:
            raise Refused(f"{told[0].message}; audit a run whose newest "
                          "checkpoints are whole")
        parts = [images.read(folder / name / part)
                 for part in ("members", "non-members")]
        trained = images.read(folder / name / "train")
        counts = [len(trained), *map(len, parts)]
        if counts != [known[key] for key in
                      ("trained", "members", "non_members")]:
            raise Refused(f"{folder / name} has {counts} images, other than "
                          f"{canaries.NAME} says; make the folder anew")
        if min(counts[1:]) < canaries.LEAST:
            raise Refused(f"{folder / name} has {min(counts[1:])} images on one of "
                          f"two sides, of which {canaries.LEAST} are needed; make "
                          "it anew with more --canaries")
        if trained.pixels.shape[1:] != discriminator.image_shape:
            raise Refused(f"the images in {folder / name} are "
                          f"{list(trained.pixels.shape[1:])}, and those of the run "
                          f"{list(discriminator.image_shape)} (channels, height, "
                          "width); bring them to the run's form before the coins "
                          "are thrown")
        labels = [part.numbered_by(generator.classes)
                  if generator.conditional else None for part in parts]
        spent = ledger.spent(state, trained.pixels, delta)
        if spent is None and (state / name / "private").is_dir():
            raise Refused(f"the peer {name} was trained with --dp, and no ledger in "
                          f"{state / 'privacy'} knows the images in {folder / name}: "
                          "give the folder that it was trained on")
        sites.append(Site(
            name, discriminator, len(trained),
            *(images.normalised(part.pixels) for part in parts), labels,
            spent))
    if not sites:
        raise Refused(f"{state} has no folder of a peer named "
                      f"{', '.join(record['sites'])}; give the --state-dir of the "
                      "peers, which are named as the sites are")
    return sites, record["seed"]


def standardised(members, others):
    """The scores of one discriminator on a scale that others share."""
    both = numpy.concatenate((members, others))
    spread = both.std() or 1.0
    return (members - both.mean()) / spread, (others - both.mean()) / spread


def outcome(scores):
    """The Outcome of {site: (scores of members, of others)}."""
    members, others = (numpy.concatenate([pair[i] for pair in scores.values()])
                       for i in range(2))

    def judged(pair):
        value = figures.auc(*pair)
        return value, figures.auc_interval(value, *map(len, pair))
    return Outcome(*judged((members, others)),
                   [figures.rate_at(members, others, wrong) for wrong in RATES],
                   figures.curve(members, others),
                   {name: judged(pair) for name, pair in scores.items()})


def measure(folder, run, state, reference, count, delta):
    """Results of the run in the folder `run`. `reference`: the folder of a run that
    was trained on other images, or None; `count`: how many samples to draw."""
    _, mdgan = attacks.modules()

    def generator_of(path):
        try:
            return mdgan.load(path)
        except (OSError, ValueError) as error:
            raise Refused(str(error)) from None
    generator = generator_of(run)
    if generator.conditional and count < len(generator.classes):
        raise Refused(f"{count} samples are fewer than the run's "
                      f"{len(generator.classes)} classes; give more --samples")
    sites, seed = load_sites(folder, run, state, delta, generator)
    samples, sample_labels = attacks.draw_samples(generator, count)
    scores = {GENERATOR: {site.name: site.scores(
        lambda x, _: attacks.generator_scores(x, samples)) for site in sites}}
    if reference:
        other = generator_of(reference)
        if other.image_shape != generator.image_shape:
            raise Refused(f"the images of {reference} have another form than those "
                          f"of {run}; give a run of the same kind of images")
        theirs, _ = attacks.draw_samples(other, count)
        scores[CALIBRATED] = {site.name: tuple(
            attacks.calibrated(own, attacks.generator_scores(x, theirs))
            for own, x in zip(scores[GENERATOR][site.name],
                              (site.members, site.others))) for site in sites}

    def by_discriminators(attack):
        return {site.name: standardised(*site.scores(
            lambda x, y: attack(site.discriminator, x, y))) for site in sites}
    scores[SWAP] = by_discriminators(attacks.logits)
    scores[LISTENER] = by_discriminators(
        lambda d, x, y: attacks.listener_scores(d, x, y, samples, sample_labels))
    # What it is told about an image of its choice is the same verdict.
    scores[ASKER] = scores[SWAP]
    # All bounds are to hold at once (Bonferroni).
    level = figures.LEVEL / (len(sites) + 1 if len(sites) > 1 else 1)
    tick = measurements.read_run(0, run).totals
    return Results(
        sites, {attack: outcome(by_site) for attack, by_site in scores.items()},
        {(a.name, b.name): figures.auc(*b.scores(
            lambda x, y: attacks.logits(a.discriminator, x, y)))
         for a in sites for b in sites},
        {name: guess([pair], delta, level)
         for name, pair in scores[SWAP].items()},
        guess(scores[SWAP].values(), delta, level),
        min(site.discriminator.round for site in sites), count, delta,
        generator.conditional, measurements.configuration(pathlib.Path(run)),
        tick[-1][1] if tick else 0.0, seed)


def guess(pairs, delta, level):
    """The figures.Audit of all canaries whose scores are in `pairs`."""
    scores = numpy.concatenate([part for pair in pairs for part in pair])
    is_in = numpy.concatenate([numpy.full(len(part), side == 0)
                               for pair in pairs
                               for side, part in enumerate(pair)])
    return figures.audit(scores, is_in, delta, level)
