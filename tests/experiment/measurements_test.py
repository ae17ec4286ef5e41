"""Tests how the numbers in run folders are read and averaged over seeds."""
import json
import math
import unittest

import support
from mdgan_experiment import measurements
from mdgan_experiment.measurements import FID


class Runs(support.InFolder):
    def run_with(self, seed, ticks, fids=(), name="fid10k", samples=10000,
                 features="f"):
        folder = self.folder / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        with (folder / "stats.jsonl").open("a") as file:
            for round_, seconds, count in ticks:
                file.write(json.dumps({
                    "round": round_, "seconds_per_round": seconds,
                    "bytes_sent": count, "bytes_received": 1}) + "\n")
        with (folder / f"metric-{name}.jsonl").open("a") as file:
            for round_, value in fids:
                file.write(json.dumps({
                    "metric": name, "round": round_, "samples": samples,
                    "features": features,
                    "results": {FID: value}}) + "\n")
        return measurements.read_run(seed, folder)

    def test_ticks_are_added_up(self):
        run = self.run_with(1, [(10, 0.5, 100), (20, 0.25, 200)])
        self.assertEqual(run.totals, [(10, 5.0, 101, 0), (20, 7.5, 302, 0)])
        self.assertEqual(run.total_at(15, 1), 6.25)
        self.assertEqual(run.total_at(30, 2), 302)

    def test_rounds_told_again_after_a_resumption_count_once(self):
        run = self.run_with(1, [(10, 1, 5), (20, 9, 9), (30, 9, 9),
                                (20, 1, 5), (30, 1, 5)])
        self.assertEqual([t[0] for t in run.totals], [10, 20, 30])
        self.assertEqual(run.totals[-1], (30, 30.0, 18, 0))

    def test_a_torn_last_line_is_left_out(self):
        self.run_with(1, [(10, 1, 5)])
        with (self.folder / "seed-1/stats.jsonl").open("a") as file:
            file.write('{"round": 20, "seco')
        self.assertEqual(
            measurements.read_run(1, self.folder / "seed-1").rounds, 10)

    def test_the_larger_number_of_samples_counts(self):
        self.run_with(1, [(10, 1, 5)], [(10, 50.0)])
        run = self.run_with(1, [], [(10, 99.0)], "fid500", 500)
        self.assertEqual(run.final()[FID], 50.0)
        self.assertEqual(run.samples, 10000)
        self.assertEqual(run.others, ["500 samples, f"])

    def test_a_curve_is_of_one_kind_of_features_and_samples(self):
        self.run_with(1, [(30, 1, 5)], [(10, 9.0), (20, 8.0)])
        self.run_with(1, [], [(5, 99.0)], "fid500", 500)
        run = self.run_with(1, [], [(30, 70.0)], features="others")
        self.assertEqual([p[3] for p in run.series(FID)], [9.0, 8.0])
        self.assertEqual(run.features, "f")
        self.assertEqual(run.others,
                         ["500 samples, f", "10,000 samples, others"])

    def test_mean_and_standard_deviation_are_over_the_seeds(self):
        runs = [self.run_with(s, [(10, 1, 5)], [(10, fid)])
                for s, fid in ((1, 10.0), (2, 12.0), (3, 17.0))]
        spread = measurements.table(runs)[FID]
        self.assertEqual(spread["mean"], 13.0)
        self.assertAlmostEqual(spread["sd"], math.sqrt(13))
        self.assertIsNone(measurements.table(runs[:1])[FID]["sd"])

    def test_real_images_are_counted_from_the_configuration_and_the_peers(self):
        self.run_with(1, [(10, 1, 5)])
        folder = self.folder / "seed-1"
        with (folder / "stats.jsonl").open("w") as file:
            for round_, peers in ((10, 4), (20, 2)):  # two are lost
                file.write(json.dumps({"round": round_, "peers": peers}) + "\n")

        def images(text, round_=20):
            (folder / "config.ini").write_text(text)
            return measurements.read_run(1, folder).images_at(round_)
        text = "# in force\nbatch = 8\nlocal-steps = 5\n"
        self.assertEqual(images(text), 10 * 4 * 8 * 5 + 10 * 2 * 8 * 5)
        self.assertEqual(images(text, 5), 5 * 4 * 8 * 5)
        self.assertEqual(images(text + "participants = 3\n"),
                         10 * 3 * 8 * 5 + 10 * 2 * 8 * 5)
        self.assertIsNone(images("batch = 8\n"))

    def test_curves_have_the_rounds_that_every_seed_has(self):
        runs = [self.run_with(1, [(20, 1, 5)], [(10, 8.0), (20, 4.0)]),
                self.run_with(2, [(20, 2, 5)], [(10, 6.0)])]
        self.assertEqual(measurements.curve(runs, FID),
                         [(10, 15.0, 3.0, 7.0, 6.0, 8.0)])

    def test_what_a_fid_costs_is_told_with_how_many_seeds_reach_it(self):
        runs = [self.run_with(1, [(20, 1, 5)], [(10, 8.0), (20, 4.0)]),
                self.run_with(2, [(20, 1, 5)], [(10, 8.0), (20, 6.0)])]
        cost = measurements.reached(runs, 5)
        self.assertEqual((cost["reached"], cost["of"]), (1, 2))
        self.assertEqual(cost["rounds"]["mean"], 20)
        self.assertEqual(cost["seconds"]["mean"], 20)
        self.assertIsNone(measurements.reached(runs, 3)["bytes"])

    def test_classes_count_from_a_twentieth_of_the_samples(self):
        self.run_with(1, [(10, 1, 5)])
        (self.folder / "seed-1/metric-classes10k.jsonl").write_text(json.dumps({
            "metric": "classes10k", "round": 10, "samples": 10000,
            "results": {"class_histogram": [0.91, 0.05, 0.04]}}) + "\n")
        run = measurements.read_run(1, self.folder / "seed-1")
        self.assertEqual(run.final()["classes_present"], 2)
        self.assertEqual(run.final()["least_class"], 0.04)
        self.assertEqual(measurements.histogram([run]), [0.91, 0.05, 0.04])


if __name__ == "__main__":
    unittest.main()
