"""Generators from what mdgan-server leaves: runs, checkpoints, exported files."""
import hashlib
import json
import math
import pathlib
import warnings

from .discriminators import DISCRIMINATORS
from .models import MODELS
from .safetensors import SafetensorsFile, is_count, parse_json

CONDITIONS = ("none", "acgan", "projection")
MAX_LATENT = 65536
MAX_CLASSES = 65536
MAX_CHANNELS = 64
DEFAULT_SEED = 1  # that of mdgan-server train


def load(path, round=None, ema=True):
    """The generator of `path`, a mdgan.models.Generator in evaluation mode on the
    CPU. `path` is the folder of a run, of which the newest sound checkpoint is
    taken, or the one of `round`; the folder of a checkpoint; or a file that
    `mdgan-server export` wrote.

    A checkpoint holds the weights under training and, if the run keeps it, their
    moving average, which makes the better pictures; `ema=False` takes the former.
    An exported file has one of the two.

    Raises ValueError, which names the file and what is wrong with it, where that
    is damaged or holds no generator, and OSError where there is none.
    """
    path = pathlib.Path(path)
    if (path / "checkpoints").is_dir():
        return _load_run(path, round, ema)
    if round is not None:
        raise ValueError(f"{path} is not the folder of a run, in which one could "
                         f"look for round {round}")
    if path.is_dir():
        if not (path / "state.safetensors").exists():
            raise ValueError(
                f"{path} is neither the folder of a run with checkpoints nor that "
                "of a checkpoint: give one like runs/00001-mnist-mlp")
        return _load_checkpoint(path, ema)
    if path.name == "state.safetensors" and (path.parent / "meta.json").exists():
        return _load_checkpoint(path.parent, ema)
    return _load_export(path)


def load_discriminator(state, run):
    """The discriminator that a peer has saved last in a run, a
    mdgan.discriminators.Discriminator in evaluation mode on the CPU, with its
    `round`. `state` is the peer's folder, like state/NAME, and `run` the run's
    folder, whose newest sound checkpoint says what model this is.

    Raises ValueError, which names the file and what is wrong with it, where there
    is none for this run or it is damaged, and OSError where a folder is missing.
    """
    state, run = pathlib.Path(state), pathlib.Path(run)
    meta, said_in = _newest(run / "checkpoints", run, _description_of)
    number = meta["run"]
    folder = next((folder for folder in (state / "private" / number,
                                         state / number)
                   if folder.is_dir()), None)
    if folder is None:
        raise ValueError(f"{state} has no discriminator of the run {number}, which "
                         f"is that of {run}: give the state folder of a peer that "
                         "took part in it")
    return _newest(folder, state, lambda checkpoint: _load_peer(
        checkpoint, meta, said_in))


def _description_of(checkpoint):
    """meta.json of a server's checkpoint, and its name."""
    _verify(checkpoint)
    file = checkpoint / "meta.json"
    meta = _read_json(file)
    image, number = meta.get("image"), meta.get("run")
    if not (isinstance(image, list) and len(image) == 4 and
            all(map(is_count, image)) and
            meta.get("model") in DISCRIMINATORS and
            meta.get("condition") in CONDITIONS and
            isinstance(number, str) and len(number) == 32 and
            all(digit in "0123456789abcdef" for digit in number)):
        raise ValueError(f"cannot use {file}: it does not say which discriminators "
                         "its run has")
    return meta, file


def _load_peer(checkpoint, meta, said_in):
    _verify(checkpoint)
    image, model = meta["image"], meta["model"]
    if not (0 < image[0] <= MAX_CHANNELS and 0 < image[1] and 0 < image[2] and
            image[3] <= MAX_CLASSES and MODELS[model].fits(*image[:3])):
        raise ValueError(f"cannot use {said_in}: image is {json.dumps(image)}")
    discriminator = DISCRIMINATORS[model](image[:3], meta["condition"], image[3])
    layers = dict(discriminator.named_parameters())
    count = sum(math.prod(tensor.shape) for tensor in layers.values())
    with SafetensorsFile(checkpoint / "state.safetensors") as file:
        if file.shapes.get("discriminator") != (count,):
            raise file.wrong(
                f"tensor 'discriminator' of {model} should be [{count}] and is "
                f"{_shape_text(file.shapes.get('discriminator'))}")
        values = file.read("discriminator")[""]
    parts = values.split([math.prod(tensor.shape) for tensor in layers.values()])
    discriminator.to_empty(device="cpu")
    discriminator.load_state_dict({
        name: part.reshape(tensor.shape)
        for (name, tensor), part in zip(layers.items(), parts)})
    discriminator.round = int(checkpoint.name)
    return discriminator.eval().requires_grad_(False)


def _rounds_in(checkpoints):
    """{round: folder}"""
    def number(folder):
        name = folder.name
        is_round = 8 <= len(name) <= 19 and name.isascii() and name.isdecimal()
        return int(name) if is_round else None
    return {number(folder): folder for folder in checkpoints.iterdir()
            if number(folder) is not None}


def _newest(checkpoints, whose, load_one):
    """What `load_one` makes of the newest checkpoint that it takes."""
    error = ValueError(f"{whose} has no checkpoint: it was ended before it saved "
                       "one, or has not begun")
    for _, newest in sorted(_rounds_in(checkpoints).items(), reverse=True):
        try:
            return load_one(newest)
        except (OSError, ValueError) as reason:
            warnings.warn(f"skipped: {reason}", stacklevel=4)
            error = reason
    raise error


def _load_run(run, round, ema):
    rounds = _rounds_in(run / "checkpoints")
    if round is not None:
        if round not in rounds:
            raise ValueError(
                f"{run} has no checkpoint of round {round}; it has those of "
                f"{', '.join(map(str, sorted(rounds))) or 'none'}")
        return _load_checkpoint(rounds[round], ema)
    return _newest(run / "checkpoints", run,
                   lambda folder: _load_checkpoint(folder, ema))


def _read_json(path):
    try:
        value = parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"cannot use {path}: it {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"cannot use {path}: it is not a JSON object")
    return value


def _verify(folder):
    """Checks sizes and hashes, as the server does before it goes on."""
    manifest = folder / "manifest.json"
    files = _read_json(manifest).get("files")
    for name in ("state.safetensors", "meta.json"):
        hashed = hashlib.sha256()
        size = 0
        with open(folder / name, "rb") as file:
            while block := file.read(1 << 20):
                hashed.update(block)
                size += len(block)
        if not isinstance(files, dict) or files.get(name) != {
                "bytes": size, "sha256": hashed.hexdigest()}:
            raise ValueError(f"cannot use {folder / name}: it is not what "
                             f"{manifest.name} says; it has {size} bytes")


def _load_checkpoint(folder, ema):
    _verify(folder)
    file = folder / "meta.json"
    meta = _read_json(file)
    image = meta.get("image")
    if "completed" not in meta or not isinstance(image, list) or len(image) != 4:
        raise ValueError(f"cannot use {file}: it is not of a server's checkpoint "
                         "(a peer has no generator)")
    with SafetensorsFile(folder / "state.safetensors") as state:
        has_ema = any(name.startswith("ema.") for name in state.shapes)
        prefix = "ema." if ema and has_ema else "generator."
        settings = _settings_of(folder)
        description = {
            "model": meta.get("model"), "condition": meta.get("condition"),
            "image": image[:3], "classes": image[3],
            "class_names": meta.get("classes", []),
            "latent": settings.get("latent"), "seed": settings.get("seed")}
        return make_generator(description, file, state, prefix)


def _settings_of(folder):
    """Latent and seed of the run that has this checkpoint; empty where it does
    not lie in its run any more."""
    try:
        text = (folder.resolve().parents[1] / "config.ini").read_text("utf-8")
    except (OSError, IndexError, UnicodeDecodeError):
        return {}
    settings = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        value = value.strip()
        if key.strip() in ("latent", "seed") and value.isascii() \
                and value.isdecimal():
            settings[key.strip()] = int(value)
    return settings


def _load_export(path):
    with SafetensorsFile(path) as file:
        meta = file.metadata
        if "weights" not in meta or "model" not in meta:
            raise file.wrong("it is not a file of mdgan-server export: its "
                             "metadata does not say which model this is")

        def number(key):
            text = meta.get(key, "")
            if not (text.isascii() and text.isdecimal() and len(text) < 10):
                raise file.wrong(f"its metadata {key!r} is {text!r}, no number")
            return int(text)
        try:
            names = parse_json(meta.get("class_names", "[]"))
        except ValueError as error:
            raise file.wrong(f"its metadata 'class_names' {error}") from None
        description = {
            "model": meta["model"], "condition": meta.get("condition"),
            "image": [number(key) for key in ("channels", "height", "width")],
            "classes": number("classes"), "class_names": names,
            "latent": number("latent")}
        return make_generator(description, path, file, "")


def make_generator(description, said_in, file, prefix):
    """The generator that `description` is of, with the tensors of `file` under
    `prefix`. Raises ValueError, which names `said_in` where the description cannot
    be right, and the file where its tensors are not exactly those of the model."""
    def check(is_right, key):
        if not is_right:
            raise ValueError(f"cannot use {said_in}: {key} is "
                             f"{json.dumps(description[key])}")
        return description[key]

    def is_up_to(most, value):
        return is_count(value) and 0 < value <= most
    model = description["model"]
    check(isinstance(model, str) and model in MODELS, "model")
    condition = check(description["condition"] in CONDITIONS, "condition")
    image = description["image"]
    check(all(map(is_count, image)) and 0 < image[0] <= MAX_CHANNELS and
          min(image) > 0 and MODELS[model].fits(*image), "image")
    classes = []
    if condition != "none":
        count = description["classes"]
        check(is_up_to(MAX_CLASSES, count) and model != "dirac", "classes")
        classes = description["class_names"] or [str(i) for i in range(count)]
        check(isinstance(classes, list) and len(classes) == count and
              all(isinstance(name, str) for name in classes), "class_names")
    shapes = {name[len(prefix):]: shape for name, shape in file.shapes.items()
              if name.startswith(prefix)}
    if description.get("latent") is None:
        description["latent"] = _latent_of(shapes)
    latent = description["latent"]
    check(is_up_to(MAX_LATENT, latent), "latent")

    seed = description.get("seed")
    generator = MODELS[model](image, latent, classes,
                              DEFAULT_SEED if seed is None else seed)
    expected = {name: tuple(tensor.shape)
                for name, tensor in generator.state_dict().items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if shapes.get(name) != expected.get(name):
            raise file.wrong(
                f"tensor {prefix + name!r} of {model} should be "
                f"{_shape_text(expected.get(name))} and is "
                f"{_shape_text(shapes.get(name))}")
    generator.to_empty(device="cpu")
    generator.load_state_dict(file.read(prefix))
    return generator.eval()


def _shape_text(shape):
    return "missing" if shape is None else str(list(shape))


def _latent_of(shapes):
    """As wide as the first layer's input; a model without one takes any."""
    for name, axis in (("fc1.weight", 1), ("fc.weight", 1),
                       ("deconv1.weight", 0)):
        if len(shapes.get(name, ())) > axis:
            return shapes[name][axis]
    return 100
