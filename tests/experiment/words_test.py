"""Tests that the check of the results' words finds words that do not follow."""
import sys
import unittest

import support

sys.path.insert(0, str(support.ROOT / "tests"))
import results_test  # noqa: E402

DEFINITION = support.DEFINITION + """
[compare sizes]
arms = ten, one
metric = fid
claim = lower
"""
REPORT = """
| | FID | score |
|---|---|---|
| one peer | 6.38 ± {sd} | 7 |
| ten peers | 5.02 ± {sd} | 8 |

    mdgan-experiment run trial.ini --seeds {seeds}
"""
NEW_REPORT = """
| | FID | seeds |
|---|---|---|
| one peer | 6.38 [1.00, 9.00] | 3 seeds |
| ten peers | 5.02 [2.00, 6.00] | 3 seeds |

| comparison | of | after | difference | p | verdict |
|---|---|---|---|---|---|
| sizes | FID: ten - one | 100 rounds | -1.36 [-2, -1] | 0.04 | lower |

    mdgan-experiment run trial.ini --seeds 1,2,3
"""


class Words(support.InFolder):
    def faults(self, sentence, report=None, sd=0.1, seeds="1,2,3"):
        self.define(DEFINITION)
        folder = self.folder / "results"
        folder.mkdir(exist_ok=True)
        report = report or REPORT.format(sd=sd, seeds=seeds)
        if seeds == "1":
            report = report.replace(" ± 0.1", "")
        (folder / "trial.md").write_text(report)
        return results_test.check(folder, f"""
| `trial.md` | `trial.ini --data DIR` |

What they say:

- {sentence}
""")[0]

    def test_words_that_follow_have_no_fault(self):
        for sentence, more in (
                ("Ten have a lower FID, 5.02 to 6.38. <!-- trial: sizes -->",
                 {}),
                ("Ten have 5.02, one 6.38: no difference shown. "
                 "<!-- trial: sizes -->", {"sd": 2.0}),
                ("Ten have 5.02, one 6.38; one seed. <!-- trial: sizes -->",
                 {"seeds": "1"}),
                ("Ten have a lower FID, 5.02 to 6.38. <!-- trial: sizes -->",
                 {"report": NEW_REPORT}),
                ("There are ten peers.", {})):
            with self.subTest(sentence):
                self.assertEqual(self.faults(sentence, **more), [])

    def test_words_that_do_not_follow_are_named(self):
        mark = " <!-- trial: sizes -->"
        for sentence, more, named in (
                ("Ten beat one.", {}, "no mark, but 'beat'"),
                ("Ten (5.02) beat one (6.38), one seed." + mark,
                 {"seeds": "1"}, "says 'beat'"),
                ("Ten have 5.02, one 6.38." + mark, {"seeds": "1"},
                 "does not say 'one seed'"),
                ("Ten have a lower FID, 5.02 to 6.38." + mark, {"sd": 2.0},
                 "does not say 'no difference'"),
                ("One has a higher FID, 6.38 to 5.02." + mark, {},
                 "does not say 'lower'"),
                ("Ten have a lower FID, 6.38 to 5.02." + mark, {},
                 "in another order"),
                ("Ten have a lower FID, 5.01 to 6.38." + mark, {},
                 "does not have the values"),
                ("Ten are fine. <!-- trial: size -->", {},
                 "has no [compare size]"),
                ("Ten are fine. <!-- trail: sizes -->", {},
                 "no report trail.md")):
            with self.subTest(sentence):
                self.assertIn(named, "\n".join(self.faults(sentence, **more)))


if __name__ == "__main__":
    unittest.main()
