"""What a program's --help says, in parts: the one source of its manual pages and of
its shell completions."""
import dataclasses
import os
import re
import subprocess

ITEM = re.compile(r"^ {2,4}(\S.*?)(?: {2,}(\S.*))?$")
CONTINUED = re.compile(r"^ {8,}\S")
DEFINED = re.compile(r"^ {2,4}(\S+) {2,}(\S.*)$")
COMMAND = re.compile(r"^ {2,4}([a-z][a-z-]*) {2,}(\S.*)$", re.M)


@dataclasses.dataclass
class Option:
    """`--size HxW`, or what stands in an option's place without a dash."""
    flags: list  # "-h", "--help"; empty for an argument by place
    placeholder: str
    help: str

    def values(self):
        """The words that the option takes, if the help counts them up."""
        listed = re.search(r"\[one of ([^;\]]+)", self.help)
        if listed:
            return listed[1].split(", ")
        return ["true", "false"] if self.placeholder == "BOOL" else []

    def summary(self):
        """The first sentence without what is in brackets."""
        text = re.sub(r"\s*\[.*", "", self.help)
        return re.split(r"(?<=[a-z)])[.:;] ", text)[0].rstrip(".")


@dataclasses.dataclass
class Help:
    usage: list  # lines
    before: list  # lines of text above the options
    groups: list  # (title, [Option])
    after: list  # lines of text below them

    def options(self):
        return [option for _, options in self.groups for option in options
                if option.flags]

    def arguments(self):
        """The placeholders of the usage that are not an option's."""
        line = re.sub(r"\[?--?\S+ [^\]]*\]|\[--?\S+\]", "", self.usage[0])
        return [word for word in re.findall(r"[A-Z]{2,}", line)
                if word != "COMMAND"]


def run_help(command):
    """The text of `COMMAND --help`; fails with what the program said."""
    environment = {**os.environ, "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
    run = subprocess.run([*command, "--help"], env=environment,
                         capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(command)} --help ended with "
                         f"{run.returncode}: {run.stderr}")
    return run.stdout


def commands_of(text, name):
    """{command: what it does, or ''}, by the list in the program's own help or by
    its usage."""
    found = {word: "" for word in
             re.findall(rf"^(?:Usage:|\s+) ?{name} ([a-z]+)\b", text, re.M)}
    found.update(COMMAND.findall(text))
    return found


def option_of(signature, text):
    flags = re.findall(r"(?:^|(?<=, ))(--?[\w-]+)", signature)
    placeholder = signature
    if flags:
        placeholder = signature.rpartition(flags[-1])[2].strip()
    return Option(flags, placeholder, text)


def begins_options(lines, at):
    return (re.match(r"\S", lines[at]) and at + 1 < len(lines)
            and (re.match(r"  -", lines[at + 1])
                 or lines[at].startswith("positional")))


def read_options(lines, at):
    """The options from line `at` on, and the line after them."""
    options = []
    while at < len(lines) and lines[at]:
        if CONTINUED.match(lines[at]) and options:
            options[-1][1].append(lines[at].strip())
        else:
            signature, text = ITEM.match(lines[at]).groups()
            options.append((signature, [text] if text else []))
        at += 1
    return [option_of(signature, " ".join(text)) for signature, text in options], at


def parse(text):
    lines = text.rstrip("\n").split("\n")
    help_ = Help([], [], [], [])
    at = 0
    while at < len(lines):
        if re.match(r"[Uu]sage: ", lines[at]) and not help_.usage:
            help_.usage.append(lines[at][7:])
            while at + 1 < len(lines) and re.match(r" {6}", lines[at + 1]):
                at += 1
                help_.usage.append(lines[at].strip())
            at += 1
        elif begins_options(lines, at):
            title = lines[at].rstrip(":")
            options, at = read_options(lines, at + 1)
            help_.groups.append((title, options))
        else:
            (help_.after if help_.groups else help_.before).append(lines[at])
            at += 1
    return help_
