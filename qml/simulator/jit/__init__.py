"""Small circuits in one compiled call: the instructions for a kernel, and the kernel that runs them."""
