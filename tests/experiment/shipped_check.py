"""Lets mdgan-server read the options of every arm of configs/experiments.

  shipped_check.py FOLDER_OF_MDGAN_SERVER
"""
import pathlib
import sys
import tempfile

import support
import definition
import jobs


def main(programs):
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        files = (support.ROOT / "configs/experiments").glob("*.ini")
        for file in sorted(files):
            experiment = definition.read(file)
            for arm in experiment.arms:
                job = jobs.make(experiment, arm, 1, folder,
                                pathlib.Path(folder), programs)
                try:
                    jobs.check(job)
                except definition.Refused as refused:
                    print(refused)
                    faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
