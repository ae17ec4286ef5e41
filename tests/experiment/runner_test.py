"""Tests how runs are started, resumed, skipped, stopped and found to fail."""
import fcntl
import json
import signal
import subprocess
import time
import unittest

import support
from support import DEFINITION
from mdgan_experiment import definition, jobs


class Running(support.InFolder):
    def test_every_arm_runs_with_every_seed_and_is_not_run_again(self):
        self.define()
        first = self.run_it()
        self.assertEqual(first.returncode, 0, first.stderr)
        logs = {p.relative_to(self.out).as_posix(): p.read_text()
                for p in self.out.glob("*/*.log")}
        self.assertEqual(sorted(logs), [
            "one/seed-1.log", "one/seed-2.log", "ten/seed-1.log",
            "ten/seed-2.log"])
        self.assertIn("--partition classes:1", logs["ten/seed-1.log"])
        self.assertIn("--seed 2", logs["one/seed-2.log"])
        second = self.run_it()
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertIn("4 of 4 runs are complete already", second.stderr)
        self.assertEqual(self.log("ten", 1), logs["ten/seed-1.log"])

    def test_a_run_that_ended_early_is_told_and_resumed(self):
        self.define(DEFINITION.replace("batch = 10", "fake-end = 40"))
        first = self.run_it("--seeds", "1", "--arms", "one")
        self.assertEqual(first.returncode, 1, first.stderr)
        self.assertIn("failed: one/seed-1 (it ended early)", first.stderr)
        second = self.run_it("--seeds", "1", "--arms", "one")
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertIn("one/seed-1 goes on after round 40", second.stderr)
        starts = [line for line in self.log("one", 1).splitlines()
                  if " train " in line]
        self.assertEqual(len(starts), 2)  # the same command goes on
        self.assertEqual(starts[0], starts[1])

    def test_a_run_killed_before_its_last_evaluation_is_evaluated(self):
        self.define()
        self.assertEqual(
            self.run_it("--seeds", "1", "--arms", "one").returncode, 0)
        folder = self.out / "one/seed-1"
        complete = {}
        for file in folder.glob("metric-*.jsonl"):
            complete[file] = file.read_text()
            file.write_text("".join(complete[file].splitlines(True)[:-1]))
        self.assertTrue(complete)
        again = self.run_it("--seeds", "1", "--arms", "one")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn(f"evaluate --run {folder}", self.log("one", 1))
        self.assertEqual(self.log("one", 1).count(" train "), 1)
        for file, text in complete.items():
            self.assertEqual(file.read_text(), text)

    def test_what_has_no_checkpoint_starts_anew(self):
        self.define()
        folder = self.out / "one/seed-1"
        folder.mkdir(parents=True)
        (folder / "stats.jsonl").write_text('{"round": 10}\n')
        done = self.run_it("--seeds", "1", "--arms", "one")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("one/seed-1 starts", done.stderr)

    def test_a_machine_counts_where_something_ran_on_it(self):
        self.define()

        def versions_after(*flags):
            done = self.run_it("--seeds", "1", *flags)
            self.assertEqual(done.returncode, 0, done.stderr)
            made = json.loads((self.out / "experiment.json").read_text())
            return [m["versions"] for m in made["machines"]]
        first = versions_after("--arms", "one")
        server = self.folder / "bin/mdgan-server"
        server.write_text(server.read_text().replace("0.0.0", "0.0.1"))
        self.assertEqual(versions_after("--arms", "one"), first)
        self.assertEqual(versions_after(),
                         first + [["mdgan-server 0.0.1 (a fake)"]])

    def test_a_failed_arm_is_named_with_its_log_and_stops_no_other(self):
        self.define(DEFINITION.replace(
            "local-peers = 1\n", "local-peers = 1\nfake-fail = true\n"))
        done = self.run_it("--seeds", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"failed: one/seed-1 (exit code 9), see {self.out}/one/"
                      "seed-1.log", done.stderr)
        self.assertIn("ten/seed-1 is complete", done.stderr)
        self.assertTrue((self.out / "report.html").exists())

    def test_an_option_that_the_server_does_not_know_ends_it_before_a_run(self):
        self.define(DEFINITION.replace("batch = 10", "bacth = 10"))
        done = self.run_it()
        self.assertEqual(done.returncode, 2)
        self.assertIn("[arm one]", done.stderr)
        self.assertIn("--bacth", done.stderr)
        self.assertFalse(self.out.exists())

    def test_a_changed_definition_is_refused_for_what_was_run(self):
        self.define()
        self.assertEqual(self.run_it("--seeds", "1").returncode, 0)
        self.define(DEFINITION.replace("batch = 10", "batch = 20"))
        done = self.run_it("--seeds", "1")
        self.assertEqual(done.returncode, 2)
        self.assertIn("batch = 10 then, 20 now", done.stderr)
        self.define()
        self.assertEqual(self.run_it("--rounds", "50").returncode, 2)
        more = self.run_it("--seeds", "1,2")
        self.assertEqual(more.returncode, 0, more.stderr)

    def test_a_record_of_another_version_is_refused(self):
        self.define()
        self.assertEqual(
            self.run_it("--seeds", "1", "--arms", "one").returncode, 0)
        file = self.out / "experiment.json"
        for text in '{"name": "trial"}', "[]", "{":
            file.write_text(text)
            done = self.run_it("--seeds", "1", "--arms", "one")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(str(file), done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def test_the_report_names_the_command_for_all_that_it_tells_of(self):
        self.define()
        self.assertEqual(
            self.run_it("--seeds", "1", "--arms", "one").returncode, 0)
        report = self.out / "report.md"
        self.assertIn("--seeds 1 --arms one ", report.read_text())
        self.assertEqual(
            self.run_it("--seeds", "2", "--arms", "ten").returncode, 0)
        self.assertIn("--rounds 100 --seeds 1,2 --out", report.read_text())

    def test_other_data_are_refused_for_what_was_run(self):
        self.define()
        file = self.folder / "data/images"
        file.write_bytes(b"zebras")
        self.assertEqual(self.run_it("--seeds", "1").returncode, 0)
        file.write_bytes(b"horses")
        done = self.run_it("--seeds", "1,2")
        self.assertEqual(done.returncode, 2)
        self.assertIn("made with other data for arm 'one'", done.stderr)

    def test_the_folder_of_a_live_server_is_left_alone(self):
        self.define()
        folder = self.out / "one/seed-1"
        folder.mkdir(parents=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = self.run_it("--seeds", "1", "--arms", "one")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"a server still works in {folder}", done.stderr)
        self.assertTrue((folder / "lock").exists())

    def test_a_trained_run_that_lost_its_peers_is_only_evaluated(self):
        read = definition.read(self.define(DEFINITION.replace(
            "local-peers = 10", "local-peers = 10\nlose-peers = true")))
        job = jobs.make(read, read.arms[1], 1, self.out, self.folder / "data",
                        self.folder / "bin")
        checkpoint = job.folder / "checkpoints/00000100"
        checkpoint.mkdir(parents=True)
        (checkpoint / "manifest.json").write_text("{}")
        (job.folder / "config.ini").write_text(
            "rounds = 100\nseed = 1\nlocal-peers = 10\n")
        job.start()
        while job.poll() is None:
            time.sleep(0.05)
        self.assertTrue(job.done())
        self.assertIn("evaluate --run", self.log("ten", 1))
        self.assertNotIn("mdgan-peer", self.log("ten", 1))

    def losing_job(self):
        read = definition.read(self.define(DEFINITION.replace(
            "local-peers = 10", "local-peers = 10\nlose-peers = true")))
        job = jobs.make(read, read.arms[1], 1, self.out, self.folder / "data",
                        self.folder / "bin")
        started = []

        def launch(command):  # a program that waits to be ended
            process = subprocess.Popen(["sleep", "600"])
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            started.append(command)
            return process
        job.launch = launch
        job.start()
        job.folder.mkdir(parents=True)
        return job, started

    def test_peers_start_when_their_own_server_says_where_it_listens(self):
        job, started = self.losing_job()
        status = job.folder / "status.json"
        for said in (None, {"pid": 1, "endpoint": "tcp://old:1"},
                     {"pid": job.server.pid, "endpoint": None}):
            if said:
                status.write_text(json.dumps(said))
            self.assertIsNone(job.poll())
            self.assertEqual(len(started), 1)
        status.write_text(json.dumps({"pid": job.server.pid,
                                      "endpoint": "tcp://here:2"}))
        self.assertIsNone(job.poll())
        self.assertEqual(len(started), 11)
        for command in started[1:]:
            self.assertIn("tcp://here:2", command)
        job.kill()

    def test_a_server_that_never_listens_is_killed(self):
        job, started = self.losing_job()
        self.assertIsNone(job.poll())
        job.deadline = time.monotonic() - 1
        while job.poll() is None:
            time.sleep(0.01)
        self.assertEqual(job.poll(), -signal.SIGKILL)
        self.assertEqual(len(started), 1)
        self.assertIn("did not listen within", self.log("ten", 1))

    def test_dry_run_prints_commands_and_writes_nothing(self):
        self.define()
        done = self.run_it("--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 4)
        self.assertFalse(self.out.exists())

    def test_ctrl_c_saves_and_the_same_command_goes_on(self):
        self.stop_and_go_on(signal.SIGINT)

    def test_a_closed_terminal_saves_and_the_same_command_goes_on(self):
        self.stop_and_go_on(signal.SIGHUP)

    def stop_and_go_on(self, number):
        self.define(DEFINITION.replace("batch = 10", "fake-wait = true"))
        process = subprocess.Popen(
            self.command("--seeds", "1", "--jobs", "2"), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        ticks = [self.out / arm / "seed-1/stats.jsonl" for arm in ("one",
                                                                   "ten")]
        end = time.monotonic() + 300
        while not all(t.exists() for t in ticks):
            self.assertLess(time.monotonic(), end)
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 130, said)
        self.assertIn("ten/seed-1 stopped at round 50", said)
        done = self.run_it("--seeds", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("one/seed-1 goes on after round 50", done.stderr)


if __name__ == "__main__":
    unittest.main()
