"""`cpack -G DEB` makes packages with which lintian finds no fault.

  packages_test.py BUILD_DIR

Skipped where there is no dpkg-shlibdeps; without lintian its part is left out.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
# What each package has, and what it needs.
PACKAGES = {
    "mdgan-server": (("usr/bin/mdgan-server", "etc/mdgan/server.ini",
                      "usr/lib/systemd/system/mdgan-server.service",
                      "usr/lib/sysusers.d/mdgan-server.conf",
                      "usr/share/doc/mdgan/docs/operations.md"),
                     ("libtorch", "systemd-sysusers", "libzmq5")),
    "mdgan-peer": (("usr/bin/mdgan-peer", "etc/mdgan/",
                    "usr/lib/systemd/system/mdgan-peer@.service",
                    "usr/lib/sysusers.d/mdgan-peer.conf"),
                   ("libtorch", "systemd-sysusers", "libzmq5")),
    "mdgan-experiment": (("usr/bin/mdgan-experiment",), ("python3", "mdgan-server")),
    "libmdgan-protocol-dev": (("usr/include/mdgan/protocol/codec.h",
                               "usr/share/doc/libmdgan-protocol-dev/PROTOCOL.md"),
                              ()),
}


def output_of(*command):
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{command} gave {run.returncode}: {run.stdout}{run.stderr}")
    return run.stdout


def check(name, file):
    files, needs = PACKAGES[name]
    listed = output_of("dpkg-deb", "-c", file)
    for path in (*files, f"usr/share/doc/{name}/copyright",
                 f"usr/share/doc/{name}/changelog.gz"):
        if not re.search(rf" \./{re.escape(path)}( -> .*)?$", listed, re.M):
            yield f"{file.name} is without {path}"
    if "MD-GAN: " in output_of("dpkg-deb", "-f", file, "Description"):
        yield f"{file.name} is described as the whole project"
    depends = output_of("dpkg-deb", "-f", file, "Depends")
    for need in needs:
        if need not in depends:
            yield f"{file.name} needs '{depends}', and not {need}"
    if "usr/local" in listed:
        yield f"{file.name} has files in /usr/local"
    if "usr/lib/systemd" in listed:
        with tempfile.TemporaryDirectory() as folder:
            output_of("dpkg-deb", "-x", file, folder)
            output_of("dpkg-deb", "-e", file, f"{folder}/control")
            for script in ("postinst", "prerm"):
                text = pathlib.Path(folder, "control", script).read_text()
                if not re.search(rf"systemctl [a-z-]+ '{name}\S*\.service'", text):
                    yield f"{file.name}: {script} names no unit"
            unit, = pathlib.Path(folder).glob("usr/lib/systemd/system/*")
            if f"ExecStart=/usr/bin/{name} " not in unit.read_text():
                yield f"{file.name}: {unit.name} does not start /usr/bin/{name}"
    if shutil.which("lintian"):
        said = subprocess.run(["lintian", "--fail-on", "error", "--allow-root", file],
                              capture_output=True, text=True)
        if said.returncode != 0:
            yield f"lintian: {said.stdout}"


def main(build):
    if shutil.which("dpkg-shlibdeps") is None:
        print("no dpkg-shlibdeps here: skipped")
        return SKIPPED
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        output_of("cpack", "-G", "DEB", "--config", str(build / "CPackConfig.cmake"),
                  "-B", folder)
        made = {file.name.split("_")[0]: file
                for file in pathlib.Path(folder).glob("*.deb")}
        for name in PACKAGES:
            if name in made:
                faults += check(name, made[name])
            else:
                faults.append(f"there is no package {name}: {sorted(made)}")
    print("\n".join(faults) or "the packages are as they should be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
