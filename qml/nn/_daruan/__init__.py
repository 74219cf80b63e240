"""How activations of data re-uploading circuits are computed: exactly, without simulating states."""
