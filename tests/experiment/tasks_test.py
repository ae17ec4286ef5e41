"""Tests the tasks of a cluster's array, and the merge of their folders."""
import json
import subprocess
import sys
import unittest

import support
from support import DEFINITION


class Tasks(support.InFolder):
    def task(self, number, *flags):
        self.out = self.folder / f"tasks/{number}"
        done = self.run_it("--task", str(number), *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.out

    def merge(self, *folders):
        return subprocess.run(
            [sys.executable, str(support.PROGRAM), "merge",
             str(self.folder / "all"), *map(str, folders)],
            capture_output=True, text=True, timeout=300)

    def test_a_task_is_one_run_in_the_order_of_dry_run(self):
        self.define()
        said = self.run_it("--dry-run").stdout.splitlines()
        self.assertEqual(len(said), 4)
        for number in 1, 2, 3, 4:
            one = self.run_it("--dry-run", "--task", str(number)).stdout
            self.assertEqual(one.splitlines(), [said[number - 1]])
        done = self.run_it("--task", "5")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no task 5", done.stderr)
        self.assertIn("has 4 runs", done.stderr)

    def test_merged_tasks_are_one_experiment(self):
        self.define(DEFINITION + """
[compare sizes]
arms = ten, one
metric = fid
claim = lower
""")
        folders = [self.task(n) for n in (2, 4, 1)]
        self.assertEqual(sorted(p.name for p in folders[0].glob("*/seed-*")),
                         ["seed-1", "seed-1.log"])
        merged = self.merge(*folders[:2])
        self.assertEqual(merged.returncode, 0, merged.stderr)
        merged = self.merge(folders[2])  # one that came later
        self.assertEqual(merged.returncode, 0, merged.stderr)
        out = self.folder / "all"
        made = json.loads((out / "report.json").read_text())
        self.assertEqual(made["seeds"], [1, 2])
        self.assertEqual({name: [run["seed"] for run in arm["runs"]]
                          for name, arm in made["arms"].items()},
                         {"ten": [1, 2], "one": [1]})
        self.assertEqual(made["comparisons"]["sizes"]["seeds"], [1])
        self.assertIn("one peer: seed 2 has nothing yet",
                      (out / "report.md").read_text())
        self.assertTrue(made["command"].endswith(f"--seeds 1,2 --out {out}"))
        # The experiment goes on where the tasks have left it.
        self.out = out
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 of 4 runs are complete already", done.stderr)

    def test_folders_that_do_not_fit_are_refused(self):
        self.define()
        first = self.task(1)
        self.define(DEFINITION.replace("batch = 10", "batch = 20"))
        other = self.task(3)
        done = self.merge(first, other)
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"{other} cannot be merged", done.stderr)
        self.assertIn("batch = 10 then, 20 now", done.stderr)
        self.assertFalse((self.folder / "all").exists())
        file = other / "experiment.json"
        file.write_text(file.read_text().replace('"trial"', '"trail"'))
        self.assertIn("of the experiment 'trail'",
                      self.merge(first, other).stderr)
        done = self.merge(self.folder / "all")
        self.assertEqual(done.returncode, 2)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
