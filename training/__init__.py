"""How a checkpoint is made, judged and replaced."""
