"""Makes manual pages and shell completions of what the programs' --help says.

  make_manual.py --out FOLDER --changelog FILE
                 --tables PRINTER NAME... --programs PROGRAM...

The newest entry of the changelog, a Debian one, gives version and date. `PRINTER NAME
...` says what the program NAME would. FOLDER gets man/, with a page for
each program and for each of its commands, bash/ and zsh/. What was in them is removed.
"""
import argparse
import email.utils
import gzip
import pathlib
import re
import shutil
import textwrap

import completions
import help_text


def escaped(text):
    """`text` for roff; what stands in backticks becomes bold."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    text = text.replace("'", r"\(aq").replace("`", r"\(ga")
    return r"\&" + text if text.startswith(".") else text


def filled(text):
    """`text` for roff, in lines that are not too long."""
    lines = textwrap.wrap(escaped(text), 78, break_long_words=False,
                          break_on_hyphens=False)
    return [r"\&" + line if line.startswith(".") else line for line in lines]


def paragraphs(lines):
    """Lists of lines between blank ones, an indented line apart from one that is
    not."""
    block = []
    for line in lines + [""]:
        if block and (not line or line.startswith(" ") != block[-1].startswith(" ")):
            yield block
            block = []
        if line:
            block.append(line)


def roff_text(lines):
    """Text: a list of definitions, commands to type, or sentences."""
    out = []
    for block in paragraphs(lines):
        if all(help_text.DEFINED.match(line) for line in block):
            for line in block:
                term, text = help_text.DEFINED.match(line).groups()
                out += [".TP", rf"\fB{escaped(term)}\fR", *filled(text)]
        elif block[0].startswith(" "):
            out += [".PP", ".nf", *map(escaped, block), ".fi"]
        elif block == ["Examples"] or block == ["Example"]:
            out.append(".SH EXAMPLES")
        elif block[0].startswith("Examples: "):
            out += [".SH EXAMPLES", *filled(block[0][10:])]
        elif block[0].startswith("Exit code"):
            out += [".SH EXIT STATUS", *filled(" ".join(block))]
        else:
            out += [".PP", *filled(" ".join(block))]
    return out


def roff_options(groups):
    out = []
    for title, options in groups:
        if not out:
            out.append(".SH OPTIONS")
        out.append(f'.SS "{escaped(title)}"')
        for option in options:
            names = ", ".join(rf"\fB{escaped(flag)}\fR" for flag in option.flags)
            place = rf"\fI{escaped(option.placeholder)}\fR" * bool(option.placeholder)
            out += [".TP", " ".join(filter(None, [names, place])),
                    *filled(option.help)]
    return out


def without_empty_sections(lines):
    """A paragraph's macro right after a heading is one too many."""
    kept = []
    for line in lines:
        if line == ".PP" and kept and kept[-1].startswith((".SH", ".SS")):
            continue
        kept.append(line)
    return kept


def page(name, summary, help_, others, version, date):
    lines = [rf'.TH {name.upper()} 1 "{date}" "MD\-GAN {version}" "User Commands"',
             ".SH NAME", rf"{escaped(name)} \-", *filled(summary),
             ".SH SYNOPSIS"]
    for usage in help_.usage:
        lines += [*filled(usage), ".br"]
    lines.pop()
    lines += [".SH DESCRIPTION", *roff_text(help_.before),
              *roff_options(help_.groups), *roff_text(help_.after)]
    lines += [".SH SEE ALSO",
              ",\n".join(rf"\fB{escaped(other)}\fR(1)" for other in others)]
    return "\n".join(without_empty_sections(lines)) + "\n"


def version_and_date(changelog):
    text = changelog.read_text(encoding="utf-8")
    date = re.search(r"^ -- .*?>  (.*)$", text, re.M)[1]
    return (re.search(r"\((.*?)\)", text)[1],
            email.utils.parsedate_to_datetime(date).date().isoformat())


def first_sentence(help_):
    text = " ".join(next(paragraphs(help_.before)))
    text = re.split(r"[.:,;](?: |$)", text)[0]
    return text[0].lower() + text[1:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--changelog", type=pathlib.Path, required=True)
    parser.add_argument("--tables", nargs="+", default=[])
    parser.add_argument("--programs", nargs="+", default=[])
    options = parser.parse_args()
    for folder in ("man", "bash", "zsh"):
        shutil.rmtree(options.out / folder, ignore_errors=True)
        (options.out / folder).mkdir(parents=True)
    version, date = version_and_date(options.changelog)
    programs = {name: [options.tables[0], name] for name in options.tables[1:]}
    programs.update({pathlib.Path(program).name: [program]
                     for program in options.programs})
    for name, program in programs.items():
        text = help_text.run_help(program)
        summaries = help_text.commands_of(text, name)
        helps = {"": help_text.parse(text)}
        for command in summaries:
            helps[command] = help_text.parse(help_text.run_help([*program, command]))
        pages = {command: f"{name}-{command}".rstrip("-") for command in helps}
        for command, help_ in helps.items():
            summary = summaries.get(command) or first_sentence(help_)
            summary = re.sub(rf"^{name} ", "", summary)
            others = [other for other in [*pages.values(), *programs]
                      if other != pages[command]]
            written = page(pages[command], summary, help_,
                           list(dict.fromkeys(others)), version, date)
            with gzip.GzipFile(options.out / f"man/{pages[command]}.1.gz", "wb",
                               mtime=0) as file:
                file.write(written.encode())
        (options.out / "bash" / name).write_text(
            completions.bash(name, helps), encoding="utf-8")
        (options.out / "zsh" / f"_{name}").write_text(
            completions.zsh(name, helps, summaries), encoding="utf-8")


if __name__ == "__main__":
    main()
