"""Tests the report and its drawings, and the toy data."""
import html.parser
import json
import pathlib
import shutil
import struct
import sys
import tempfile
import unittest
from unittest import mock

import support
from mdgan_experiment import measurements, plots, report, toys, trajectories

if not plots.available:
    print(f"NOTE: {plots.why_not}", file=sys.stderr)

VOID = {"meta", "img", "input", "br"}


class Page(html.parser.HTMLParser):
    """Parses a page; checks that its elements nest, and keeps ids and links."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.texts = [], [], [], []
        self.faults = []
        self.feed(text)

    def handle_startendtag(self, tag, attributes):
        self.note(attributes)

    def handle_starttag(self, tag, attributes):
        self.note(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        self.texts.append(data)

    def note(self, attributes):
        for key, value in attributes:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href"):
                self.links.append(value)


class Reporting(support.InFolder):
    made = None  # the folder that one run has left; each test gets a copy

    def setUp(self):
        super().setUp()
        if Reporting.made is None:
            self.define()
            done = self.run_it()
            self.assertEqual(done.returncode, 0, done.stderr)
            keep = tempfile.TemporaryDirectory(prefix="mdgan-experiment-")
            self.addClassCleanup(keep.cleanup)
            Reporting.made = pathlib.Path(keep.name) / "out"
            shutil.copytree(self.out, Reporting.made)
        else:
            shutil.copytree(Reporting.made, self.out)

    def page(self):
        return (self.out / "report.html").read_text()

    def test_the_page_is_well_formed_and_needs_nothing_else(self):
        text = self.page()
        page = Page(text)
        self.assertEqual(page.faults, [])
        self.assertEqual(page.open, [])
        self.assertEqual(len(page.ids), len(set(page.ids)))
        for link in page.links:
            self.assertTrue(link.startswith(("data:image/png;base64,", "#")),
                            link[:60])
        self.assertNotIn("http:", text)
        self.assertNotIn("https:", text)
        self.assertNotIn("@import", text)

    def test_what_the_user_wrote_is_escaped(self):
        self.assertIn("A &amp; B &lt;compared&gt;", self.page())

    def test_the_table_has_mean_and_interval(self):
        # The fake server's last FID is 600 / 10 + 3 * seed + 2 * peers.
        written = json.loads((self.out / "report.json").read_text())
        fid = written["arms"]["ten"]["final"][measurements.FID]
        self.assertEqual(fid["values"], [83.0, 86.0])
        self.assertEqual(fid["mean"], 84.5)
        self.assertEqual([round(x, 2) for x in fid["interval"]],
                         [65.44, 103.56])  # t of one degree: 12.706
        self.assertIn("| ten peers | 84.5 [65.4, 103.6] |",
                      (self.out / "report.md").read_text())
        text = "".join(Page(self.page()).texts)
        self.assertIn("84.5 [65.4, 103.6]", text)
        self.assertIn("made-up classifier", text)
        self.assertIn("report.json", text)

    def test_the_same_results_give_the_same_bytes(self):
        names = ("report.html", "report.md", "report.json")
        before = [(self.out / n).read_bytes() for n in names]
        report.write(self.out)
        report.write(self.out)
        self.assertEqual(before, [(self.out / n).read_bytes() for n in names])

    @unittest.skipUnless(plots.available, plots.why_not)
    def test_curves_pictures_and_classes_are_drawn(self):
        text = self.page()
        for heading in ("How they learn", "Against bytes", "What they draw",
                        "Which classes they draw"):
            self.assertIn(heading, text)
        self.assertEqual(text.count("<img "), 16)  # 2 arms, 8 stages

    def test_without_matplotlib_it_says_so_and_keeps_the_tables(self):
        with mock.patch.object(plots, "available", False), \
                mock.patch.object(plots, "why_not", "no drawings today"):
            report.write(self.out)
        text = self.page()
        self.assertIn("no drawings today", text)
        self.assertIn("84.5", text)
        self.assertNotIn("How they learn", text)

    def test_runs_that_are_not_complete_are_told(self):
        (self.out / "ten/seed-2").rename(self.folder / "away")
        report.write(self.out)
        self.assertIn("seed 2 has nothing yet", self.page())

    def test_a_round_that_was_not_judged_is_told(self):
        for file in (self.out / "ten/seed-2").glob("metric-*.jsonl"):
            lines = file.read_text().splitlines(True)
            file.write_text("".join(lines[1:]))
        report.write(self.out)
        self.assertIn("ten peers: seed 2 was not judged at round 50",
                      self.page())

    def test_the_floor_is_told_where_the_server_measured_it(self):
        self.assertNotIn("The floor", self.page())
        for file in self.out.glob("*/*/metric-fid10k.jsonl"):
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            for line in lines:
                line["results"][measurements.FLOOR] = 0.31
            file.write_text("".join(json.dumps(x) + "\n" for x in lines))
        report.write(self.out)
        for name in "report.md", "report.html":
            self.assertIn("real images of the training part: 0.310.",
                          (self.out / name).read_text())

    def test_machines_are_told_and_that_seconds_do_not_compare(self):
        file = self.out / "experiment.json"
        made = json.loads(file.read_text())
        self.assertEqual(len(made["machines"]), 1)
        report.write(self.out)
        self.assertNotIn("several machines", self.page())
        made["machines"].append({**made["machines"][0], "cpu": "another one"})
        file.write_text(json.dumps(made))
        report.write(self.out)
        self.assertIn("several machines", self.page())
        self.assertIn("another one", self.page())


class Toys(support.InFolder):
    def test_gaussians_are_around_their_modes(self):
        folder = toys.make("gaussians-25", self.folder / "g")
        labels = (folder / "train-labels-idx1-ubyte").read_bytes()
        images = (folder / "train-images-idx3-ubyte").read_bytes()
        self.assertEqual(struct.unpack_from(">IIII", images),
                         (0x803, toys.COUNT, 1, 2))
        self.assertEqual(struct.unpack_from(">II", labels),
                         (0x801, toys.COUNT))
        modes = toys.modes("gaussians-25")
        for i in range(0, toys.COUNT, 97):
            mode = modes[i % 25]
            self.assertEqual(labels[8 + i], i % 25 % 10)
            for axis in (0, 1):
                value = images[16 + 2 * i + axis] / 127.5 - 1
                self.assertLess(abs(value - mode[axis]), 5 * toys.DEVIATION)

    def test_the_point_of_the_dirac_gan_is_0_in_the_mean(self):
        folder = toys.make("dirac", self.folder / "d")
        images = (folder / "train-images-idx3-ubyte").read_bytes()[16:]
        self.assertEqual(sum(images) / len(images), 127.5)

    @unittest.skipIf(trajectories.numpy is None, "needs numpy")
    def test_samples_on_the_modes_are_told_from_others(self):
        numpy = trajectories.numpy
        modes = numpy.array(toys.modes("gaussians-8"))
        points = numpy.concatenate([numpy.repeat(modes[:6], 10, axis=0),
                                    numpy.zeros((60, 2))])
        self.assertEqual(trajectories.evaluate(points, "gaussians-8"),
                         {"modes_found": 6, "good_samples": 0.5})

    @unittest.skipIf(trajectories.numpy is None, "needs numpy")
    def test_the_path_of_a_dirac_gan_is_read_from_checkpoints(self):
        def save(path, name, values):
            header = json.dumps({name: {
                "dtype": "F32", "shape": [len(values)],
                "data_offsets": [0, 4 * len(values)]}}).encode()
            path.parent.mkdir(parents=True)
            path.write_bytes(struct.pack("<Q", len(header)) + header +
                             struct.pack(f"<{len(values)}f", *values))
        for round_, theta in ((5, 1.0), (10, 0.5)):
            state = f"{round_:08}/state.safetensors"
            save(self.folder / "checkpoints" / state, "generator.theta",
                 [theta])
            for peer, psi in (("local-0", 0.25), ("local-1", 0.75)):
                save(self.folder / "peers" / peer / "abc" / state,
                     "discriminator", [psi])
        run = measurements.Run(1, self.folder)
        self.assertEqual(trajectories.path_of(run),
                         [(5, 1.0, 0.5), (10, 0.5, 0.5)])


if __name__ == "__main__":
    unittest.main()
