"""Costs of encoding: parameters, FLOPs and time, and the machine on which they were measured."""
