"""Manual pages and completions have every command and option of the programs.

  manual_test.py FOLDER_OF_PROGRAMS FOLDER_MADE PRINTER

FOLDER_MADE has man/, bash/ and zsh/. PRINTER says what each command's --help does,
without LibTorch; that it says the same is checked once for each program. Where there
is no man, mandoc, bash or zsh, what it would check is left out.
"""
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Where a program's own help has its commands, and how many there are at least.
COMMANDS = {
    "mdgan-server": (r"^  ([a-z]+) +\S", 10),
    "mdgan-peer": (r"^       mdgan-peer ([a-z]+)", 3),
    "mdgan-experiment": (r"^    ([a-z]+) +\S", 5),
}
ENVIRONMENT = {**os.environ, "COLUMNS": "80", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"}
FLAG = re.compile(r"^  (?:-\w, )?(--[\w-]+)", re.M)


def output_of(command, **more):
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True,
                         **more)
    if run.returncode != 0 or run.stderr:
        raise SystemExit(f"{command} gave {run.returncode}: {run.stderr}")
    return run.stdout


def bold_of(page):
    """What a page shows in bold, as flags are."""
    return {text.replace(r"\-", "-")
            for text in re.findall(r"\\fB(.*?)\\fR", page)}


def complaints(folder, made):
    """What man and mandoc say against the pages, unpacked into the folder."""
    said = ""
    for file in sorted((made / "man").iterdir()):
        pathlib.Path(folder, file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    pages = sorted(pathlib.Path(folder).iterdir())
    if shutil.which("man"):
        said += subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", *pages],
            env={**ENVIRONMENT, "MANWIDTH": "80"}, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True).stderr
    if shutil.which("mandoc"):
        said += subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages],
                               capture_output=True, text=True).stdout
    return said.replace(f"{folder}/", "")


def completed(script, program, *words):
    """What bash offers for the last word."""
    return output_of(
        ["bash", "-c", 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
         '"_${1//-/_}"; printf "%s\\n" "${COMPREPLY[@]}"',
         script, program, *words]).split()


def check(program, helps, made):
    script = made / "bash" / program
    offered = completed(script, program, "")
    zsh = (made / "zsh" / f"_{program}").read_text(encoding="utf-8")
    for command, text in helps.items():
        file = made / "man" / f"{program}-{command}.1.gz".replace("-.", ".")
        page = gzip.decompress(file.read_bytes()).decode()
        flags = FLAG.findall(text)
        for flag in sorted(set(flags) - bold_of(page)):
            yield f"{file.name} is without {flag}"
        if command and command not in offered:
            yield f"bash does not offer {program} {command}"
        words = [*filter(None, [command]), "--"]
        for flag in sorted(set([*flags, "--help"])
                           - set(completed(script, program, *words))):
            yield f"bash does not offer {program} {command} {flag}"
        part = zsh if not command else zsh.partition(f"\n    {command})")[2]
        part = part.partition("\n      ;;")[0] if command else part
        for flag in [*flags, "--help"]:
            if f"'{flag}[" not in part:
                yield f"zsh does not offer {program} {command} {flag}"
    if shutil.which("zsh"):
        output_of(["zsh", "-n", made / "zsh" / f"_{program}"])


def main(programs, made, printer):
    faults = []
    for program, (pattern, least) in COMMANDS.items():
        own = [programs / program]
        quick = own if program == "mdgan-experiment" else [printer, program]
        helps = {"": output_of([*own, "--help"])}
        commands = re.findall(pattern, helps[""], re.M)
        helps.update({command: output_of([*quick, command, "--help"])
                      for command in commands})
        if len(commands) < least:
            faults.append(f"{program} has {commands}: is the search at fault?")
        if output_of([*quick, "--help"]) != helps[""]:
            faults.append(f"{printer} does not say what {program} --help does")
        faults += check(program, helps, made)
        if program == "mdgan-server" and len(FLAG.findall(helps["train"])) < 50:
            faults.append("train has few options: is the search at fault?")
    with tempfile.TemporaryDirectory() as folder:
        faults += complaints(folder, made).splitlines()
    script = made / "bash/mdgan-server"
    for words, expected in ((["train", "--fit", ""], ["error", "crop", "pad"]),
                            (["train", "--fit", "=", "c"], ["crop"]),
                            (["train", "--replay", "t"], ["true"]),
                            (["st"], ["status", "stop"])):
        if completed(script, "mdgan-server", *words) != expected:
            faults.append(f"bash offers {completed(script, 'mdgan-server', *words)} "
                          f"for {words}, not {expected}")
    print("\n".join(faults) or "every command and option is there")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:])))
