"""What encoding costs: parameters, FLOPs, time, and the machine they were measured on."""
