"""What the classifier learns from, and how it comes in."""
