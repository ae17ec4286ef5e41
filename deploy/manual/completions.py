"""Completions for bash and zsh of a program's commands, options and their values."""

# Taken as words: file names come from the shell.
FILES = ("FILE", "DIR", "RUN", "FOLDER")


def with_help(options):
    """Every command has --help, which not every help says."""
    flags = [flag for option in options for flag in option.flags]
    return flags if "--help" in flags else [*flags, "--help"]


def bash(name, helps):
    function = "_" + name.replace("-", "_")
    lines = [
        f"# Completion of {name} for bash, made from its --help.",
        "_mdgan_folders() {",
        "  compopt -o filenames 2> /dev/null",
        '  COMPREPLY=($(compgen -d -- "$word"))',
        "}",
        f"{function}() {{",
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}",
        "  # Bash takes --key=value for three words.",
        "  [[ $word != = ]] || word=",
        "  [[ $before != = ]] || before=${COMP_WORDS[COMP_CWORD-2]}",
        "  local command=${COMP_WORDS[1]} words=",
        "  if ((COMP_CWORD == 1)); then command=; fi",
        "  COMPREPLY=()",
        "  case $command,$before in",
    ]
    for command, help_ in helps.items():
        for option in help_.options():
            # An option of the program itself follows no command.
            of = command or "*"
            if option.values():
                done = f'words="{" ".join(option.values())}"'
            elif option.placeholder == "DIR":
                done = "_mdgan_folders; return"
            elif option.placeholder:
                done = "return"
            else:
                continue
            names = "|".join(f"{of},{flag}" for flag in option.flags)
            lines.append(f"    {names}) {done} ;;")
    lines += ["  esac", "  if [[ -z $words ]]; then case $command in"]
    for command, help_ in list(helps.items())[1:]:
        lines.append(
            f'    {command}) words="{" ".join(with_help(help_.options()))}" ;;')
    top = with_help(helps[""].options())
    if "--version" not in top and "experiment" not in name:
        top.append("--version")
    commands = list(helps)[1:]
    lines += [
        f'    "") words="{" ".join(commands + top)}" ;;',
        f'    *) words="{" ".join(top)}" ;;',
        "  esac; fi",
        '  # An argument that is none of these is a file, by "-o default".',
        '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "}",
        f"complete -o bashdefault -o default -F {function} {name}",
    ]
    return "\n".join(lines) + "\n"


def zsh_quoted(text):
    for special in "\\[]:`$\"":
        text = text.replace(special, "\\" + special)
    return text.replace("'", "'\\''")


def zsh_option(option):
    for flag in option.flags:
        text = f"'{flag}[{zsh_quoted(option.summary())}]"
        if option.placeholder:
            values = option.values()
            place = zsh_quoted(option.placeholder)
            how = (f"({' '.join(values)})" if values
                   else "_files -/" if option.placeholder == "DIR"
                   else "_files" if option.placeholder in FILES else " ")
            text += f":{place}:{how}"
        yield text + "'"


def zsh(name, helps, summaries):
    function = "_" + name
    lines = [f"#compdef {name}", f"# Completion of {name} for zsh, made from its "
             "--help.", f"{function}() {{", "  local -a commands",
             "  commands=("]
    lines += [f"    '{command}:{zsh_quoted(text or command)}'"
              for command, text in summaries.items()]
    lines += ["  )", "  local command=${words[2]}",
              "  if ((CURRENT == 2)) && [[ $command != -* ]]; then",
              "    _describe command commands", "    return", "  fi",
              "  case $command in"]
    for command, help_ in [*list(helps.items())[1:], ("*", helps[""])]:
        lines.append(f"    {command})")
        if command != "*":
            lines.append("      words=(${words[1]} ${words[3,-1]}); "
                         "((CURRENT -= 1))")
        options = [text for option in help_.options() for text in zsh_option(option)]
        if "--help" not in with_help(help_.options())[:-1]:
            options.append("'--help[show what this command can do]'")
        if command == "*" and name != "mdgan-experiment":
            options.append("'--version[the version, and the libraries in use]'")
        options.append("'*:file:_files'")
        lines.append("      _arguments \\")
        lines.append(" \\\n".join(f"        {text}" for text in options))
        lines.append("      ;;")
    lines += ["  esac", "}", f'{function} "$@"']
    return "\n".join(lines) + "\n"
