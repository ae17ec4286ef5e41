"""What a mutant is."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    row: object  # of tests/FAULTS.md, or 'keys', 'members' or 'evaluations'
    removes: str  # what is wrong with the code then, as a sentence
    file: str
    before: str  # stands once in the file
    after: str
    tests: list  # those of which one has to fail

    def __str__(self):
        return f"{self.row}: {self.removes}"
