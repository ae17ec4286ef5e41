#!/usr/bin/env python3
"""Makes folders of 64x64 colour pictures of the emoji of two vendors: two sites
with one content in two styles.

  npm install emoji-datasource-google emoji-datasource-twitter
  emoji.py node_modules OUT [--categories smileys,animals,food]

OUT/google and OUT/twitter are a site's data each: train/CATEGORY and, every tenth
emoji, test/CATEGORY. OUT/both has all of it in one folder for simulations, with the
vendor in the names of its classes (google-animals, twitter-animals, ...), so that
`--local-peers 2 --partition classes:N`, N being the number of categories, gives a
peer the pictures of a vendor. Each emoji is taken once, without its skin tones.
Google's pictures are under the Apache License 2.0, Twitter's under CC BY 4.0.
"""
import argparse
import json
import pathlib
import shutil

VENDORS = ("google", "twitter")
CATEGORIES = {"activities": "Activities", "animals": "Animals & Nature",
              "flags": "Flags", "food": "Food & Drink", "objects": "Objects",
              "people": "People & Body", "smileys": "Smileys & Emotion",
              "symbols": "Symbols", "travel": "Travel & Places"}
TEST_EVERY = 10  # emoji


def refuse(what):
    raise SystemExit(f"emoji.py: {what}")


def emoji_of(package):
    """What the package knows of its emoji, in the order of Unicode's charts."""
    try:
        known = json.loads((package / "emoji.json").read_bytes())
    except OSError as error:
        refuse(f"{package / 'emoji.json'} cannot be read ({error.strerror}): "
               f"install {package.name} with npm and name its node_modules")
    return sorted(known, key=lambda emoji: emoji["sort_order"])


def categories_of(text):
    names = text.split(",")
    for name in names:
        if name not in CATEGORIES:
            refuse(f"there is no category '{name}': there are "
                   f"{', '.join(CATEGORIES)}")
    return names


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("node_modules", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--categories", default=",".join(CATEGORIES),
                        help="these alone, separated by commas: "
                        + ", ".join(CATEGORIES))
    options = parser.parse_args()
    chosen = categories_of(options.categories)
    packages = {vendor: options.node_modules / f"emoji-datasource-{vendor}"
                for vendor in VENDORS}
    known = emoji_of(packages["google"])
    in_both = set.intersection(*(
        {emoji["image"] for emoji in emoji_of(package)
         if emoji[f"has_img_{vendor}"]}
        for vendor, package in packages.items()))
    if options.out.exists() and any(options.out.iterdir()):
        refuse(f"{options.out} has files already: name an empty folder")
    count = 0
    for category in chosen:
        pictures = [emoji["image"] for emoji in known
                    if emoji["category"] == CATEGORIES[category]
                    and emoji["image"] in in_both]
        for i, picture in enumerate(pictures):
            part = "test" if i % TEST_EVERY == TEST_EVERY - 1 else "train"
            for vendor, package in packages.items():
                source = package / "img" / vendor / "64" / picture
                for folder in (options.out / vendor / part / category,
                               options.out / "both" / part
                               / f"{vendor}-{category}"):
                    folder.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, folder / picture)
        count += len(pictures)
    print(f"{count} emoji in {len(chosen)} categories, by {len(VENDORS)} vendors")


if __name__ == "__main__":
    main()
