"""Evaluates toy experiments from the checkpoints of their runs, and draws how
the models move during training.

The two generators are small enough to be computed here: one is the MLP of
common/models/mlp.h, the other a single number. The module needs numpy.
"""
import json
import math
import pathlib
import random
import struct

from . import plots, toys

try:
    import numpy
except ImportError:
    numpy = None

STAGES = 6
SAMPLES = 2000
SHOWN = 600  # how many of the samples a picture shows
GOOD = 3  # how many standard deviations from a mode a sample still is on it
DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4"}


def read_safetensors(path):
    raw = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    return {name: numpy.frombuffer(
                raw[8 + size + e["data_offsets"][0]:
                    8 + size + e["data_offsets"][1]],
                DTYPES[e["dtype"]]).reshape(e["shape"])
            for name, e in header.items()}


def checkpoints(folder):
    """{round: path of state.safetensors} of the checkpoints in a folder."""
    states = {}
    for state in pathlib.Path(folder).glob("*/state.safetensors"):
        if state.parent.name.isdigit():
            states[int(state.parent.name)] = state
    return dict(sorted(states.items()))


def evenly(items, count):
    """At most `count` evenly spaced items, the last one included."""
    if len(items) <= count:
        return items
    return [items[round((i + 1) * len(items) / count) - 1]
            for i in range(count)]


# --- a mixture of Gaussians ---------------------------------------------------

def draw_mlp(tensors, latents):
    """The samples that the generator draws from latents: its moving average
    (ema) if the checkpoint has one."""
    prefix = "ema." if "ema.fc1.weight" in tensors else "generator."

    def layer(name, x):
        return x @ tensors[f"{prefix}{name}.weight"].T + \
            tensors[f"{prefix}{name}.bias"]

    def leaky(x):
        return numpy.where(x > 0, x, 0.2 * x)
    return numpy.tanh(layer("fc3", leaky(layer("fc2", leaky(
        layer("fc1", latents))))))


def latents_for(width):
    # numpy's generator may change with its version; Python's has not.
    draw = random.Random("latents")
    return numpy.array([[draw.gauss(0, 1) for _ in range(width)]
                        for _ in range(SAMPLES)])


def stages(run):
    """[(round, samples)] at up to STAGES checkpoints of a run."""
    states = list(checkpoints(run.folder / "checkpoints").items())
    result, latents = [], None
    for round_, state in evenly(states, STAGES):
        tensors = read_safetensors(state)
        if latents is None:
            latents = latents_for(tensors["generator.fc1.weight"].shape[1])
        result.append((round_, draw_mlp(tensors, latents)))
    return result


def evaluate(points, name):
    """The number of modes that have at least a fifth of an equal share of the
    samples, and the share of the samples that are on a mode."""
    centres = numpy.array(toys.modes(name))
    distance = numpy.linalg.norm(points[:, None] - centres[None], axis=2)
    on = distance.min(axis=1) <= GOOD * toys.DEVIATION
    counts = numpy.bincount(distance.argmin(axis=1)[on],
                            minlength=len(centres))
    enough = 0.2 * len(points) / len(centres)
    return {"modes_found": int((counts >= enough).sum()),
            "good_samples": float(on.mean())}


def data_points(folder):
    raw = (pathlib.Path(folder) / "train-images-idx3-ubyte").read_bytes()
    values = numpy.frombuffer(raw[16:16 + 2 * SAMPLES], numpy.uint8)
    return values.reshape(-1, 2) / 127.5 - 1


def scatter(drawer, i, run, data, label):
    """Draws the data, and beside them the samples at several rounds."""
    panels = [("data", data_points(data))]
    panels += [(f"round {r:,}", points) for r, points in stages(run)]
    style = {**plots.style(), "axes.grid": False, "path.simplify": False}
    with plots.matplotlib.rc_context(style):
        columns = STAGES + 1  # fewer panels keep the size of these
        figure, axes = plots.pyplot.subplots(
            1, columns, figsize=(1.42 * columns, 1.75))
        for panel in axes[len(panels):]:
            panel.set_visible(False)
        for panel, (title, points) in zip(axes, panels):
            # Lines of length 0 with round ends take a tenth of the bytes that
            # markers take.
            at = numpy.repeat(points[:SHOWN], 3, axis=0)
            at[2::3] = numpy.nan
            panel.plot(at[:, 0], at[:, 1], linewidth=1.4, alpha=0.6,
                       solid_capstyle="round",
                       color=plots.MUTED if title == "data"
                       else plots.colour(i))
            panel.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xticks=[], yticks=[],
                      aspect="equal")
            panel.set_title(title, fontsize=8, fontweight="normal", pad=4)
            for spine in panel.spines.values():
                spine.set_visible(True)
                spine.set_color(plots.GRID)
        figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.88,
                               wspace=0.06)
        return drawer.svg(figure, f"Samples of {label} at several rounds")


# --- the Dirac-GAN ------------------------------------------------------------

def number_in(tensors, name):
    """The value of a model of one number: of the tensor with that name, or else
    the last value of a peer's tensor `discriminator`, which holds psi or, with
    replicas, (theta, psi)."""
    for key in (f"generator.{name}", f"discriminator.{name}", "discriminator"):
        if key in tensors:
            return float(tensors[key].reshape(-1)[-1])
    raise KeyError(f"no tensor {name} among {', '.join(sorted(tensors))}")


def path_of(run):
    """[(round, theta, psi)] at the checkpoints; psi is the peers' mean."""
    servers = checkpoints(run.folder / "checkpoints")
    peers = [states for folder in sorted((run.folder / "peers").glob("*/*"))
             if (states := checkpoints(folder))]
    path = []
    for round_, state in servers.items():
        psi = [number_in(read_safetensors(states[round_]), "psi")
               for states in peers if round_ in states]
        if psi:
            path.append((round_, number_in(read_safetensors(state), "theta"),
                         math.fsum(psi) / len(psi)))
    return path


def plane(drawer, arms):
    """Draws the path of theta and psi for each (number, label, run) of `arms`;
    the equilibrium is at (0, 0)."""
    paths = [(i, label, path) for i, label, run in arms
             if (path := path_of(run))]
    if not paths:
        return ""
    reach = 1.1 * max(abs(v) for _, _, path in paths for p in path
                      for v in p[1:]) or 1
    with plots.matplotlib.rc_context(plots.style()):
        figure, axes = plots.pyplot.subplots(
            1, len(paths), figsize=(2.7 * len(paths), 3), squeeze=False,
            sharey=True)
        for panel, (i, label, path) in zip(axes[0], paths):
            theta = [p[1] for p in path]
            psi = [p[2] for p in path]
            panel.plot(theta, psi, color=plots.colour(i), linewidth=0.9,
                       marker=".", markersize=2)
            panel.plot(theta[0], psi[0], "o", color=plots.INK, markersize=5)
            panel.annotate("start", (theta[0], psi[0]), (4, 4),
                           textcoords="offset points", fontsize=8)
            panel.plot(0, 0, "+", color=plots.INK, markersize=11,
                       markeredgewidth=1.5)
            panel.set(xlim=(-reach, reach), ylim=(-reach, reach),
                      aspect="equal", xlabel="theta (generator)")
            panel.set_title(label)
        axes[0][0].set_ylabel("psi (discriminator)")
        figure.tight_layout(w_pad=1)
        return drawer.svg(figure, "Trajectories of the Dirac-GAN")
