from __future__ import annotations

import hashlib
import shutil
import string
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ptb_peer import differences, java_words, read

from unrolled.data.tokens import MAX_CHARACTERS, detokenize, tokenize
from unrolled.errors import InputError

SHARED = Path(__file__).parents[2].parent / "shared"
COCO = SHARED / "coco" / "captions_val2017.json"
FLICKR8K = SHARED / "flickr8k" / "Flickr8k.token.txt"

# The peers test asks the Java program about every line.
RULES = {
    # clitics
    "A man's dogs' toy": "a man 's dogs toy",
    "Don't! It isn't, she can't've": "do n't it is n't she ca n't 've",
    "We'll, they'd, I'm, you're, I've": "we 'll they 'd i 'm you 're i 've",
    "THE MAN'S CAN'T": "the man 's ca n't",
    "the man’s dog doesn’t": "the man 's dog does n't",
    "a mother-in-law's cat's-eye": "a mother-in-law 's cat 's eye",
    "1950's 80's 1950s '70s": "1950 's 80 's 1950s '70s",
    "dont cant shes its": "dont cant shes its",
    # words that are two
    "cannot gonna wanna gotta gimme lemme do": "can not gon na wan na got ta gim me lem me do",
    'He cannot. She\'s "gonna"!': "he can not she 's gon na",
    "'tis and 'twas, cannots": "'t is and 't was cannots",
    # apostrophes inside
    "O'Brien's hors d'oeuvre o'clock ma'am": "o'brien 's hors d'oeuvre o'clock ma'am",
    "rock 'n' roll, 'em 'til y'all": "rock 'n' roll 'em 'til y' all",
    "Ho'ohu and Pe'e roads": "ho'ohu and pe'e roads",
    "a 'quoted' word": "a quoted word",
    "the'no sign": "the no sign",
    # hyphens, slashes, dots, underscores
    "black-and-white t-shirt, x-ray": "black-and-white t-shirt x-ray",
    "pre- and -post --dash a--b a - b": "pre and post dash a b a b",
    "and/or tub/shower w/o 1/2-inch": "and/or tub/shower w/o 1/2-inch",
    "and / or a/ b": "and / or a / b",
    "the street.A bus stair.s foo.com": "the street.a bus stair.s foo.com",
    "a_b _c": "a_b _ c",
    # abbreviations and initials
    "Mr. and mrs. Smith of Main St. and 5th Ave.": "mr. and mrs. smith of main st. and 5th ave.",
    "u.s. U.S.A. d.v.d t.v. a.m.": "u.s. u.s.a. d.v.d t.v. a.m.",
    "John F. Kennedy": "john f. kennedy",
    "a sign says K. The dog": "a sign says k the dog",
    "in La. but la. and Wash. wash. it": "in la. but la and wash. wash it",
    "No. 5 or no. dogs": "no. 5 or no dogs",
    "a dog. A cat.": "a dog a cat",
    # numbers
    "1,000 10:30 3.5 1/2 10-29-2011 11.01.2009": "1,000 10:30 3.5 1/2 10-29-2011 11.01.2009",
    "5lbs 3rd 4x4 5,000lbs 10:30am": "5lbs 3rd 4x4 5,000 lbs 10:30 am",
    "-5 +5 .5 5. 5, 5": "-5 +5 .5 5 5 5",
    "5'6\" tall": "5 6 tall",
    "the corner of 22 3/4 St.": "the corner of 22 3/4 st.",
    "½ and 1½": "1/2 and 1 1/2",
    # money and signs
    "$5 US$5 £5 €5 5¢ 5%": "$ 5 us$ 5 # 5 $ 5 5 cents 5 %",
    "#1 # 7 @user #tag": "# 1 # 7 @user #tag",
    "AT&T R&B rock&roll a & b &amp; c": "at&t r&b rock & roll a & b & c",
    "a * b ** = + ~ c++": "a * b ** = + ~ c++",
    # brackets and punctuation
    "( one ) [two] {three}": "-lrb- one -rrb- -lsb- two -rsb- -lcb- three -rcb-",
    "“Hello” ‘there’ \"you\" ``and`` ''me''": "hello there you and me",
    "wait... what?! no!!! a; b: c, …": "wait what ?! no !!! a b c",
    "one – two — three": "one two three",
    "a smile :) or :-D": "a smile :-rrb- or :-d",
    "http://www.foo.com/a?b=c or me@foo.org": "http://www.foo.com/a?b=c or me@foo.org",
    # other scripts
    "Café naïve ÉCOLE": "café naïve école",
    "日本語 кошка हिन्दी": "日本語 кошка हिन्दी",
    "a dog 👍 runs": "a dog runs",
    # spaces
    "  a\tb   c ": "a b c",
}

# Digests of the Java program's words, one caption a line: what a machine without Java is held to.
# The peers test makes sure that the Java program still gives them.
DIGESTS = {
    COCO: "eada4f345a6fd168820f77f5a6ffab04c85ea7b8aff985b360cac19c3cb35ccb",
    FLICKR8K: "8c370c7d1bca91b6136c39a779e3e2fbd788c15ada88b843cdd401132a9c7754",
}


def digest(words: Sequence[Sequence[str]]) -> str:
    return hashlib.sha256("\n".join(map(" ".join, words)).encode()).hexdigest()


def needs(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    return path


@pytest.mark.parametrize(("caption", "words"), RULES.items())
def test_rules(caption: str, words: str) -> None:
    assert tokenize(caption) == words.split()


@pytest.mark.parametrize("path", DIGESTS, ids=lambda path: path.stem)
def test_gives_the_java_programs_words_without_java(path: Path) -> None:
    captions = read(needs(path))
    assert digest([tokenize(caption) for caption in captions]) == DIGESTS[path]


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")
@pytest.mark.parametrize("path", DIGESTS, ids=lambda path: path.stem)
def test_agrees_with_the_java_program(path: Path) -> None:
    captions = read(needs(path))
    found = differences(captions)
    for each in found:
        print(*each, sep="\n  ")
    assert len(found) <= 0.001 * len(captions)
    assert digest(java_words(captions)) == DIGESTS[path]


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")
def test_the_java_program_has_the_same_rules() -> None:
    # A line that begins with "A" follows each, as it does in COCO's files more often than not.
    asked = [line for caption in RULES for line in (caption, "A dog")]
    assert java_words(asked)[::2] == [words.split() for words in RULES.values()]


@given(st.text(max_size=60))
def test_words_are_whole_and_lower_case(caption: str) -> None:
    for word in tokenize(caption):
        assert word
        assert word == "".join(word.split()) == word.lower()


@given(st.lists(st.sampled_from(string.printable), max_size=60))
def test_a_caption_gives_the_same_words_with_other_space_around(characters: list[str]) -> None:
    caption = "".join(characters)
    assert tokenize(f" \n{caption}\t ") == tokenize(caption)


PIECES = "a 1 . ' - / @ & _ < + अ ० ½ 👍 a. n't 1,a! www.; a@b. aA' o' dn' <a a- -.-. a'a' a@a@ &a"


@pytest.mark.parametrize("piece", PIECES.split())
def test_no_caption_takes_long(piece: str) -> None:
    # A rule with two ways to match the same letters would not come back from this.
    tokenize((piece * MAX_CHARACTERS)[:MAX_CHARACTERS])
    tokenize("a " + (piece * MAX_CHARACTERS)[: MAX_CHARACTERS - 3] + "'")


def test_refuses_what_is_no_caption() -> None:
    with pytest.raises(InputError, match=r"at most 2,000 characters, got 2,001"):
        tokenize("a" * (MAX_CHARACTERS + 1))
    assert tokenize("a" * MAX_CHARACTERS)
    with pytest.raises(InputError, match=r"one caption \(str\), got list"):
        tokenize(["a dog"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("a man 's dog", "a man's dog"),
        ("he ca n't , we 'll", "he can't , we'll"),
        ("can not gon na", "cannot gonna"),
        ("'t is y' all", "'tis y'all"),
        ("3 dogs -lrb- one brown -rrb- run", "3 dogs (one brown) run"),
        ("$ 5 or 50 %", "$5 or 50%"),
        ("a $ sign", "a $ sign"),
        ("'s", "'s"),
        ("", ""),
    ],
)
def test_detokenize(words: str, text: str) -> None:
    assert detokenize(words.split()) == text


PLAIN_WORDS = """
    a man dog 's n't 'll cannot can not gonna t-shirt and/or 5 1,000 3rd $ % ( ) [ ] 1/2 10:30 no
    st. mr. u.s. o'clock d'or 'n' 'em ma'am y'all 'tis , & # + = don't it's café : ! -
"""


@given(st.lists(st.sampled_from(PLAIN_WORDS.split()), max_size=12).map(" ".join))
def test_what_is_joined_splits_into_the_same_words(caption: str) -> None:
    words = tokenize(caption)
    assert tokenize(detokenize(words)) == words


def test_real_captions_survive_joining() -> None:
    captions = read(needs(FLICKR8K))[:4000] + read(needs(COCO))[:4000]
    lost = [words for words in map(tokenize, captions) if tokenize(detokenize(words)) != words]
    assert len(lost) <= 1  # "p." of 'the letter " P. "', whose quote is gone
