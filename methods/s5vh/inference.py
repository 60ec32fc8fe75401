"""placeholder"""
from torch import nn
class InferenceS5vh(nn.Module):
    pass
