#!/usr/bin/env python3
"""A plain PyTorch MD-GAN over torch.distributed (gloo): the yardstick.

What somebody would write instead of this project: one server process, N peer
processes, Algorithm 1 of Hardy et al. 2019, one generator backward pass a
round, swaps by a random cyclic permutation. The layers are those of
common/models. Prints one line of JSON at the end.

  mdgan_torch.py --data DIR --peers 10 --rounds 400 [--model mnist-cnn]

DIR holds MNIST's training images (IDX, plain or .gz) or, for dcgan, CIFAR-10's
data_batch_*.bin; --noise 3x64x64 takes made-up images in their place. With
--device cuda every process computes on the GPU; gloo still carries what they
send through the host, as they would between machines.

It is as fast as PyTorch gets while it stays plain: the shard is converted once,
gradients are set to None, a process has one thread (more are slower where
processes outnumber cores), a batch is put together once for all peers that get
it, the server sends and receives without waiting in between, and Adam is fused
where PyTorch has that for processors (2.4 and later). Before that it is the
default loop over the parameters: foreach took the same time in PyTorch 1.13.
Memory is glibc's, which returns and fetches pages every round unless it is told
to keep them (the arm torch-keeping-pages of compare.py).
"""
import argparse
import gzip
import json
import os
import pathlib
import socket
import struct
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn


# --- data ---------------------------------------------------------------------

def read_idx(path):
    """MNIST's images as uint8 [n, 1, h, w]."""
    if path.exists():
        raw = path.read_bytes()
    else:
        raw = gzip.open(f"{path}.gz").read()
    n, h, w = struct.unpack(">III", raw[4:16])
    return np.frombuffer(raw, np.uint8, offset=16).reshape(n, 1, h, w)


def read_cifar(paths):
    """CIFAR-10's images as uint8 [n, 3, 32, 32]."""
    raw = np.concatenate([np.fromfile(p, np.uint8) for p in paths])
    return raw.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)


def noise(shape, count=2000):
    size = tuple(int(x) for x in shape.split("x"))
    return np.random.default_rng(1).integers(0, 256, (count, *size), np.uint8)


def read_images(folder):
    batches = sorted(folder.glob("data_batch_*.bin"))
    if batches:
        return read_cifar(batches)
    return read_idx(folder / "train-images-idx3-ubyte")


# --- models: the layers of common/models --------------------------------------

class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.view(-1, *self.shape)


def leaky():
    return nn.LeakyReLU(.2)


def mlp_generator(shape, latent):  # 716,560 parameters on MNIST
    c, h, w = shape
    return nn.Sequential(nn.Linear(latent, 512), leaky(), nn.Linear(512, 512),
                         leaky(), nn.Linear(512, c * h * w), nn.Tanh(),
                         Reshape(c, h, w))


def mlp_discriminator(shape):  # 665,089 parameters on MNIST
    c, h, w = shape
    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 512), leaky(),
                         nn.Linear(512, 512), leaky(), nn.Linear(512, 1))


def cnn_generator(shape, latent):
    c, h, w = shape

    def double(i, o):
        return nn.ConvTranspose2d(i, o, 5, stride=2, padding=2,
                                  output_padding=1)
    return nn.Sequential(nn.Linear(latent, 128 * (h // 4) * (w // 4)),
                         Reshape(128, h // 4, w // 4), leaky(), double(128, 32),
                         leaky(), double(32, c), nn.Tanh())


class CnnDiscriminator(nn.Module):
    """Six convolutions and minibatch discrimination (Salimans et al. 2016)."""

    def __init__(self, shape):
        super().__init__()
        c, h, w = shape
        layers = []
        for i, out in enumerate((16, 32, 64, 128, 256, 512)):
            stride = 2 if i % 2 == 0 else 1
            layers += [nn.Conv2d(c, out, 3, stride=stride, padding=1), leaky()]
            c, h, w = out, -(-h // stride), -(-w // stride)
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.minibatch = nn.Linear(c * h * w, 16 * 4, bias=False)
        self.last = nn.Linear(c * h * w + 16, 1)

    def forward(self, x):
        x = self.convolutions(x)
        points = self.minibatch(x).view(-1, 16, 4)
        distances = (points[None] - points[:, None]).abs().sum(3)
        return self.last(torch.cat([x, torch.exp(-distances).sum(1)], 1))


def dcgan_generator(shape, latent):
    c, h, _ = shape
    out = 64 * h // 8
    layers = [Reshape(latent, 1, 1),
              nn.ConvTranspose2d(latent, out, 4, bias=False)]
    while out > 64:
        layers += [nn.BatchNorm2d(out), nn.ReLU(),
                   nn.ConvTranspose2d(out, out // 2, 4, stride=2, padding=1,
                                      bias=False)]
        out //= 2
    return nn.Sequential(*layers, nn.BatchNorm2d(out), nn.ReLU(),
                         nn.ConvTranspose2d(out, c, 4, stride=2, padding=1,
                                            bias=False), nn.Tanh())


def dcgan_discriminator(shape):
    c, side, _ = shape
    layers, out = [], 64
    while side > 4:
        layers += [nn.Conv2d(c, out, 4, stride=2, padding=1), leaky()]
        c, out, side = out, out * 2, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * 16, 1))


class Block(nn.Module):
    """A residual block without normalisation (Mescheder et al. 2018)."""

    def __init__(self, i, o):
        super().__init__()
        between = min(i, o)
        self.change = nn.Sequential(leaky(), nn.Conv2d(i, between, 3, padding=1),
                                    leaky(), nn.Conv2d(between, o, 3, padding=1))
        self.shortcut = nn.Conv2d(i, o, 1, bias=False) if i != o \
            else nn.Identity()

    def forward(self, x):
        return self.shortcut(x) + .1 * self.change(x)


def resnet_channels(side, image_side):
    return min(512, 64 * image_side // side)


def resnet_generator(shape, latent):
    c, h, _ = shape
    i, side = resnet_channels(4, h), 4
    layers = [nn.Linear(latent, i * 16), Reshape(i, 4, 4)]
    while side <= h:
        o = resnet_channels(side, h)
        layers += [nn.Upsample(scale_factor=2)] if side > 4 else []
        layers.append(Block(i, o))
        i, side = o, side * 2
    return nn.Sequential(*layers, leaky(), nn.Conv2d(i, c, 3, padding=1),
                         nn.Tanh())


def resnet_discriminator(shape):
    c, side, _ = shape
    i, h = 64, side
    layers = [nn.Conv2d(c, i, 3, padding=1)]
    while side >= 4:
        o = resnet_channels(side, h)
        layers += [nn.AvgPool2d(2)] if side < h else []
        layers.append(Block(i, o))
        i, side = o, side // 2
    return nn.Sequential(*layers, leaky(), nn.Flatten(), nn.Linear(i * 16, 1))


# name: G, D, and whether D mixes the samples of a batch (then real and
# generated ones go through it apart)
MODELS = {"mlp": (mlp_generator, mlp_discriminator, False),
          "mnist-cnn": (cnn_generator, CnnDiscriminator, True),
          "dcgan": (dcgan_generator, dcgan_discriminator, False),
          "resnet": (resnet_generator, resnet_discriminator, False)}


def dcgan_weights(layer):
    """N(0, 0.02), as the DCGAN has it."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(layer.weight, 0, .02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1, .02)


def made(model, a):
    model = model.apply(dcgan_weights) if a.model == "dcgan" else model
    return model.to(a.device)


# --- how much there is to compute ----------------------------------------------

def multiplications(model, x):
    """Of its layers, first to last, for one of the samples x."""
    found = []

    def count(layer, given, y):
        weights = layer.weight.numel()
        if isinstance(layer, nn.Linear):
            found.append(weights)
            return
        # A weight of a convolution meets every pixel of the smaller image, but
        # for those where it lies on the padding of the larger one.
        transposed = isinstance(layer, nn.ConvTranspose2d)
        larger = y if transposed else given[0]
        kernel = torch.ones(1, 1, *layer.kernel_size)
        meetings = F.conv2d(torch.ones(1, 1, *larger.shape[2:]), kernel,
                            stride=layer.stride, padding=layer.padding)
        found.append(int(meetings.sum()) * weights // kernel.numel())
    for layer in model.modules():
        if hasattr(layer, "weight") and not isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        model(x)
    return found


def work(a, n, shape):
    """The floating point operations of a round, and the bytes it must move.

    A layer is multiplied with its input, its gradient with the input, and (but
    for the first layer) its gradient with the weights. In D's step that is for
    2 b images, in the generator's for k b. The feedback takes b images, and
    nothing by the weights. What moves is each weight with its two moments, read
    and written once.
    """
    make_g, make_d, _ = MODELS[a.model]
    g, d = make_g(shape, a.latent), make_d(shape)
    of_g = multiplications(g, torch.zeros(2, a.latent))
    of_d = multiplications(d, torch.zeros(2, *shape))
    step = 2 * a.batch * (3 * sum(of_d) - of_d[0])
    feedback = a.batch * 2 * sum(of_d)
    generator = a.k * a.batch * (3 * sum(of_g) - of_g[0])
    weights = [sum(w.numel() for w in m.parameters()) for m in (d, g)]
    return {"operations": 2 * (n * (a.local_steps * step + feedback)
                               + generator),
            "bytes": 2 * 3 * 4 * (n * weights[0] + weights[1])}


# --- training -----------------------------------------------------------------

def adam(model, a):
    kind = a.adam
    if kind == "auto":
        version = tuple(int(x) for x in torch.__version__.split(".")[:2])
        kind = "fused" if version >= (2, 4) else "loop"
    return torch.optim.Adam(model.parameters(), lr=a.lr, betas=(.5, .999),
                            **({} if kind == "loop" else {kind: True}))


def d_loss(d, real, fake, apart):
    if apart:
        on_real, on_fake = d(real), d(fake)
    else:
        on_real, on_fake = d(torch.cat([real, fake])).chunk(2)
    return F.softplus(-on_real).mean() + F.softplus(on_fake).mean()


def feedback(d, x):
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(F.softplus(-d(x)).mean(), x)[0].contiguous()


def order_swap(n):
    """A random cycle: every peer's D moves to the next one on it."""
    perm = torch.randperm(n)
    to, source = torch.empty_like(perm), torch.empty_like(perm)
    to[perm], source[perm.roll(-1)] = perm.roll(-1), perm
    for p in range(n):
        dist.send(torch.stack([to[p], source[p]]) + 1, p + 1)


class Processor:
    """The processor time of all processes together, after the warm-up."""

    def __init__(self, a):
        self.warm_up, self.start = a.warm_up, 0

    def round(self, i):
        if i == self.warm_up:
            self.start = time.process_time()

    def total(self):
        used = torch.tensor(time.process_time() - self.start)
        dist.reduce(used, 0)
        return used.item()


def server(a, n, shape):
    g = made(MODELS[a.model][0](shape, a.latent), a)
    opt = adam(g, a)
    k = a.k
    answers = [torch.empty(a.batch, *shape) for _ in range(n)]
    times = []
    cpu = Processor(a)
    for i in range(a.rounds):
        cpu.round(i)
        start = time.perf_counter()
        x = g(torch.randn(k * a.batch, a.latent).to(a.device))
        xs = x.detach().cpu().chunk(k)
        pairs = [torch.stack([xs[j], xs[(j + 1) % k]]) for j in range(k)]
        sends = [dist.isend(pairs[p % k], p + 1) for p in range(n)]
        receives = [dist.irecv(answers[p], p + 1) for p in range(n)]
        for request in sends + receives:
            request.wait()
        merged = torch.zeros(k, a.batch, *shape)
        for p in range(n):
            merged[p % k] += answers[p]
        opt.zero_grad(set_to_none=True)
        x.backward((merged.view(x.shape) / n).to(a.device))
        opt.step()
        if a.swap and (i + 1) % a.swap == 0 and n > 1:
            order_swap(n)
        times.append(time.perf_counter() - start)
    steady = sorted(times[a.warm_up:])
    print(json.dumps({"model": a.model, "peers": n, "batch": a.batch, "k": k,
                      "rounds": a.rounds,
                      "median_round_s": steady[len(steady) // 2],
                      "rounds_per_s": len(steady) / sum(steady),
                      "cpu_s_per_round": cpu.total() / len(steady),
                      **work(a, n, shape),
                      "torch": torch.__version__}), flush=True)


def peer(a, rank, n, images):
    _, make, apart = MODELS[a.model]
    d = made(make(images.shape[1:]), a)
    opt = adam(d, a)
    m = len(images) // n
    # In place: glibc's thresholds follow the largest block that is freed, and a
    # temporary of 19 MB, but not one over 32, would make it keep pages.
    shard = images[(rank - 1) * m:rank * m].float().div_(127.5).sub_(1)
    pair = torch.empty(2, a.batch, *images.shape[1:])
    cpu = Processor(a)
    for i in range(a.rounds):
        cpu.round(i)
        real = shard[torch.randint(m, (a.batch,))].to(a.device)
        dist.recv(pair, 0)
        x_g, x_d = pair.to(a.device)
        for _ in range(a.local_steps):
            opt.zero_grad(set_to_none=True)
            d_loss(d, real, x_d, apart).backward()
            opt.step()
        dist.send(feedback(d, x_g).cpu(), 0)
        if a.swap and (i + 1) % a.swap == 0 and n > 1:
            swap(d, a)
    cpu.total()


def swap(d, a):
    route = torch.empty(2, dtype=torch.long)
    dist.recv(route, 0)
    flat = nn.utils.parameters_to_vector(d.parameters()).detach().cpu()
    new = torch.empty_like(flat)
    requests = [dist.isend(flat, int(route[0])), dist.irecv(new, int(route[1]))]
    for request in requests:
        request.wait()
    nn.utils.vector_to_parameters(new.to(a.device), d.parameters())


def run(rank, a, port, images):
    torch.set_num_threads(a.threads)
    if a.precision != "tf32":  # cuDNN's default is TF32
        torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = a.precision == "tf32"
    torch.manual_seed(a.seed + rank)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
                      GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", rank=rank, world_size=a.peers + 1)
    if rank == 0:
        server(a, a.peers, images.shape[1:])
    else:
        peer(a, rank, a.peers, images)
    dist.destroy_process_group()


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    images = p.add_mutually_exclusive_group(required=True)
    images.add_argument("--data", type=pathlib.Path)
    images.add_argument("--noise", metavar="CxHxW")
    p.add_argument("--device", default="cpu")
    p.add_argument("--precision", choices=("float32", "tf32"),
                   default="float32", help="of products on a GPU")
    p.add_argument("--model", choices=MODELS, default="mlp")
    p.add_argument("--adam", default="auto",
                   choices=("auto", "loop", "foreach", "fused"))
    p.add_argument("--lr", type=float, default=2e-4)
    for name, default in dict(peers=4, batch=10, k=2, rounds=300, swap=100,
                              local_steps=1, latent=100, seed=1, threads=1,
                              warm_up=20).items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    a = p.parse_args()
    if a.rounds <= a.warm_up:
        p.error(f"--rounds must be more than --warm-up, {a.warm_up}")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    found = noise(a.noise) if a.noise else read_images(a.data)
    images = torch.from_numpy(found.copy()).share_memory_()
    mp.spawn(run, args=(a, port, images), nprocs=a.peers + 1)


if __name__ == "__main__":
    main()
