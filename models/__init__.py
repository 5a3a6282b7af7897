"""What a prediction is, and the network that makes it."""
