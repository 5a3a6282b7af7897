"""How the classifier is used: over HTTP, over a corpus, from the command line."""
