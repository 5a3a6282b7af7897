"""A cheap look at whether a text can be English at all: the labels were made for English."""

LATIN_END = "\u0250"
"""First code point behind the Latin letters of European languages."""


def is_foreign_script(text: str) -> bool:
    """Whether most letters are of another script than Latin. French passes: this is a look, no detector."""
    if text.isascii():
        return False
    letters = [character for character in text if character.isalpha()]
    return 2 * sum(character >= LATIN_END for character in letters) > len(letters)
