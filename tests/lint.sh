#!/usr/bin/env bash
# Checks the sources without running them: clang-format on all of them, and
# clang-tidy on those that changed since a commit.
set -euo pipefail

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'TEXT'
Usage: tests/lint.sh BUILD_DIR [COMMIT]

Formats: every C++ source must be as clang-format leaves it.
Tidy: clang-tidy reads what changed since COMMIT (see git-diff) and can be read
without LibTorch; without COMMIT, everything, but not by clang-tidy's analyzer,
which takes as long as all its other checks. BUILD_DIR is a configured build
folder in which each source is compiled by itself, such as
  cmake --preset release -B build/lint -DCMAKE_UNITY_BUILD=OFF
makes; its compile_commands.json says how. Ends with 1 and the findings if there
are any.
TEXT
  exit 0
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
build_directory=${1:?the build folder; tests/lint.sh --help explains}
since=${2:-}

echo "clang-format: all sources"
git ls-files '*.h' '*.cc' | xargs clang-format --dry-run --Werror

if [[ -n $since ]] && ! git rev-parse -q --verify "$since^{commit}" >/dev/null; then
  echo "lint.sh: there is no commit $since; clang-tidy reads everything"
  since=
fi
if [[ -n $since ]]; then
  mapfile -t changed < <(git diff --name-only --diff-filter=d "$since" -- '*.cc')
else
  mapfile -t changed < <(git ls-files '*.cc')
fi

# clang 14 cannot read LibTorch 1.13's headers in C++20 mode: sources that
# include them, however indirectly, are left out. Tests are, too: Catch2's
# macros expand to what clang-tidy complains about.
mapfile -t readable < <(python3 - "$build_directory" "${changed[@]}" <<'PYTHON'
import json, os, sys

directory, changed = sys.argv[1], set(sys.argv[2:])
with open(os.path.join(directory, "compile_commands.json")) as file:
    for entry in json.load(file):
        path = os.path.relpath(entry["file"])
        if path in changed and not path.startswith("tests/"):
            if "/torch/" not in entry["command"]:
                print(path)
PYTHON
)
echo "clang-tidy: ${#readable[@]} of ${#changed[@]} changed sources" \
  "(the others include LibTorch or are tests)"
analyzer=()
[[ -n $since ]] || analyzer=('--checks=-clang-analyzer-*')
if ((${#readable[@]})); then
  printf '%s\0' "${readable[@]}" |
    xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet --warnings-as-errors='*' \
      "${analyzer[@]}" -p "$build_directory" 2> >(grep -v 'warnings generated' >&2)
fi
