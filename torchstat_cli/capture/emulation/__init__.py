"""Functions of torch, replaced for the length of a run, so that meta stands for a real device."""
