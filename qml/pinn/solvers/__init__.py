"""Ways to a solution beside the training of one network on one problem."""
