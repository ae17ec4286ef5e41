"""Makes the folders that an audit compares: for each site what its peer is to be
trained on, and which of its images a coin has let in or kept out.

  FOLDER/NAME/train        what mdgan-peer --name NAME is given as --data
  FOLDER/NAME/members      the canaries that are in it
  FOLDER/NAME/non-members  those that are not, of which no peer may have one
  FOLDER/audit.json        how they were made
"""
import hashlib
import json
import re
import shutil

import numpy

from ..definition import Refused
from . import images

NAME = "audit.json"
SCHEMA = 1
SITE = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
LEAST = 10  # members, and as many others, below which nothing can be said


def draw(seed, purpose, i):
    """256 bits that are the same on every machine, and for each i others."""
    return hashlib.sha256(f"mdgan audit {seed} {purpose} {i}".encode()).digest()


def prepare(data, out, names, each, canaries, seed):
    """Cuts the images in the folder `data` into sites of `each` images, of which the
    first `canaries` are in by a coin and the others are all in. What is None is as
    many as there are."""
    everything = images.read(data)
    for name in names:
        if not SITE.fullmatch(name):
            raise Refused(f"'{name}' cannot be a site's name: give letters, digits, "
                          "'-', '_' and '.', as in site-1,site-2")
    if len({*names}) < len(names):
        raise Refused("two sites have the same name; give each its own")
    each = each or len(everything) // len(names)
    if each * len(names) > len(everything):
        raise Refused(f"{len(names)} sites of {each} images need "
                      f"{each * len(names)}, and {data} has {len(everything)}; give "
                      "fewer --images")
    canaries = each if canaries is None else canaries
    if not 4 * LEAST <= canaries <= each:
        raise Refused(f"{canaries} canaries of {each} images cannot be; give from "
                      f"{4 * LEAST} to {each}")
    if out.exists():
        raise Refused(f"{out} is there already; name another folder, or remove it: "
                      "new coins would not be those that the peers were trained by")
    order = sorted(range(len(everything)),
                   key=lambda i: draw(seed, "order", i))
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    record = {"schema": SCHEMA, "seed": seed, "sites": {}}
    for s, name in enumerate(names):
        own = order[s * each:(s + 1) * each]
        coins = numpy.array([draw(seed, "coin", i)[0] & 1 for i in own], bool)
        coins[canaries:] = True
        members = [i for i, is_in in zip(own[:canaries], coins) if is_in]
        others = [i for i, is_in in zip(own, coins) if not is_in]
        images.write(everything, sorted(i for i, is_in in zip(own, coins)
                                        if is_in), part / name / "train")
        images.write(everything, members, part / name / "members")
        images.write(everything, others, part / name / "non-members")
        record["sites"][name] = {"trained": int(coins.sum()),
                                 "members": len(members),
                                 "non_members": len(others)}
    (part / NAME).write_text(json.dumps(record, indent=1) + "\n",
                             encoding="utf-8")
    part.rename(out)
    return record


def load(folder):
    """What prepare() has recorded."""
    path = folder / NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}; name a folder that "
                      "mdgan-experiment canaries has made") from None
    except ValueError as error:
        raise Refused(f"{path} is no JSON: {error}; make the folder anew") from None
    sites = record.get("sites") if isinstance(record, dict) else None
    if not isinstance(sites, dict) or record.get("schema") != SCHEMA or not all(
            SITE.fullmatch(name) and isinstance(site, dict) and
            all(type(site.get(key)) is int for key in
                ("trained", "members", "non_members"))
            for name, site in sites.items()):
        raise Refused(f"{path} is of another version of mdgan-experiment, or "
                      "damaged; make the folder anew")
    return record
