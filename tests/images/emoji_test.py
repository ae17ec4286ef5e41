"""Packages like those of the emoji become folders that two sites train on.

  emoji_test.py EMOJI
"""
import json
import pathlib
import subprocess
import sys
import tempfile

SHORT = {"animals": "Animals & Nature", "food": "Food & Drink"}


def emoji(number, category, google=True, twitter=True):
    return {"image": f"{number:x}.png", "category": category,
            "sort_order": number, "has_img_google": google,
            "has_img_twitter": twitter}


def package(folder, vendor, known):
    pictures = folder / f"emoji-datasource-{vendor}" / "img" / vendor / "64"
    pictures.mkdir(parents=True)
    (pictures.parents[2] / "emoji.json").write_text(json.dumps(known))
    for one in known:
        if one[f"has_img_{vendor}"]:
            (pictures / one["image"]).write_text(f"{vendor} {one['image']}")


def run(program, *arguments):
    return subprocess.run([sys.executable, program, *arguments],
                          stderr=subprocess.PIPE, text=True)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def check(program, folder):
    known = [emoji(n, SHORT["animals"]) for n in range(20, 0, -1)]
    known += [emoji(n, SHORT["food"]) for n in range(30, 32)]
    known += [emoji(40, SHORT["food"], twitter=False), emoji(41, "Component")]
    for vendor in ("google", "twitter"):
        package(folder / "node_modules", vendor, known)
    done = run(program, folder / "node_modules", folder / "out")
    assert done.returncode == 0, done.stderr
    out = folder / "out"
    assert names(out) == ["both", "google", "twitter"]
    for vendor in ("google", "twitter"):
        # One has no picture of number 40, and the other's is left out.
        assert names(out / vendor / "train") == ["animals", "food"]
        assert names(out / vendor / "train/food") == ["1e.png", "1f.png"]
        # Every tenth is for tests, the same emoji at both.
        assert names(out / vendor / "test") == ["animals"]
        assert names(out / vendor / "test/animals") == ["14.png", "a.png"]
        assert len(names(out / vendor / "train/animals")) == 18
        for part, of in ((f"{vendor}/train/animals", "1.png"),
                         (f"both/train/{vendor}-animals", "1.png"),
                         (f"both/test/{vendor}-animals", "a.png")):
            assert (out / part / of).read_text() == f"{vendor} {of}"

    few = run(program, folder / "node_modules", folder / "few",
              "--categories", "food")
    assert few.returncode == 0, few.stderr
    assert names(folder / "few/both/train") == ["google-food", "twitter-food"]

    for words, arguments in (
            ("has files already", [folder / "node_modules", out]),
            ("no category 'foods'", [folder / "node_modules", folder / "x",
                                     "--categories", "foods"]),
            ("with npm", [folder / "none", folder / "x"])):
        done = run(program, *arguments)
        assert done.returncode == 1 and words in done.stderr, done.stderr
    assert not (folder / "x").exists()
    print("folders for two sites")


with tempfile.TemporaryDirectory() as name:
    check(sys.argv[1], pathlib.Path(name))
