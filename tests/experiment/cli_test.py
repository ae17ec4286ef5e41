"""Tests the answers to faulty arguments, a closed pipe and a full disk."""
import os
import signal
import subprocess
import sys
import unittest

import support

BROKEN_PIPE = 128 + signal.SIGPIPE


class ClosedPipe(support.InFolder):
    """Writes into a pipe whose reader, such as `head`, has closed it."""

    def setUp(self):
        super().setUp()
        self.define()
        reader, self.pipe = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, self.pipe)
        # If output is not buffered, argparse of Python 3.12 and later ignores
        # the error itself, and --help ends with 0.
        self.environment = {**os.environ}
        self.environment.pop("PYTHONUNBUFFERED", None)

    def test_a_command_whose_stdout_is_closed_ends_quietly(self):
        for command in ([sys.executable, str(support.PROGRAM), "--help"],
                        self.command("--dry-run"),
                        self.command("--seeds", "1", "--arms", "one")):
            with self.subTest(command=command):
                done = subprocess.run(command, stdout=self.pipe,
                                      stderr=subprocess.PIPE, text=True,
                                      env=self.environment, timeout=300)
                self.assertEqual(done.returncode, BROKEN_PIPE, done.stderr)
                self.assertNotIn("Traceback", done.stderr)
                self.assertNotIn("BrokenPipeError", done.stderr)

    def test_a_command_whose_stderr_is_closed_too_ends_with_the_same_code(self):
        done = subprocess.run(self.command("--arms", "none"),
                              stdout=self.pipe, stderr=self.pipe,
                              env=self.environment, timeout=300)
        self.assertEqual(done.returncode, BROKEN_PIPE)


class FullDisk(support.InFolder):
    def test_output_that_cannot_be_written_is_said_and_no_success(self):
        self.define()
        for command in ([sys.executable, str(support.PROGRAM), "--help"],
                        self.command("--dry-run")):
            with self.subTest(command=command), open("/dev/full", "w") as full:
                environment = {**os.environ}
                environment.pop("PYTHONUNBUFFERED", None)  # as above
                done = subprocess.run(command, stdout=full,
                                      stderr=subprocess.PIPE, text=True,
                                      env=environment, timeout=300)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("cannot write to stdout: No space left on device",
                              done.stderr)
                self.assertNotIn("Traceback", done.stderr)


class Arguments(support.InFolder):
    def test_a_number_that_is_none_is_refused_with_its_flag(self):
        self.define()
        for value in "0", "many":
            with self.subTest(value):
                done = self.run_it("--rounds", value)
                self.assertEqual(done.returncode, 2)
                self.assertIn(f"--rounds: '{value}' is not a whole number",
                              done.stderr)


if __name__ == "__main__":
    unittest.main()
