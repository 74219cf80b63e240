"""Small circuits in one compiled call: instructions for a kernel, made from a circuit, and the kernel that runs them."""
