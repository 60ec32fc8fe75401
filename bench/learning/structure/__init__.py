"""Structure of a training set: clusters, anchors, graphs."""
