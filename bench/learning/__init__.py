"""Methods, the one training loop, and the structure of a training set."""
