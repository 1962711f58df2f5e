"""Captions to words and back: a Java-free twin of the tokeniser that COCO's scorers use.

COCO's scorers (Chen et al. 2015, section 3.2) run Stanford's ``PTBTokenizer -preserveLines
-lowerCase`` (CoreNLP 3.4.1) and drop a fixed list of punctuation from what it gives. `tokenize`
gives the same words without Java. It is a scanner in the manner of ``lex``: at each place every
rule below is tried, **the longest match wins** (what a rule looks ahead at counts too), and of
equally long matches the earlier rule. The rules were found by asking the Java program; none of its
text is here.

What comes out, by example:

===============================  =======================================================
``A man's dog. Don't!``          ``a man 's dog do n't``: clitics are words, lower case
``cannot gonna 'tis``            ``can not gon na 't is``
``black-and-white t-shirt``      hyphened words stay whole; so do ``and/or``, ``o'clock``
``Mr. St. U.S. t.v.``            abbreviations and initials keep their full stops
``1,000 10:30 1/2 -5 5lbs 3rd``  numbers stay whole; ``5,000lbs`` is ``5,000 lbs``
``$5 £5 €5 5% ½``                ``$ 5 # 5 $ 5 5 % 1/2``: the treebank's currency signs
``(a) [b]``                      ``-lrb- a -rrb- -lsb- b -rsb-``
``“hello” ... -- ; : , ! ?``     ``hello``: quotes, stops and dashes are dropped
``AT&T R&B at & t``              capitals round an ``&`` stay whole
===============================  =======================================================

It differs from the Java program where that one looks beyond the caption: whether the full stop
after a single letter that ends a caption belongs to the letter depends there on the first word of
the *next* caption in the file. Here such a letter stands alone, as it does in Java when the next
caption begins with "A". A mixed number ("22 3/4") is two words here; there it is one word with a
no-break space in it, which the scorers then split. Telephone numbers, tags with attributes and
web addresses without "http" or "www" are treated more simply.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from unrolled.errors import InputError

__all__ = ["MAX_CHARACTERS", "TOKENIZER", "detokenize", "tokenize"]

TOKENIZER = "unrolled-ptb-1"
"""The name that a vocabulary is saved with; it changes when a caption would give other words."""

MAX_CHARACTERS = 2_000
"""The longest caption that is read; COCO's longest has about 250 characters.

Some rules look over the rest of the caption at every place, so the time grows with the square of
its length: at this length, even signs chosen to be slow take less than a tenth of a second.
"""

# What COCO's scorers drop (their list also has -LRB- and so on, in capitals, which never occur).
_DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

_HALVES = {
    "cannot": ("can", "not"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "wanna": ("wan", "na"),
    "gimme": ("gim", "me"),
    "lemme": ("lem", "me"),
}

_SIGNS = {
    "``": "“„«",
    "''": '”»"',
    "`": "‘‚‹",
    "'": "’›",
    "--": "–—",
    "...": "…",
    "1/2": "½",
    "1/3": "⅓",
    "2/3": "⅔",
    "1/4": "¼",
    "3/4": "¾",
    "#": "£",
    "$": "€",
    "cents": "¢",
}
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": "''", "&apos;": "'", "&nbsp;": ""}
_SPELLINGS = {sign: word for word, signs in _SIGNS.items() for sign in signs} | _ENTITIES
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "{": "-lcb-", "}": "-rcb-", "[": "-lsb-", "]": "-rsb-"}
_LOOKS = {name: bracket for bracket, name in _BRACKETS.items()}

# What closes up when people read it.
_OPENING = frozenset(["-lrb-", "-lcb-", "-lsb-"])
_CLOSING = frozenset(["%", "-rrb-", "-rcb-", "-rsb-"])
_CLITICS = frozenset(["'s", "'m", "'d", "'ll", "'ve", "'re"])
_REJOINED = frozenset([*_HALVES.values(), ("'t", "is"), ("'t", "was"), ("y'", "all")])


def _either(words: str) -> str:
    return "(?:" + "|".join(re.escape(word) for word in words.split()) + ")"


# Words before which the full stop of an initial ends a sentence: "a sign says K. The dog ...".
_OPENERS = _either("""
    A An About According After As At But Earlier He Her Here However If In It Last Many More Mr.
    Now Once One Other Our She Since So Some Such That The Their Then There These They This We
    What When While Yet You
""")
_ABBREVIATIONS = _either("""
    adj adm adv al ala alex apr ariz assn assoc asst atty attys aug ave bancorp bhd bldg blvd brig
    bros calif capt cf cie cmdr co col colo comdr conn corp cos cpl ct dak dec dept det dr drs elec
    ens esq est etc ext feb fla fri ft ga gen gov govs hon inc ind insp intl invt jan jos jr jul jun
    kan kans ky lieut lt ltd maj mar md messrs mfg mich minn mlle mme mo mon mont mr mrs ms msgr mt
    mtg natl neb nev nov oct okla penn pfc ph plc ppte ppty pres prof pte ptes pty ptys pvt rd rep
    reps rev rt sen sens sep sept seq sfc sgt spc sq sr st ste supt sys tel tenn thu thurs treas tue
    tues univ va vs vt wed wis wisc wm wyo
""")
_ABBREVIATIONS_IN_CAPITALS = _either("""
    Ark Az Del Ill La Mass Miss Ore Pa Tex Wash ARK AZ DEL ILL LA MASS MISS ORE PA TEX WASH
""")
_ABBREVIATIONS_OF_NUMBERS = _either("art ca fig figs no nos op pp prop")


# Classes with one way to match, so that no rule can take long: a letter or a mark that belongs to
# one, and a run of letters and digits.
_L = r"(?:(?![\d_¼-¾⅐-⅟])[\w\u0300-\u036f\u0900-\u0eff])"
_PIECE = r"(?:(?:(?![_¼-¾⅐-⅟])[\w\u0300-\u036f\u0900-\u0eff])+)"
_A = "['’]"
_AA = "['’`‘]"
_CLITIC_PATTERN = rf"(?i:'(?:[sdm]|ll|re|ve)(?!{_L})|’(?:[sdm]|ll|re|ve))"
_ACRONYM = r"[A-Za-z](?:\.[A-Za-z])+"
_NUMBER = r"(?:\d*(?:[.,:]\d+)+|\d+)"

# Each rule's first group is the token; what follows the group is looked at but not taken.
_RULES = tuple(
    re.compile(rule)
    for rule in (
        # words that end where a clitic begins, and the clitics
        rf"({_L}+?)(?<![nN])[nN]{_AA}[tT]",
        rf"([nN]{_AA}[tT])(?!{_L})",
        rf"({_L}+){_CLITIC_PATTERN}",
        rf"({_CLITIC_PATTERN})",
        rf"({_A}[tT])(?:[iI][sS]|[wW][aA][sS])",
        # words with an apostrophe of their own
        rf"((?:[dlnoA-HJ-XZ]{_AA}{_L}{{2}}|[oO]{_A}[oO]){_L}*)",
        rf"({_L}+[aeiouyAEIOUY]{_AA}[aeiouA-Z]{_L}*)",
        rf"((?i:{_A}n{_A}|'n(?![^\W_])|’n|[dlj]{_A}|{_A}em|{_A}till?|{_A}cause))",
        rf"((?i:ol{_A}|dunkin{_A}|somethin{_A}))",
        rf"((?i:c{_A}(?:mon|est)|e{_A}er|s{_A}mores|ev{_A}ry|li{_A}l|nat{_A}l|nor{_A}easter))",
        rf"({_A}[2-9]0s|{_A}\d\d(?=\s|$))",
        rf"([yY]{_A})(?![sS]|[lL]{{2}}){_L}",
        # words, with hyphens, slashes and dots inside
        rf"({_L}+)",
        rf"({_PIECE}(?:[-_/]{_PIECE})*)",
        rf"((?:{_PIECE}-)?{_ACRONYM}\.?(?:-{_PIECE})*)",
        rf"({_PIECE}\.(?:-{_PIECE})+|{_PIECE}\.(?=[,;:]))",
        rf"({_L}{_PIECE}?(?:[.!?]{_L}{_PIECE}?)+)",
        r"([A-Z]+&[A-Z]+)",
        r"([A-Ca-c]\+\+|[CcFf]#)",
        r"((?:[A-Z]|US|HK|NZ|NT)\$)",
        # numbers
        rf"([-+]?{_NUMBER}(?:-{_PIECE})*)",
        r"(\d{1,4}[-/]\d{1,2}[-/]\d{1,4}|\d{1,9}\s\d{1,9}/\d{1,9})",
        # abbreviations and initials
        rf"((?i:{_ABBREVIATIONS})\.)",
        rf"({_ABBREVIATIONS_IN_CAPITALS}\.)",
        rf"((?i:{_ABBREVIATIONS_OF_NUMBERS})\.)\s?\d",
        rf"([A-Za-z])\.(?:\s{_OPENERS}\s|\s*$)",
        r"([A-Za-z]\.)",
        # addresses, names, tags, smileys
        r"((?i:https?://|www\.)[^\s/<>\"()]{1,200}\.[^\s<>\"()]{0,500}[^\s<>\"().,;:!?'])",
        r"([A-Za-z\d][\w.+-]{0,63}@[\w-]{1,64}(?:\.[\w-]{1,64}){0,8})",
        rf"(@[A-Za-z]\w*|\#{_L}+)",
        r"(</?[A-Za-z][\w.-]{0,64}/?>)",
        rf"([:;=][-']?[()DPdp])(?!{_L})",
        # everything else: runs of one sign, then single signs
        r"(&(?:amp|lt|gt|quot|apos|nbsp);|''|``|[!?]+|\.\.\.+|--+|_+|\*+|\#+|<<|>>)",
        r"(\S)",
    )
)
_BRACKET_NAMES = str.maketrans(_BRACKETS)
_CLITIC = re.compile(rf"{_CLITIC_PATTERN}|[nN]{_AA}[tT]")
_RUN = re.compile(r"-{2,4}|\.{3,}")
_PLAIN = re.compile(r"\s*([A-Za-z]+)(?=[\s,]|$)")  # most words: no rule need be asked
_SPACE = re.compile(r"\s*")


def tokenize(caption: str) -> list[str]:
    """Split a caption into lower-case words as COCO's scorers do, punctuation dropped.

    Parameters
    ----------
    caption : str
        One caption, at most `MAX_CHARACTERS` characters. Line ends count as spaces.

    Returns
    -------
    list of str
        The words; empty when there is none. No word is empty or has white space in it.

    Raises
    ------
    InputError
        When the caption is not a string or is too long.

    References
    ----------
    Chen et al., Microsoft COCO Captions (2015), section 3.2: the Stanford PTBTokenizer.

    Examples
    --------
    >>> tokenize("A man's T-shirt says “don't”.")
    ['a', 'man', "'s", 't-shirt', 'says', 'do', "n't"]
    """
    if not isinstance(caption, str):
        raise InputError(f"tokenize: expected one caption (str), got {type(caption).__name__}")
    if len(caption) > MAX_CHARACTERS:
        raise InputError(
            f"tokenize: expected a caption of at most {MAX_CHARACTERS:,} characters, got "
            f"{len(caption):,}; pass one caption at a time"
        )
    words: list[str] = []
    place = 0
    while True:
        if plain := _PLAIN.match(caption, place):
            word, place = plain[1].lower(), plain.end()
            words.extend(_HALVES.get(word, (word,)))
            continue
        place = _skip_space(caption, place)
        if place == len(caption):
            return words
        token = _longest_match(caption, place)
        place += len(token)
        for word in _spell(token).split():
            if word not in _DROPPED:
                words.extend(_HALVES.get(word, (word,)))


def _skip_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _longest_match(text: str, place: int) -> str:
    best, longest = text[place], 0
    for rule in _RULES:
        match = rule.match(text, place)
        if match and match.end() - place > longest:
            best, longest = match[1], match.end() - place
    return best


def _spell(found: str) -> str:
    """Write a token the treebank's way: lower case, brackets by name, signs in ASCII."""
    if len(found) == 1 and (found > "\uffff" or not found.isprintable()):
        return ""  # emoji and control characters, which the Java program drops too
    if _CLITIC.fullmatch(found):
        found = found.replace("’", "'").replace("‘", "`")
    if _RUN.fullmatch(found):
        return "--" if found[0] == "-" else "..."
    return _SPELLINGS.get(found, found).translate(_BRACKET_NAMES).lower()


def detokenize(words: Sequence[str]) -> str:
    """Write words as people do: clitics close up, brackets and currency signs look like themselves.

    Parameters
    ----------
    words : sequence of str
        Words as `tokenize` gives them.

    Returns
    -------
    str
        The caption. Capitals and dropped punctuation do not come back.

    Notes
    -----
    ``tokenize(detokenize(words)) == words`` for what `tokenize` gives, except for words that only
    their capitals or a dropped neighbour kept whole: ``at&t`` (of "AT&T"), ``ill.`` (of "Ill."),
    ``us$``, ``b'nai`` (of "B'nai"), ``dog.`` (of "dog.,").

    Examples
    --------
    >>> detokenize(["a", "man", "'s", "dog", "ca", "n't", "sit", "-lrb-", "yet", "-rrb-"])
    "a man's dog can't sit (yet)"
    """
    pieces: list[str] = []
    for before, word in zip(("", *words), words, strict=False):
        pieces.append("" if _closes_up(before, word) else " ")
        pieces.append(_LOOKS.get(word, word))
    return "".join(pieces).strip()


def _closes_up(before: str, word: str) -> bool:
    """Tell whether a word stands close to the one before it, and can be parted from it again."""
    if word == "n't":
        return before.isalpha() and not before.endswith("n")  # "mann't" would not be "man n't"
    return (
        word in _CLITICS
        or (word in _CLOSING and before[-1:].isalnum())  # not a smiley
        or before in _OPENING
        or (before == "$" and word[:1].isdigit())
        or (before, word) in _REJOINED
    )
