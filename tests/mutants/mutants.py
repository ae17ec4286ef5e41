"""All mutants, by the rows of tests/FAULTS.md; then keys, hostile members, and evaluations
by peers."""
import evaluations
import keys_and_members
import rows_1_13
import rows_14_27
import rows_28_37
import rows_38_50

ALL = [*rows_1_13.MUTANTS, *rows_14_27.MUTANTS, *rows_28_37.MUTANTS,
       *rows_38_50.MUTANTS, *keys_and_members.MUTANTS, *evaluations.MUTANTS]
