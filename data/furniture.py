"""What stands on a news page and is no prose: captions, credits, "Read more", share and advertisement lines."""

import re

FURNITURE_UP_TO = 400
"""A longer line is prose, whatever it begins with."""

_MORE = (
    r"(?:read|see|watch|listen|learn|find out)\s+(?:more|also|next|now|here)\s*(?:[:|>»→].{0,120})?",
    r"keep reading|(?:click|tap) here\b.{0,80}",
    r"(?:related|recommended|popular|trending|most (?:read|viewed|popular)|also read|up next|don[’']t miss)"
    r"(?: (?:articles?|stor(?:y|ies)|coverage|content|news|topics?|tags?|links?|reading|videos?))?"
    r"\s*(?:[:|].{0,120})?",
    r"you (?:may|might) (?:also )?(?:like|be interested in)\b.{0,80}",
    r"editor[’']?s[’']? (?:picks?|choice)",
    r"(?:skip|jump|back) to (?:main |the )?(?:content|navigation|top|comments|next story)",
    r"\d+ min(?:ute)?s? read",
)
_ADVERTISEMENTS = (
    r"advertisements?",
    r"(?:sponsored|paid|promoted|partner) (?:content|post)",
    r"(?:story|article) continues\b.{0,40}\b(?:ad|advert|advertisement|below|video)",
    r"scroll (?:down )?to continue\b.*",
    r"skip (?:ad|advert|advertisement)",
    r"remove ads\b.*",
)
_NETWORKS = r"(?:facebook|twitter|x|whatsapp|e-?mail|linkedin|telegram|reddit|instagram|google|youtube)"
_SHARING = (
    r"share",
    r"share (?:this|the) (?:article|story|page|post|video|link)\b.{0,60}",
    rf"(?:share|follow(?: us)?|find us|like us|join us) (?:on|via) {_NETWORKS}\b.*",
    r"copy link|link copied|(?:print|e-?mail)(?: this (?:page|article))?",
    r"(?:view |leave a )?comments?(?:\s*\(?\d+\)?)?",
    r"(?:sign up|subscribe|register|sign in|log in)(?: (?:here|now|today|free))?",
    r"(?:sign up|subscribe|register)\b.*\b(?:newsletters?|inbox|alerts?|channel|e-?mails?|notifications)\b.*",
    r"(?:get|receive|join|download|try)\b.{0,60}\bour\b.{0,30}\b(?:newsletters?|app|channel|inbox|alerts?)\b.{0,60}",
    r"(?:we|this (?:web)?site) uses? cookies\b.*",
    r"(?:published|posted|(?:last )?updated)(?: on\b| at\b|:)[^.!?]{0,20}\d[^.!?]{0,40}",
)
_CAPTIONS = (
    r"(?:file )?(?:photo|photograph|image|picture)(?: (?:credit|source|caption|illustration|by))?\s*:.{0,160}",
    r"(?:photo|image|picture) credit\b.*",
    r"caption\s*:.{0,160}",
    r"file (?:photo|image|picture)\b.*",
    r"(?:photo|image|picture|illustration)s? (?:by|courtesy of) [^.]{1,80}",
    r"(?:in )?this (?:undated |file |handout |combination )*(?:photo|photograph|picture|image)\b.{0,80}"
    r"\b(?:provided|released|distributed|made available|taken)\b.*",
)
_LAST_LINES = (
    r"-0-",
    r"all rights reserved\b.*",
    r"(?:©|\(c\)|copyright (?:©|\(c\)|\d{4}))\W.{0,120}",
    r"(?:additional |writing and )?(?:reporting|writing) by (?-i:[A-Z])[^.]{1,200}\bediting by\b.*",
    r"editing by (?-i:[A-Z])[^.]{1,80}",
    r"our standards:.*",
    r"this (?:material|content) may not be (?:published|reproduced)\b.*",
)
_LINE = re.compile(
    rf"\W*(?:{'|'.join((*_MORE, *_ADVERTISEMENTS, *_SHARING, *_CAPTIONS, *_LAST_LINES))})\W*",
    re.IGNORECASE,
)

_AGENCY = r"(?:AP|AFP|EPA|UPI|Reuters|REUTERS|Getty(?: Images)?|KCNA|KNS|Yonhap|TASS|Sputnik|Kyodo)"
_CREDITS = (
    rf"[(\[](?:{_AGENCY} |[Ff]ile |Handout )?(?:[Pp]hoto|[Ii]mage|[Pp]icture|[Cc]redit)s?(?: by\b| courtesy\b|:|/)"
    r"[^()\[\]]{0,80}[)\]]",
    rf"[(\[](?:{_AGENCY} [Pp]hoto|[Ff]ile [Pp]hoto|Photo)[)\]]",
    rf"[(\[][^()\[\]]{{0,60}}(?:\bvia |/){_AGENCY}[^()\[\]]{{0,30}}[)\]]",
    r"\bREUTERS/[A-Z][\w. -]{2,60}",
    r"[/|] ?(?:AFP|EPA|Getty Images|AP Photo)",
    rf"(?:©|\([Cc]\)|\bvia) {_AGENCY}(?: via {_AGENCY})?",
)
_CREDIT_AT_END = re.compile(rf"(?:{'|'.join(_CREDITS)})\W*$")


def is_furniture(line: str) -> bool:
    """Whether a line, or a sentence, is page furniture.

    The patterns are conservative: what could be prose or a headline ("Photos: the summit in pictures") is
    none. A line without a letter or a digit is furniture.
    """
    if len(line) > FURNITURE_UP_TO:
        return not any(character.isalnum() for character in line)
    if not any(character.isalnum() for character in line):
        return True
    return bool(_LINE.fullmatch(line) or _CREDIT_AT_END.search(line))
