"""Structure of a training set: anchors, the anchor graph, similar and dissimilar pairs; never an N×N array."""
