"""Adaptive optimizers: AdaGrad, RMSProp, Adam and its variants."""
