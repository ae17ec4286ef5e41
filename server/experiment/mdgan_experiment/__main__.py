"""Lets `python3 -m mdgan_experiment` start the program."""
import sys

from .cli import main

sys.exit(main())
