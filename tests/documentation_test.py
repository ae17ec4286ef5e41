"""Every file, folder and heading that a Markdown file names exists.

  documentation_test.py [--links] REPOSITORY

With --links, where only the documents are (an installed tree), the links alone.
Checked are the targets of links, the heading after a # included, and in backticks:
paths that begin with one of the repository's folders, and names of source files,
settings and documents, which stand in the Markdown file's folder or one above it.
"""
import pathlib
import re
import subprocess
import sys

FOLDERS = ("common", "configs", "deploy", "docker", "docs", "peer", "protocol",
           "python", "server", "tests")
PATH = re.compile(rf"(?:\./)?(?:{'|'.join(FOLDERS)})/[\w./-]*")
FILE = re.compile(r"(?:\./)?[\w.-]+\.(?:cc|h|py|sh|ini|md|cmake|yaml)")
# What programs write, not the repository.
WRITTEN = {"report.md", "config.ini"}
README_LINES = 100


def markdown_files(root, listed_only=True):
    if not listed_only:
        return list(root.rglob("*.md"))
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.md"],
        capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return [root / line for line in listed.stdout.splitlines()
                if (root / line).exists()]
    return [path for path in root.rglob("*.md")
            if "build" not in path.relative_to(root).parts]


def without_blocks(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors_of(text):
    """The headings, as links name them."""
    for heading in re.findall(r"^#+ (.*)$", without_blocks(text), re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def lost_anchors(file, text):
    """The links to a heading that is not there."""
    for path, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)",
                                   without_blocks(text)):
        target = file.parent / path if path else file
        if target.suffix == ".md" and target.exists() and anchor not in \
                anchors_of(target.read_text(encoding="utf-8")):
            yield f"{path}#{anchor}"


def named_in(text, links_only):
    """What the text names in backticks, and what it links to."""
    prose = without_blocks(text)
    for name in [] if links_only else re.findall(r"`([^`\n]+)`", prose):
        if PATH.fullmatch(name) or (FILE.fullmatch(name)
                                    and name not in WRITTEN):
            yield name
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        if "://" not in target:
            yield target


def main(root, links_only=False):
    faults = []
    names = 0
    for file in markdown_files(root, not links_only):
        text = file.read_text(encoding="utf-8")
        faults += [f"{file.relative_to(root)}: there is no heading {link}"
                   for link in lost_anchors(file, text)]
        for name in named_in(text, links_only):
            names += 1
            above = [root / folder for folder in
                     file.relative_to(root).parents]
            if not any((folder / name).exists() for folder in above):
                faults.append(f"{file.relative_to(root)}: there is no {name}")
    lines = len((root / "README.md").read_text(encoding="utf-8").splitlines())
    if lines > README_LINES:
        faults.append(f"README.md: {lines} lines, more than {README_LINES}")
    if names < 50:
        faults.append(f"only {names} names found: is the search at fault?")
    print("\n".join(faults) or f"{names} names, all there")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[-1]).resolve(), "--links" in sys.argv))
