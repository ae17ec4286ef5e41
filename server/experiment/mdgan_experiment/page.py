"""Makes the report as one HTML page, which needs no other file: it contains the
drawings as SVG and the pictures as data URLs.
"""
import base64
import html as markup

from . import document, plots, toys, trajectories, wording
from .measurements import FID, PRESENT, histogram
from .wording import duration, interval, machine_line, plain, size, unit

PICTURES = 8  # how many stages of training the slider shows
escape = markup.escape

# The script shows the pictures of the stage that the slider is set to.
SCRIPT = """
for (const slider of document.querySelectorAll('.slider input')) {
  const section = slider.closest('section');
  const show = () => {
    for (const image of section.querySelectorAll('img'))
      image.hidden = image.dataset.stage !== slider.value;
    slider.nextElementSibling.value =
        slider.dataset.rounds.split(' ')[slider.value];
  };
  slider.addEventListener('input', show);
  show();
}
"""


# --- parts of the page --------------------------------------------------------

def key_of(i):
    """A short line in the colour and dashes that arm i has in the drawings."""
    dashes = ("", "5 3", "1.5 2.5", "6 2 1.5 2")[i // plots.COLOURS % 4]
    return (f'<svg class="key" viewBox="0 0 24 8" aria-hidden="true">'
            f'<line x1="0" y1="4" x2="24" y2="4" stroke-width="3" '
            f'stroke="var(--c{i % plots.COLOURS})" '
            f'stroke-dasharray="{dashes}"/></svg>')


def section(title, *parts):
    parts = [p for p in parts if p]
    if not parts:
        return ""
    return "\n".join([f"<section><h2>{escape(title)}</h2>", *parts,
                      "</section>"])


def paragraph(text, kind="note"):
    return f'<p class="{kind}">{escape(text)}</p>'


def drawing(svg, caption=""):
    if not svg:
        return ""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{svg}{below}</figure>"


def table(head, rows, kind=""):
    """An HTML table. The cells are HTML; those of a row after its first have
    their <td>."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(row[1:])}</tr>'
        for row in rows)
    return (f'<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr>'
            f"</thead><tbody>\n{body}\n</tbody></table></div>")


def arm_label(results, name):
    return key_of(results.index(name)) + escape(results.label(name))


def legend(results):
    items = "".join(f"<li>{arm_label(results, name)}</li>"
                    for name in results.arms)
    return f'<ul class="legend">{items}</ul>'


def head_line(results):
    """A sentence that names the arms with the lowest mean FIDs and the highest;
    whether they differ is for the comparisons to say."""
    scored = {name: t[FID]["mean"] for name, t in results.tables.items()
              if FID in t}
    if len(scored) < 2:
        return ""
    order = sorted(scored, key=scored.get)
    best, second, last = order[0], order[1], order[-1]
    text = (f"The lowest mean FID after {results.record['rounds']:,} rounds is that "
            f"of {results.label(best)}: "
            f"{plain(FID, results.tables[best][FID])}.")
    text += (f" Next is {results.label(second)} with "
             f"{plain(FID, results.tables[second][FID])}")
    if last != second:
        text += (f"; the highest is that of {results.label(last)}, "
                 f"{plain(FID, results.tables[last][FID])}")
    counts = {len(results.arms[name]) for name in scored}
    text += "; one seed" if counts == {1} else ""
    return paragraph(text + ".", "finding")


def result_table(results):
    columns = results.columns()
    best = {}
    for key, _, less in columns:
        means = [t[key]["mean"] for t in results.tables.values() if key in t]
        if less is not None and len(means) > 1:
            best[key] = min(means) if less else max(means)
    rows = []
    for name, values in results.tables.items():
        row = [arm_label(results, name)]
        for key, _, _ in columns:
            row.append(cell(key, values.get(key), best.get(key)))
        row.append(f"<td>{wording.seeds(len(results.arms[name]))}</td>")
        rows.append(row)
    head = [""] + [escape(heading) for _, heading, _ in columns] + ["seeds"]
    return table(head, rows)


def comparison_table(results):
    """The comparisons that the definition names; '' if there are none."""
    if not results.comparisons:
        return ""
    rows = []
    for name, c in results.comparisons.items():
        a, b = (escape(results.label(arm)) for arm in c["arms"])
        cells = (f"{escape(wording.metric(c['metric']))}: {a} - {b}",
                 wording.work(c), wording.difference(c),
                 escape(wording.p_value(c.get("p"))),
                 f"<strong>{escape(c['verdict'])}</strong>")
        rows.append([escape(name)] + [f"<td>{cell}</td>" for cell in cells])
    return section(
        "What the seeds show",
        paragraph("Compared over paired seeds; in brackets the 95 % interval "
                  "of the difference. "
                  + wording.tests(results.comparisons.values())),
        table(["comparison", "of", "after", "difference", "p", "verdict"],
              rows, "text"))


def cell(key, values, best):
    if not values:
        return "<td>–</td>"
    kind = ' class="best"' if values["mean"] == best else ""
    return (f"<td{kind}>{unit(key, values['mean'])}"
            f'<span class="sd">{interval(key, values)}</span></td>')


def measure_notes(results):
    keys = {key for key, _, _ in results.columns()}
    counts = {len(runs) for runs in results.arms.values()}
    text = "At the end" if keys <= {"seconds", "bytes", "bytes_swapped"} else \
        "At the last evaluated round"
    if max(counts) > 1:
        text += ("; mean over the seeds, and its 95 % interval (Student's t), of "
                 "seconds half of it in percent")
    text += "."
    if len(results.arms) > 1 and any(less is not None for _, _, less in
                                   results.columns()):
        text += " The best mean of a column is bold."
    if "classes_present" in keys:
        text += (" Classes: those that at least "
                 f"{PRESENT:.0%} of the samples are judged to be of;"
                 " least class: the smallest share that one has;"
                 " class distance: total variation distance to the data's "
                 "classes.")
    if "modes_found" in keys:
        text += (" On a mode: within three standard deviations of a centre; "
                 "a mode is found with a fifth of its share of the samples.")
    text += " Bytes, server: sent and received by it"
    text += "; swapped: from peer to peer." if "bytes_swapped" in keys else "."
    every = [run for runs in results.arms.values() for run in runs]
    samples = sorted({run.samples for run in every if run.samples})
    if samples:
        text += " Judged on " + ", ".join(f"{n:,}" for n in samples) + \
            " samples with " + \
            "; ".join(sorted({r.features for r in every if r.features})) + "."
    floor = wording.floor(results.floors())
    return paragraph(text + (f" {floor}" if floor else ""))


def curves(results, drawer):
    arms = list(results.arms.values())
    parts = []
    for x in ("rounds", "seconds", "bytes"):
        svg = drawer.curves(arms, x)
        if svg:
            parts += [f"<h3>Against {x}</h3>", drawing(svg)]
    if parts:
        note = "The lines are means over the seeds, the bands go from the " \
            "least to the greatest."
        if any(run.lost for runs in arms for run in runs):
            note += " A dotted vertical line: a peer was killed."
        parts = [legend(results), *parts, paragraph(note)]
    losses = drawing(drawer.losses(arms))
    folded = (f"<details{'' if parts else ' open'}><summary>Losses</summary>"
              f"{legend(results)}{losses}</details>")
    return section("How they learn", *parts, folded)


def reaching(results):
    if not results.reached or not results.fids:
        return ""
    rows = []
    for name, reached in results.reached.items():
        row = [arm_label(results, name)]
        for values in reached.values():
            if not values["reached"]:
                row.append('<td class="sd">not reached</td>')
                continue
            some = "" if values["reached"] == values["of"] else \
                f'<br>{values["reached"]} of {values["of"]} seeds'
            row.append(
                f"<td>{values['rounds']['mean']:,.0f} rounds"
                f'<br>{duration(values["seconds"]["mean"])}'
                f'<br>{size(values["bytes"]["mean"])}{some}</td>')
        rows.append(row)
    return section(
        "What a given FID costs",
        paragraph("Rounds, seconds and bytes (by the server and from peer to "
                  "peer) until an evaluation has at most the FID above; means "
                  "over the seeds that reach it."),
        table(["FID"] + [f"{fid:g}" for fid in results.fids], rows))


def picture(path):
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:image/png;base64,{data}"


def pictures(results):
    """The sample grids of each arm's first seed, at rounds all arms have."""
    grids = {}
    for name, runs in results.arms.items():
        if results.data(name) in toys.MADE:
            continue
        grids[name] = {int(p.stem): p for p in
                       sorted((runs[0].folder / "samples").glob("*.png"))
                       if p.stem.isdigit()}
    grids = {name: files for name, files in grids.items() if files}
    if not grids:
        return ""
    shared = sorted(set.intersection(*(set(g) for g in grids.values())))
    rounds = trajectories.evenly(shared, PICTURES)
    parts = []
    if len(rounds) > 1:
        parts.append(
            '<div class="slider"><label for="stage">after round</label>'
            f'<input id="stage" type="range" min="0" max="{len(rounds) - 1}" '
            f'value="{len(rounds) - 1}" '
            f'data-rounds="{" ".join(f"{r:,}" for r in rounds)}">'
            f"<output>{rounds[-1]:,}</output></div>")
    blocks = []
    for name, files in grids.items():
        stages = rounds or [max(files)]
        images = "".join(
            f'<img data-stage="{i}"{"" if i == len(stages) - 1 else " hidden"} '
            f'alt="Samples of {escape(results.label(name), True)} after round '
            f'{r}" src="{picture(files[r])}">' for i, r in enumerate(stages))
        blocks.append(f"<figure>{images}<figcaption>{arm_label(results, name)}"
                      "</figcaption></figure>")
    seed = next(iter(results.arms.values()))[0].seed
    return section(
        "What they draw",
        paragraph("The same latents everywhere, columns are classes where "
                  f"there are any; seed {seed}."),
        *parts, f'<div class="grid">{"".join(blocks)}</div>')


def histograms(results, drawer):
    """The share of each class in the samples, if some arm's partition is not
    i.i.d.: these show whether the generator draws every peer's classes."""
    skewed = any(arm["options"].get("partition", "iid") != "iid"
                 for arm in results.record["arms"].values())
    blocks = []
    for name, runs in results.arms.items() if skewed else ():
        shares = histogram(runs)
        if shares:
            svg = drawer.histogram(results.index(name), shares,
                                   escape(results.label(name), True))
            blocks.append(drawing(svg, arm_label(results, name)))
    if not blocks:
        return ""
    return section("Which classes they draw",
                   paragraph("As the classifier judges the samples; the "
                             "dashed line is an equal share."),
                   f'<div class="grid">{"".join(blocks)}</div>')


def toy_pictures(results, drawer):
    if trajectories.numpy is None:
        return ""
    dirac = [n for n in results.arms if results.data(n) == "dirac"]
    parts = []
    if dirac:
        svg = trajectories.plane(
            drawer, [(results.index(n), results.label(n), results.arms[n][0])
                     for n in dirac])
        parts += [drawing(svg, "The cross is the equilibrium.")]
    for name, runs in results.arms.items():
        if results.data(name).startswith("gaussians"):
            folder = results.out / "data" / results.data(name)
            parts.append(drawing(
                trajectories.scatter(drawer, results.index(name), runs[0],
                                     folder, escape(results.label(name), True)),
                arm_label(results, name)))
    return section("Where they go", *parts)


def settings(results):
    """The options of the arms: a table of those that differ, and a folded list
    of the others."""
    arms = {n: results.record["arms"][n] for n in results.arms}
    arms = {n: {**arm, "options": {**arm["options"], "starts from":
                                   arm["config"] or "the defaults"}}
            for n, arm in arms.items()}
    keys = sorted({k for arm in arms.values() for k in arm["options"]})
    differ = [k for k in keys if len(
        {arm["options"].get(k) for arm in arms.values()}) > 1]
    shared = {k: next(iter(arms.values()))["options"][k] for k in keys
              if k not in differ}
    shared_lines = [f"{k} = {v}" for k, v in shared.items()]
    rows = [[arm_label(results, n)] + [
        f"<td>{escape(arm['options'].get(k, '·'))}</td>" for k in differ]
        for n, arm in arms.items()]
    facts = (f"{results.record['rounds']:,} rounds; seeds "
             f"{', '.join(map(str, results.record['seeds']))}; data: "
             f"{', '.join(sorted({arm['data'] for arm in arms.values()}))}.")
    if any(arm["lose_peers"] for arm in arms.values()):
        facts += (" Peers are processes of their own; where they are lost, one "
                  "is killed every rounds/N rounds and the last one stays.")
    parts = [paragraph(facts, ""),
             table([""] + [escape(k) for k in differ], rows, "text")
             if differ else legend(results)]
    if shared_lines:
        parts.append("<details><summary>Options of all arms</summary><pre>"
                     + escape("\n".join(shared_lines)) + "</pre></details>")
    for name, text in results.record["configs"].items():
        parts.append(f"<details><summary>{escape(name)}, from which they start"
                     f"</summary><pre>{escape(text)}</pre></details>")
    return section("What was run", *parts)


def origin(results):
    return section(
        "Where it comes from",
        *(paragraph(machine_line(m), "") for m in results.record["machines"]),
        paragraph("The same again:"),
        f"<pre>{escape(results.record['command'])}</pre>",
        paragraph("Every number of this page is in report.json beside it."))


def drawn(results):
    """The sections with drawings in the order of the page, and the drawing for
    the section Result."""
    if not plots.available:
        return [section("Drawings", paragraph(plots.why_not, "warning")),
                reaching(results), pictures(results)], ""
    drawer = plots.Drawer()
    glance = drawing(drawer.at_a_glance(
        [results.label(n) for n in results.arms], list(results.tables.values()),
        FID, "FID at the end; a dot is a seed, the bar their mean"))
    return [toy_pictures(results, drawer), curves(results, drawer),
            reaching(results), pictures(results),
            histograms(results, drawer)], glance


def html(results):
    sections, glance = drawn(results)
    missing = "<br>".join(escape(text) for text in results.warnings())
    warnings = f'<p class="warning">{missing}</p>\n' if missing else "\n"
    body = "\n".join(
        [section("Result", head_line(results), glance, result_table(results),
                 measure_notes(results)),
         comparison_table(results),
         *sections, settings(results), origin(results)])
    return document.html(
        f"MD-GAN experiment · {results.record['name']}",
        results.record["title"], results.record["question"], warnings + body,
        SCRIPT)
