"""The study "Better than classical?" (arXiv:2403.07059): its models, grids, protocol and published numbers."""
