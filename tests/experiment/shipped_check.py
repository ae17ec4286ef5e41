"""Lets mdgan-server check the options of every arm in configs/experiments, and
train one round on each data set that mdgan-experiment makes.

  shipped_check.py FOLDER_OF_MDGAN_SERVER MDGAN_CHECK_OPTIONS
"""
import dataclasses
import pathlib
import sys
import tempfile

import support
from mdgan_experiment import definition, jobs, toys


def train_a_round(experiment, arm, folder, programs):
    """Returns the server's log if it failed, else ''."""
    one = dataclasses.replace(experiment, rounds=1)
    data = toys.make(arm.data, folder / "data" / arm.data)
    job = jobs.make(one, arm, 1, folder / arm.data, data, programs)
    job.start()
    return "" if job.server.wait() == 0 else job.log.read_text()


def main(programs, check_options):
    faults = []
    tried = set()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        checkers = folder / "programs"
        checkers.mkdir()
        (checkers / "mdgan-server").symlink_to(check_options)
        files = (support.ROOT / "configs/experiments").glob("*.ini")
        for file in sorted(files):
            experiment = definition.read(file)
            for arm in experiment.arms:
                job = jobs.make(experiment, arm, 1, folder, folder, checkers)
                try:
                    jobs.check(job)
                except definition.Refused as refused:
                    faults.append(str(refused))
                if arm.data in {*toys.MADE} - tried:
                    tried.add(arm.data)
                    faults.append(train_a_round(experiment, arm, folder,
                                                programs))
    if tried != {*toys.MADE}:
        faults.append(f"no experiment has one of {toys.MADE}")
    print("\n".join(filter(None, faults)))
    return 1 if any(faults) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
