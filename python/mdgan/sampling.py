"""Pictures of a generator: the same as those of mdgan-server sample."""
import math
import operator

import torch

BATCH = 64  # bounds the memory of a pass
SAMPLE_GRID = 9  # of common/base/random.h: what the stream is for
MASK32 = 0xFFFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF


def inputs(generator, count, classes=None, seed=None):
    """The arguments of generator(...) for `count` images: (latents,), and, where
    the generator is conditional, (latents, labels). They are what
    `mdgan-server sample` takes for the same classes and seed, so the pictures are
    the same, too.

    `classes`: a class or several, which take turns; without it all do. A class is
    its name or its number. `seed`: without it the run's own, which is 1 for an
    exported file.
    """
    if count < 1:
        raise ValueError(f"count is {count}: at least one image")
    seed = generator.seed if seed is None else seed
    if not 0 <= seed <= MASK64:
        raise ValueError(f"seed is {seed}: a number from 0 to 2^64 - 1")
    latents = torch.tensor(normals(count * generator.latent, seed))
    latents = latents.reshape(count, generator.latent)
    if not generator.conditional:
        if classes is not None:
            raise ValueError("this generator is unconditional and cannot be asked "
                             "for a class; leave out the classes")
        return (latents,)
    if classes is None:
        chosen = range(len(generator.classes))
    else:
        if isinstance(classes, (str, int)):
            classes = [classes]
        chosen = [_place_of(one, generator.classes) for one in classes]
        if not chosen:
            raise ValueError("classes is empty; leave it out to have them all")
    labels = [chosen[i % len(chosen)] for i in range(count)]
    return latents, torch.tensor(labels, dtype=torch.int64)


def sample(generator, count, classes=None, seed=None):
    """`count` images of the generator, [count, c, h, w] float32 in [-1, 1] on the
    CPU; see inputs() for classes and seed. The generator stays where and as it
    is; its batch normalisation is that of evaluation."""
    arguments = inputs(generator, count, classes, seed)
    device = next(generator.parameters()).device
    was_training = generator.training
    generator.eval()
    try:
        with torch.no_grad():
            parts = [generator(*(part.to(device) for part in batch)).cpu()
                     for batch in zip(*(one.split(BATCH) for one in arguments))]
    finally:
        generator.train(was_training)
    return torch.cat(parts)


def to_bytes(images):
    """The images as uint8: -1 becomes 0 and 1 becomes 255."""
    scaled = (images.detach().cpu().float() + 1) * 127.5
    return (scaled.clamp(0, 255) + 0.5).floor().to(torch.uint8)


def columns_of(count, classes):
    """The columns of a grid of `count` images of `classes` classes that take turns
    (0: none): a class a column, as `mdgan-server sample` has it, where they are
    few."""
    columns = math.ceil(math.sqrt(count))
    if 2 <= classes <= 3 * columns:
        return classes if classes > columns else columns // classes * classes
    return columns


def grid(images, columns=None):
    """The images side by side as one, uint8 [rows, columns, c], as
    `mdgan-server sample` lays them out, without the names above: white with two
    pixels between and around them."""
    pixels = to_bytes(images)
    count, channels, height, width = pixels.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    gap = 2
    sheet = torch.full((rows * (height + gap) + gap,
                        columns * (width + gap) + gap, channels), 255,
                       dtype=torch.uint8)
    for i, image in enumerate(pixels):
        top = gap + i // columns * (height + gap)
        left = gap + i % columns * (width + gap)
        sheet[top:top + height, left:left + width] = image.permute(1, 2, 0)
    return sheet


def _place_of(one, classes):
    if isinstance(one, str) and one in classes:
        return classes.index(one)
    if isinstance(one, str) and one.isascii() and one.isdecimal():
        one = int(one)
    if not isinstance(one, str):
        one = operator.index(one)
        if 0 <= one < len(classes):
            return one
    names = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise ValueError(f"there is no class {one!r}; the generator has {names}")


def normals(count, seed):
    """`count` numbers of N(0, 1): the stream that common/base/random.h has for
    this seed and the grid of samples."""
    words = _philox(-(-count // 4), _key_of(seed))
    values = []
    for u, v in zip(words[::2], words[1::2]):
        radius = math.sqrt(-2.0 * math.log((u + 1.0) * 2.0 ** -32))
        angle = 2.0 * math.pi * (v * 2.0 ** -32)
        values += radius * math.cos(angle), radius * math.sin(angle)
    return values[:count]


def _key_of(seed):
    def mix(x):
        x = (x + 0x9E3779B97F4A7C15) & MASK64
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK64
        return x ^ (x >> 31)
    return mix(mix(seed ^ (SAMPLE_GRID << 48)))


def _philox(blocks, key):
    """The words of Philox4x32-10 (Salmon et al. 2011) for the counters 0, 1, ..."""
    def product(constant, x):
        """High and low word; halves of x keep what is between below 2^63."""
        low, high = constant * (x & 0xFFFF), constant * (x >> 16)
        return ((high + (low >> 16)) >> 16,
                (((high & 0xFFFF) << 16) + low) & MASK32)
    index = torch.arange(blocks, dtype=torch.int64)
    c = [index & MASK32, index >> 32, torch.zeros_like(index),
         torch.full_like(index, SAMPLE_GRID)]
    k0, k1 = key & MASK32, key >> 32
    for _ in range(10):
        high0, low0 = product(0xD2511F53, c[0])
        high1, low1 = product(0xCD9E8D57, c[2])
        c = [high1 ^ c[1] ^ k0, low1, high0 ^ c[3] ^ k1, low0]
        k0, k1 = (k0 + 0x9E3779B9) & MASK32, (k1 + 0xBB67AE85) & MASK32
    return torch.stack(c, 1).flatten().tolist()
