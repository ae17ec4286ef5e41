"""Every row of FAULTS.md has tests, and each of them exists.

  faults_test.py REPOSITORY

Known are the cases of the C++ tests, by their names, the functions test_* of the
Python tests, and what tests/CMakeLists.txt adds by a name. A test that is named after a row ("fault 41: ...") must stand in it.
"""
import pathlib
import re
import sys

ROWS = 50

ROW = re.compile(r"\| (\d+) \| (.+) \| (.+) \| (.+) \|")
LITERAL = r'"((?:[^"\\]|\\.)*)"'
CASE = re.compile(rf"TEST_CASE\(\s*((?:{LITERAL}\s*)+)")


def names_in_sources(tests):
    names = set()
    for file in tests.rglob("*.cc"):
        for case in CASE.finditer(file.read_text(encoding="utf-8")):
            name = "".join(re.findall(LITERAL, case[1]))
            names.add(name.replace('\\"', '"'))
    for file in tests.rglob("*.py"):
        names.update(re.findall(r"def (test_\w+)",
                                file.read_text(encoding="utf-8")))
    names.update(re.findall(r'add_test\(NAME "([^"]+)"', (
        tests / "CMakeLists.txt").read_text(encoding="utf-8")))
    return names


def faults_of(tests, known):
    """What is wrong with a row of the table."""
    named = re.findall(r"`([^`]+)`", tests)
    if not named:
        yield "names no test"
    for name in named:
        if name not in known:
            yield f"there is no test '{name}'"


def main(root):
    known = names_in_sources(root / "tests")
    faults = []
    rows = {}
    for line in (root / "tests/FAULTS.md").read_text("utf-8").splitlines():
        if row := ROW.fullmatch(line):
            if int(row[1]) in rows:
                faults.append(f"row {row[1]} stands there twice")
            rows[int(row[1])] = row[4]
    if list(rows) != list(range(1, ROWS + 1)):
        faults.append(f"the rows are not 1 to {ROWS} in this order: {[*rows]}")
    for number, tests in rows.items():
        faults += [f"row {number} {fault}"
                   for fault in faults_of(tests, known)]
    for name in sorted(known):
        prefix = re.match(r"fault \d+(, fault \d+)*: ", name)
        for number in re.findall(r"\d+", prefix[0]) if prefix else ():
            if f"`{name}`" not in rows.get(int(number), ""):
                faults.append(f"row {number} lacks the test '{name}'")
    if len(known) < 200:
        faults.append(f"only {len(known)} tests found: is the search at fault?")
    print("\n".join(faults) or f"{len(rows)} rows, {len(known)} tests, all there")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
