"""Functions that the kernel calls: each is compiled into it."""
