"""Doing the runs of a sweep: who does which, in which process, within what limits, and what a person sees of it."""
