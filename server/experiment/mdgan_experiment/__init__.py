"""mdgan-experiment: trains several arms of an experiment and compares them."""
