"""What a peer's ledger says that was spent: epsilon at a given delta, by the same
formulas as common/privacy/rdp_accountant.cc.
"""
import hashlib
import json
import math
import pathlib
import struct

import numpy

from ..definition import Refused

ORDERS = [*range(2, 129)]
while ORDERS[-1] + ORDERS[-1] // 8 <= 1024:
    ORDERS.append(ORDERS[-1] + ORDERS[-1] // 8)


def rdp(rate, noise, order):
    """Renyi differential privacy of one step of an integer order (Mironov, Talwar
    and Zhang 2019, section 3.3): a Poisson sample of the rate `rate`, and noise of
    `noise` times the clipping length."""
    if rate == 1:
        return order / (2 * noise ** 2)
    k = numpy.arange(order + 1)
    factorials = numpy.array([math.lgamma(i + 1) for i in k])
    logs = (factorials[-1] - factorials - factorials[::-1]
            + (order - k) * math.log1p(-rate) + k * math.log(rate)
            + (k * k - k) / (2 * noise ** 2))
    top = logs.max()
    return max(0.0, top + math.log(numpy.exp(logs - top).sum())) / (order - 1)


def epsilon_of(charges, delta):
    """The least epsilon of [(rate, noise, steps)] (Canonne, Kamath and Steinke 2020,
    proposition 12)."""
    if not any(steps for _, _, steps in charges):
        return 0.0
    return max(0.0, min(
        sum(steps * rdp(rate, noise, order) for rate, noise, steps in charges)
        + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)
        for order in ORDERS))


def digests_of(pixels):
    """The images as ledgers know them: hashes of [n, c, h, w] uint8."""
    sides = struct.pack("<3I", *pixels.shape[1:])
    return {hashlib.sha256(sides + image.tobytes()).digest()[:8]
            for image in pixels}


def charges_of(path, digests):
    """[(rate, noise, steps)]; None if the ledger has none of these images."""
    try:
        ledger = json.loads(path.read_text(encoding="utf-8"))
        images = bytes.fromhex(ledger["images"])
        charges = [(float(c["rate"]), float(c["noise"]), int(c["steps"]))
                   for c in ledger["charges"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"the privacy ledger {path} cannot be read ({error!r}): what "
                      "was spent is not known; put back a whole one") from None
    # The ledger writes numbers, the hash is the same bytes from the lowest on.
    own = {images[i:i + 8][::-1] for i in range(0, len(images), 8)}
    return charges if own & digests else None


def spent(state, pixels, delta):
    """The epsilon that was spent of images whose peer has its folder in `state`;
    None if no ledger knows one of them."""
    digests = digests_of(pixels)
    found = [charges for path in
             sorted((pathlib.Path(state) / "privacy").glob("*.json"))
             if (charges := charges_of(path, digests)) is not None]
    return epsilon_of([charge for charges in found for charge in charges],
                      delta) if found else None
