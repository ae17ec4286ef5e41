"""The attacks: each gives every image a score, the greater the more it is taken for
one that a peer was trained on.

None of them changes what is attacked, and all are of the strength that is published:
that one of them fails does not show that none could succeed.
"""
import pathlib
import sys

import numpy

from ..definition import Refused

SOURCE = pathlib.Path(__file__).resolve().parents[4] / "python"
BATCH = 1000


def modules():
    """(torch, mdgan); Refused where one is missing."""
    if (SOURCE / "mdgan").is_dir() and str(SOURCE) not in sys.path:
        sys.path.insert(0, str(SOURCE))
    try:
        import mdgan
        import torch
    except ImportError as error:
        raise Refused(f"an audit needs PyTorch and this project's Python module "
                      f"({error}): install Debian's python3-torch and python3-mdgan"
                      ) from None
    return torch, mdgan


def logits(discriminator, images, labels):
    """How real each image looks to it (LOGAN: Hayes and others 2019). [n]"""
    torch, _ = modules()
    with torch.no_grad():
        return numpy.concatenate([
            discriminator(torch.from_numpy(images[i:i + BATCH]),
                          torch.from_numpy(labels[i:i + BATCH])
                          if labels is not None else None).numpy()
            for i in range(0, len(images), BATCH)])


def gradients(discriminator, images, labels):
    """(logits [n], their gradients by the images' values [n, values])"""
    torch, _ = modules()
    values, slopes = [], []
    for i in range(0, len(images), BATCH):
        x = torch.from_numpy(images[i:i + BATCH]).requires_grad_()
        y = discriminator(x, torch.from_numpy(labels[i:i + BATCH])
                          if labels is not None else None)
        slope, = torch.autograd.grad(y.sum(), x)
        values.append(y.detach().numpy())
        slopes.append(slope.flatten(1).numpy())
    return numpy.concatenate(values), numpy.concatenate(slopes)


def nearest(images, samples, groups=None):
    """(places, distances): for each image the sample at the least Euclidean distance.
    `groups`: (the images', the samples'), numbers of which only equal ones are
    compared."""
    images = images.reshape(len(images), -1)
    samples = samples.reshape(len(samples), -1)
    squares = (samples ** 2).sum(1)
    places = numpy.empty(len(images), numpy.int64)
    for i in range(0, len(images), BATCH):
        part = images[i:i + BATCH]
        distances = squares - 2 * part @ samples.T
        if groups is not None:
            distances[groups[0][i:i + BATCH, None] != groups[1]] = numpy.inf
        places[i:i + BATCH] = distances.argmin(1)
    # Of the difference itself: little is left of large squares.
    return places, numpy.linalg.norm(images - samples[places], axis=1)


def generator_scores(images, samples):
    """Less the distance to the nearest sample (GAN-leaks: Chen and others 2020,
    equation 5)."""
    return -nearest(images, samples)[1]


def calibrated(scores, reference):
    """Scores less those by a reference that has seen none of the images: an image that
    is near to samples of any generator is no hint (equation 9 there)."""
    return scores - reference


def listener_scores(discriminator, images, labels, samples, sample_labels):
    """What a server that keeps to the protocol can infer of D's verdict on an image:
    for a generated image x the peer answers D's logit y and its gradient g by x, so
    that at a near image the logit is about y + g (image - x). It is taken from the
    nearest of `samples`, all judged by this same D."""
    groups = None if labels is None else (labels, sample_labels)
    places, _ = nearest(images, samples, groups)
    used, inverse = numpy.unique(places, return_inverse=True)
    y, g = gradients(discriminator, samples[used],
                     None if labels is None else sample_labels[used])
    steps = (images - samples[places]).reshape(len(images), -1)
    return y[inverse] + (g[inverse] * steps).sum(1)


def draw_samples(generator, count, seed=None):
    """(images [n, c, h, w] float32, labels [n] int64 or None) of a generator."""
    _, mdgan = modules()
    arguments = mdgan.inputs(generator, count, seed=seed)
    labels = arguments[1].numpy() if len(arguments) > 1 else None
    return mdgan.sample(generator, count, seed=seed).numpy(), labels
