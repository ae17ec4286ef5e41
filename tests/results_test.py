"""The words of configs/experiments/results/README.md follow from the reports.

Behind a sentence that compares stands a mark, <!-- FILE: NAME -->: the comparison
[compare NAME] of the experiment that FILE.md there is the report of. The sentence
must have the words of the comparison's verdict, no other words that compare, and
the values of both arms, that of the first arm first. A sentence without a mark
must not compare.

The verdict is that of the report. A report that an older mdgan-experiment wrote has
none, only means and standard deviations; from these Welch's intervals follow, which
do without pairs.
"""
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "server/experiment"))
sys.dont_write_bytecode = True
from mdgan_experiment import comparisons, definition, student  # noqa: E402

COLUMNS = {"fid": "FID", "kid": "KID", "on-a-mode": "on a mode",
           "modes-found": "modes found", "class-distance": "class distance",
           "least-class": "least class",
           "distance": "distance from (0, 0)"}
# What a sentence must say, by how its verdict begins.
WORDS = {"lower": "lower", "higher": "higher", "equal within": "equal within",
         comparisons.NOT_SHOWN: "no difference",
         comparisons.ONE_SEED: "one seed",
         comparisons.NO_SPREAD: "no interval", "not compared": "not compared"}
COMPARE = re.compile(
    r"\b(no difference|better|worse|best|worst|beats?|lower|higher|lowest|"
    r"highest|ahead|behind|helps?|harms?|faster|slower|as good|equal within|"
    r"equal|nearly|about the same|improves?|wins?|gains?|outperforms?|nothing|"
    r"much as)\b", re.I)


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(report, first_cell):
    """({row's name: its cells}, head) of the table whose head begins so."""
    lines = report.splitlines()
    for i, line in enumerate(lines):
        head = cells(line)
        if line.startswith("|") and head[0] == first_cell and len(head) > 1:
            rows = {}
            for row in lines[i + 2:]:
                if not row.startswith("|"):
                    break
                rows[cells(row)[0]] = cells(row)
            return rows, head
    return {}, []


class Value:
    """The mean, and where a report has it the standard deviation, of an arm."""

    def __init__(self, cell, seeds):
        self.text = re.split(r" [±\[]", cell)[0]
        self.mean = float(self.text.replace(",", ""))
        self.sd = float(cell.split(" ± ")[1]) if " ± " in cell else None
        self.seeds = 1 if self.sd is None else seeds


def welch(a, b, factor):
    """Welch's 95 % interval of the mean of a less `factor` times that of b."""
    parts = [a.sd**2 / a.seeds, (factor * b.sd)**2 / b.seeds]
    freedom = sum(parts)**2 / (parts[0]**2 / (a.seeds - 1)
                               + parts[1]**2 / (b.seeds - 1))
    half = student.quantile(freedom) * math.sqrt(sum(parts))
    middle = a.mean - factor * b.mean
    return middle - half, middle + half


def verdict_of_means(a, b, comparison):
    if a.sd is None or b.sd is None:
        return comparisons.ONE_SEED
    if not a.sd and not b.sd:
        return comparisons.NO_SPREAD
    margin = comparison["margin"]
    if comparison["claim"] == "equal" and \
            welch(a, b, 1 - margin)[0] > 0 > welch(a, b, 1 + margin)[1]:
        return f"equal within {comparisons.percent(margin)}"
    low, high = welch(a, b, 1)
    return "lower" if high < 0 else "higher" if low > 0 else \
        comparisons.NOT_SHOWN


def judged(report, experiment, name):
    """(verdict, [the values as the report writes them, where it does])"""
    comparison = experiment.comparisons[name]
    labels = {arm.name: arm.label for arm in experiment.arms}
    rows, head = table(report, "")
    seeds = len(re.search(r"--seeds ([\d,]+)", report)[1].split(","))
    heading = COLUMNS.get(comparison["metric"], comparison["metric"])
    values = []
    for arm in comparison["arms"]:
        row = rows.get(labels[arm])
        if row is None or heading not in head:
            return f"not compared: {labels[arm]} has no {heading}", []
        values.append(Value(row[head.index(heading)], seeds))
    same_rounds = comparison["at"] == "rounds"
    texts = [value.text for value in values] if same_rounds else []
    made, columns = table(report, "comparison")
    if name in made:
        return made[name][columns.index("verdict")], texts
    if not same_rounds:
        return "not compared: the report does not tell images", []
    return verdict_of_means(*values, comparison), texts


def sentences(text):
    """[(sentence, its mark or None)] of the section What they say."""
    section = text.split("\nWhat they say:\n")[1]
    for bullet in re.split(r"\n(?=- |\S)", section):
        chunks = re.split(r"<!--(.*?)-->", " ".join(bullet.split()))
        for chunk, mark in zip(chunks[::2], [*chunks[1::2], None]):
            told = [s for s in re.split(r"(?<=\.)\s+(?=[A-Z`\d])",
                                        chunk.strip(" -")) if s]
            for sentence in told[:-1]:
                yield sentence, None
            if told or mark:
                yield (told or [""])[-1], mark


def faults_of(sentence, verdict, texts):
    """What is wrong with a sentence about a comparison."""
    needed = next(WORDS[v] for v in WORDS if verdict.startswith(v))
    said = {match.lower() for match in COMPARE.findall(sentence)}
    if needed not in sentence.lower():
        yield f"does not say '{needed}'"
    for word in sorted(said - {needed}):
        yield f"says '{word}'"
    at = [re.search(rf"(?<![\d.,]){re.escape(text)}(?!\d|[.,]\d)", sentence)
          for text in texts]
    if None in at:
        yield f"does not have the values {' and '.join(texts)}"
    elif at and at[0].start() > at[1].start():
        yield f"has the values in another order than {' and '.join(texts)}"


def check(folder, text):
    """The faults of a text about the reports in a folder."""
    made_by = dict(re.findall(r"^\| `([\w-]+)\.md` \| `([\w-]+)\.ini", text,
                              re.M))
    faults, marks = [], 0
    for sentence, mark in sentences(text):
        if mark is None:
            faults += [f"no mark, but '{word}': {sentence}"
                       for word in COMPARE.findall(sentence)]
            continue
        marks += 1
        file, _, name = (part.strip() for part in mark.partition(":"))
        if file not in made_by:
            faults.append(f"no report {file}.md in the table: {mark}")
            continue
        experiment = definition.read(folder.parent / f"{made_by[file]}.ini")
        if name not in experiment.comparisons:
            faults.append(f"{made_by[file]}.ini has no [compare {name}]")
            continue
        report = (folder / f"{file}.md").read_text(encoding="utf-8")
        verdict, values = judged(report, experiment, name)
        faults += [f"{file}: {name} is '{verdict}', but the sentence {fault}: "
                   f"{sentence}"
                   for fault in faults_of(sentence, verdict, values)]
    return faults, marks


def main():
    folder = ROOT / "configs/experiments/results"
    faults, marks = check(
        folder, (folder / "README.md").read_text(encoding="utf-8"))
    if marks < 10:
        faults.append(f"only {marks} marks found: is the search at fault?")
    print("\n".join(faults) or f"{marks} comparisons, as the reports have them")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
