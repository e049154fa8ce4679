"""A run of training: its folder, its log and its curves."""
