"""Trunks: networks from coordinates to fields, which take tensors and jets."""
