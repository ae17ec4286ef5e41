"""Writes the report of an experiment: OUT/report.html, report.md, report.json.
The same results give the same bytes.
"""
import json
import sys

from . import page, plots, wording
from .measurements import histogram
from .results import Results


def write(out):
    """Writes the report into `out`; raises Refused if there are no results."""
    results = Results(out)
    if not plots.available:
        print(f"mdgan-experiment: {plots.why_not}", file=sys.stderr)
    files = {"report.json": json.dumps(numbers(results), indent=1) + "\n",
             "report.md": markdown(results), "report.html": page.html(results)}
    for name, text in files.items():
        part = results.out / (name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(results.out / name)


def numbers(results):
    """Every number of the report, for report.json."""
    return {
        **{k: results.record[k] for k in (
            "name", "title", "question", "rounds", "seeds", "machines",
            "command")},
        "warnings": results.warnings(),
        "comparisons": results.comparisons, "floors": results.floors(),
        "arms": {name: {
            "label": results.label(name),
            "options": results.record["arms"][name]["options"],
            "data": results.data(name),
            "final": results.tables[name],
            "class_histogram": histogram(runs),
            "to_reach": {f"{fid:g}": reached for fid, reached in
                         results.reached.get(name, {}).items()},
            "runs": [{"seed": run.seed, "rounds": run.rounds,
                      "lost_at": run.lost, "features": run.features,
                      "samples": run.samples,
                      "evaluations": [
                          {"round": r, "seconds": run.total_at(r, 1),
                           "bytes": run.total_at(r, 2),
                           "bytes_swapped": run.total_at(r, 3), **values}
                          for r, values in sorted(run.evaluations.items())]}
                     for run in runs]}
            for name, runs in results.arms.items()}}


def markdown(results):
    lines = [f"# {results.record['title']}", "", results.record["question"], ""]
    columns = results.columns()
    lines.append("| | " + " | ".join(heading for _, heading, _ in columns)
                 + " | seeds |")
    lines.append("|---" * (len(columns) + 2) + "|")
    for name in results.arms:
        cells = [wording.plain(key, results.tables[name].get(key))
                 for key, _, _ in columns]
        lines.append(f"| {results.label(name)} | " + " | ".join(cells) + " | "
                     + wording.seeds(len(results.arms[name])) + " |")
    if any(len(runs) > 1 for runs in results.arms.values()):
        lines += ["", "In brackets: the 95 % interval of the mean over the "
                  "seeds (Student's t)."]
    if floor := wording.floor(results.floors()):
        lines += ["", floor]
    lines += compared(results)
    if results.reached and results.fids:
        lines += ["", "Until an evaluation's FID is at most (bytes: server and "
                  "swaps):", "",
                  "| | " + " | ".join(f"{f:g}" for f in results.fids) + " |",
                  "|---" * (len(results.fids) + 1) + "|"]
        for name, reached in results.reached.items():
            cells = [wording.plain_reached(r) for r in reached.values()]
            lines.append(f"| {results.label(name)} | " + " | ".join(cells)
                         + " |")
    lines += [""] + [f"Note: {text}" for text in results.warnings()]
    lines += [f"Machine: {wording.machine_line(m)}"
              for m in results.record["machines"]]
    lines += ["", f"    {results.record['command']}", ""]
    return "\n".join(lines)


def compared(results):
    """The lines about the comparisons that the definition names."""
    if not results.comparisons:
        return []
    lines = ["", "Compared over paired seeds; in brackets the 95 % interval of "
             "the difference:", "",
             "| comparison | of | after | difference | p | verdict |",
             "|---" * 6 + "|"]
    for name, c in results.comparisons.items():
        lines.append(
            f"| {name} | {wording.metric(c['metric'])}: "
            f"{results.label(c['arms'][0])} - {results.label(c['arms'][1])} | "
            f"{wording.work(c)} | {wording.difference(c)} | "
            f"{wording.p_value(c.get('p'))} | {c['verdict']} |")
    return [*lines, "", wording.tests(results.comparisons.values())]
