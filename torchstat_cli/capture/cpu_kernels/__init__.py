"""What the CPU's kernels hold below the dispatcher: copies in layouts of their own, columns, gates."""
