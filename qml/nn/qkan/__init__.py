"""Kolmogorov-Arnold networks whose activations are data re-uploading circuits."""
