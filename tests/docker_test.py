"""docker/ is sound as far as that can be told without a container engine.

  docker_test.py REPOSITORY PRINTER

Dockerfiles, what they copy, volumes and services that are named are there, and the
options of the commands are the programs' (PRINTER says what their --help does). Where
there is docker-compose or promtool, it reads its file. Skipped without python3-yaml.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("no python3-yaml here: skipped")
    sys.exit(77)

PROGRAMS = {"mdgan-start-server": ("mdgan-server", "train"),
            "mdgan-peer-with-shard": ("mdgan-peer",)}


def missing_copies(root, dockerfile):
    """What a Dockerfile copies and the repository has not."""
    for line in dockerfile.read_text("utf-8").replace("\\\n", " ").splitlines():
        words = line.split()
        if words[:1] != ["COPY"] or words[1].startswith("--from"):
            continue
        for source in words[1:-1]:
            if not (root / source).exists():
                yield f"{dockerfile.name} copies {source}, which is not there"


def lacks(root, dockerfile):
    """What the build takes from the repository, and a Dockerfile does not copy."""
    text = dockerfile.read_text("utf-8")
    build = (root / "CMakeLists.txt").read_text("utf-8").split("if(MDGAN_BUILD_TESTS)")
    for name in sorted(set(re.findall(r"[\w.]+", build[0] + build[-1]))):
        if re.fullmatch(r"[A-Z]+(\.md)?|[a-z]+", name) and (root / name).exists() \
                and name not in ("build", "docker", "docs", "tests") \
                and not re.search(rf"^COPY (.* )?{name} ", text, re.M):
            yield f"{dockerfile.name} does without {name}, which the build takes"


def unknown_options(service, command, printer):
    program = PROGRAMS.get(command[0])
    if program is None:
        yield f"{service} starts {command[0]}, which no image has"
        return
    known = subprocess.run([printer, *program, "--help"], check=True,
                           capture_output=True, text=True).stdout
    for option in command[1:]:
        flag = option.partition("=")[0]
        if not re.search(rf"(?<![\w-]){flag}(?![\w-])", known):
            yield f"{service} gives {flag}, which {' '.join(program)} has not"


def faults(root, printer):
    folder = root / "docker"
    for dockerfile in sorted(folder.glob("Dockerfile*")):
        yield from missing_copies(root, dockerfile)
        if "cmake --install" in dockerfile.read_text("utf-8"):
            yield from lacks(root, dockerfile)
    file = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))
    if "name" in file or "version" in file:
        yield "Compose 1.29 takes no name, and Compose 2 no version"
    for name, service in file["services"].items():
        dockerfile = root / service["build"]["dockerfile"]
        if not dockerfile.exists():
            yield f"{name}: {dockerfile} is not there"
            continue
        for volume in service["volumes"]:
            if volume.split(":")[0] not in file["volumes"]:
                yield f"{name}: the volume {volume} is not declared"
        for other in service.get("depends_on", []):
            if other not in file["services"]:
                yield f"{name} depends on {other}, which is no service"
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                yield f"{name}: other machines reach {port}"
        if "command" in service:
            yield from unknown_options(name, service["command"], printer)


def read_by(command, *arguments):
    """What a program that is here finds wrong with a file that it reads."""
    if shutil.which(command) is None:
        return
    run = subprocess.run([command, *arguments], capture_output=True, text=True)
    if run.returncode != 0:
        yield f"{command}: {run.stdout}{run.stderr}"


def main(root, printer):
    found = list(faults(root, printer))
    found += read_by("docker-compose", "-f", root / "docker/compose.yaml",
                     "--profile", "prometheus", "config")
    scraped = (root / "docker/prometheus.yml").read_text("utf-8")
    with tempfile.TemporaryDirectory() as made:
        token = pathlib.Path(made, "token")
        token.write_text("a token\n")
        config = pathlib.Path(made, "prometheus.yml")
        config.write_text(scraped.replace("/work/runs/page.token", str(token)))
        found += read_by("promtool", "check", "config", config)
    print("\n".join(found) or "docker/ is sound")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]))
