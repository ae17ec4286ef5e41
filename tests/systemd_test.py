"""systemd finds nothing wrong with the units, and little that they may do in vain.

  systemd_test.py FOLDER_OF_UNITS BINDIR

Skipped where there is no systemd-analyze. The programs need not be installed: true(1)
takes their places.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
MOST_EXPOSURE = 20  # tenths of what `systemd-analyze security` says: 1.8 today
UNITS = {"mdgan-server.service": "mdgan-server.service",
         "mdgan-peer@.service": "mdgan-peer@hospital-a.service"}


def main(folder, bindir):
    if shutil.which("systemd-analyze") is None:
        print("no systemd-analyze here: skipped")
        return SKIPPED
    faults = []
    with tempfile.TemporaryDirectory() as made:
        for unit, instance in UNITS.items():
            text = (folder / unit).read_text(encoding="utf-8")
            program = f"{bindir}/{unit.split('.')[0].rstrip('@')}"
            if f"ExecStart={program} " not in text:
                faults.append(f"{unit} does not start {program}")
            # libzmq aborts without the last one.
            families = re.search(r"RestrictAddressFamilies=(.*)", text)[1].split()
            for family in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"):
                if family not in families:
                    faults.append(f"{unit} does without {family}")
            if re.search(r"@[A-Z_]+@", text):
                faults.append(f"{unit}: a variable is not filled in")
            text = text.replace(program, shutil.which("true"))
            path = pathlib.Path(made, instance)
            path.write_text(text, encoding="utf-8")
            checked = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", str(path)],
                capture_output=True, text=True)
            said = [line for line in (checked.stdout + checked.stderr).splitlines()
                    if "mdgan" in line]
            if checked.returncode != 0 or said:
                faults.append(f"{unit}: {checked.returncode}, "
                              + (checked.stdout + checked.stderr))
            exposed = subprocess.run(
                ["systemd-analyze", "security", "--offline=true", "--no-pager",
                 f"--threshold={MOST_EXPOSURE}", str(path)],
                capture_output=True, text=True)
            if exposed.returncode != 0:
                faults.append(f"{unit}: {exposed.stdout}{exposed.stderr}")
    print("\n".join(faults) or "both units are as systemd wants them")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]))
