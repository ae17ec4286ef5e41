"""Tests how definitions are read and how their faults are refused."""
import unittest

import support
from support import DEFINITION
from mdgan_experiment import definition
from mdgan_experiment.definition import Refused


class Definition(support.InFolder):
    def refusal(self, text):
        with self.assertRaises(Refused) as caught:
            definition.read(self.define(text))
        return str(caught.exception)


class Reading(Definition):
    def test_arms_have_the_common_options_and_their_own(self):
        experiment = definition.read(self.define())
        self.assertEqual(experiment.question, "Which of the two is better?")
        self.assertEqual(experiment.seeds, [1, 2])
        self.assertEqual([arm.name for arm in experiment.arms], ["one", "ten"])
        self.assertEqual(experiment.arms[1].options, {
            "batch": "10", "local-peers": "10", "partition": "classes:1"})

    def test_a_misspelt_key_is_refused_with_the_nearest_one(self):
        said = self.refusal(DEFINITION.replace("evaluate-every =",
                                               "evaluate-evry ="))
        self.assertIn("trial.ini", said)
        self.assertIn("'evaluate-evry'", said)
        self.assertIn("did you mean 'evaluate-every'?", said)

    def test_a_misspelt_section_is_refused(self):
        self.assertIn("[comon]",
                      self.refusal(DEFINITION.replace("common", "comon")))

    def test_a_key_given_twice_is_refused(self):
        self.assertIn("batch", self.refusal(
            DEFINITION.replace("batch = 10", "batch = 10\nbatch = 20")))

    def test_what_the_runner_sets_is_refused_as_an_arms_option(self):
        self.assertIn("'seed' is set by the runner", self.refusal(
            DEFINITION.replace("batch = 10", "seed = 3")))

    def test_values_that_cannot_be_are_refused(self):
        for old, new, named in (("rounds = 100", "rounds = 0", "rounds"),
                                ("rounds = 100", "rounds = many", "many"),
                                ("rounds = 100", "rounds = inf", "inf"),
                                ("= 1, 2", "= 1, 1", "twice"),
                                ("= folder", "= mnits", "'mnist'"),
                                ("label = one peer", "", "'label'"),
                                ("title =", "#", "'title'"),
                                ("data =", "config = no.ini\ndata =", "no.ini"),
                                ("local-peers = 1\n", "", "'local-peers'"),
                                ("= 1\n", "= 1\nlose-peers = true\n", "2 or")):
            with self.subTest(new):
                self.assertIn(named, self.refusal(DEFINITION.replace(old, new)))

    def test_an_arm_that_is_not_there_is_refused_with_those_that_are(self):
        experiment = definition.read(self.define())
        with self.assertRaises(Refused) as caught:
            definition.select(experiment, arms=["tne"])
        self.assertIn("it has one, ten", str(caught.exception))


COMPARE = DEFINITION + """
[compare sizes]
arms = ten, one
metric = fid
claim = equal
margin = 5 %
at = images
"""


class Comparing(Definition):
    def test_a_comparison_is_read(self):
        read = definition.read(self.define(COMPARE))
        self.assertEqual(read.comparisons, {"sizes": {
            "arms": ["ten", "one"], "metric": "fid", "claim": "equal",
            "at": "images", "margin": 0.05}})
        self.assertEqual(definition.read(self.define()).comparisons, {})

    def test_a_comparison_that_cannot_be_made_is_refused(self):
        for old, new, named in (
                ("ten, one\n", "ten\n", "not two arms"),
                ("ten, one\n", "ten, ten\n", "not two arms"),
                ("ten, one\n", "ten, tne\n", "did you mean 'ten'"),
                ("= fid", "= fdi", "'fid'"),
                ("= equal", "= better", "lower, higher, equal"),
                ("margin = 5 %", "", "'margin'"),
                ("5 %", "5", "such as 5 %"),
                ("5 %", "0 %", "such as 5 %"),
                ("= images", "= seconds", "rounds, images"),
                ("metric = fid\n", "", "'metric'"),
                ("claim =", "clam =", "'claim'"),
                ("[compare sizes]", "[compar sizes]", "[compar sizes]")):
            with self.subTest(new):
                said = self.refusal(COMPARE.replace(old, new))
                self.assertIn(named, said)


class Shipped(unittest.TestCase):
    def test_every_definition_that_comes_with_the_project_is_read(self):
        files = sorted((support.ROOT / "configs/experiments").glob("*.ini"))
        self.assertGreaterEqual(len(files), 10)
        for file in files:
            with self.subTest(file.name):
                definition.read(file)


if __name__ == "__main__":
    unittest.main()
