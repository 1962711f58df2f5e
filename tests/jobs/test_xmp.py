"""XMP packets: an alt text goes in and comes out, and nothing else in the packet changes."""

import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import MetadataError
from unrolled.jobs.metadata.xmp import Packet, clean
from unrolled.jobs.metadata.xmp_reading import DC, IPTC, RDF

X = "adobe:ns:meta/"
ALT = f"{{{IPTC}}}AltTextAccessibility"
DESCRIPTION = f"{{{DC}}}description"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
ANY_TEXT = st.text(max_size=40)
XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
)

DARKTABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
   xmp:Rating="4"
   darktable:xmp_version="4">
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="exposure" darktable:params="00>&quot;/>"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def packet(inside, about='""', rdf="rdf"):
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><!-- by hand --><x:xmpmeta '
        f'xmlns:x="{X}"><{rdf}:RDF xmlns:{rdf}="{RDF}"><{rdf}:Description {rdf}:about={about} '
        f'xmlns:dc="{DC}" xmlns:I="{IPTC}" xmlns:o="o:"><o:other a="1">kept</o:other>{inside}'
        f"</{rdf}:Description></{rdf}:RDF></x:xmpmeta>{' ' * 30}<?xpacket end='w'?>"
    ).encode()


def alternatives(name, *texts):
    items = "".join(f"<rdf:li xml:lang={quoteattr(lang)}>{escape(t)}</rdf:li>" for lang, t in texts)
    return f"<{name}><rdf:Alt>{items}</rdf:Alt></{name}>"


def properties(data):
    """What another parser reads: each property of each description, as text."""
    found = []
    for description in ET.fromstring(data).iter(f"{{{RDF}}}Description"):
        found += [(each.tag, ET.tostring(each)) for each in description]
        found += [(name, value) for name, value in description.items()]
    return found


def languages(data, name):
    [found] = ET.fromstring(data).iter(name)
    return [(item.get(LANG), item.text or "") for item in found.iter(f"{{{RDF}}}li")]


def is_splice(before, after):
    """Whether one is the other with something put in."""
    at = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before)
    )
    return len(after) > len(before) and after.endswith(before[at:])


@given(ANY_TEXT, st.booleans())
def test_an_alt_text_comes_out_as_it_went_in(text, describe):
    data = Packet.empty().with_alt_text(text, describe=describe)
    again = Packet(data)
    assert again.alt_text == clean(text)
    assert again.described == (describe and bool(clean(text)))
    # As another parser has it: no character is lost to XML's rules for line ends.
    assert languages(data, ALT) == [("x-default", clean(text))]


@given(ANY_TEXT, XML_TEXT, XML_TEXT.map(quoteattr), st.sampled_from(["rdf", "r", "RDF"]))
def test_what_else_is_in_a_packet_stays_byte_for_byte(text, other, about, rdf):
    before = packet(f"<o:mine>{escape(other)}</o:mine>", about, rdf)
    after = Packet(before).with_alt_text(text, describe=True)
    assert is_splice(before, after)
    assert Packet(after).alt_text == clean(text)
    abouts = {d.get(f"{{{RDF}}}about") for d in ET.fromstring(after).iter(f"{{{RDF}}}Description")}
    assert len(abouts) == 1
    ours = (ALT, DESCRIPTION, f"{{{RDF}}}about")
    assert [p for p in properties(after) if p[0] not in ours] == [
        p for p in properties(before) if p[0] not in ours
    ]


@given(ANY_TEXT, XML_TEXT, XML_TEXT)
def test_other_languages_stay_when_the_default_one_is_replaced(text, german, old):
    before = packet(alternatives("I:AltTextAccessibility", ("x-default", old), ("de", german)))
    after = Packet(before).with_alt_text(text, describe=False)
    assert languages(after, ALT) == [("x-default", clean(text)), ("de", german)]
    only = packet(alternatives("I:AltTextAccessibility", ("de", german)))
    assert languages(Packet(only).with_alt_text(text, describe=False), ALT) == [
        ("x-default", clean(text)),
        ("de", german),
    ]


LEVELS = [
    (X, "xmpmeta"),
    (RDF, "RDF"),
    (RDF, "Description"),
    (IPTC, "AltTextAccessibility"),
    (RDF, "Alt"),
    (RDF, "li"),
]


def nested(prefixes, again, last, spoken):
    """One element in the other, down to the last; each declares what is not, or says so again."""

    def element(level, scope, language=""):
        (uri, name), prefix = LEVELS[level], prefixes[level]
        tag = f"{prefix}:{name}" if prefix else name
        declares = f"xmlns:{prefix}" if prefix else "xmlns"
        start = f"""<{tag} o=' {declares}="o:" '"""  # no declaration, though it looks like one
        if again[level] or scope.get(prefix) != uri:
            start += f"\n {declares} = '{uri}'"
        if level == 5:
            return f'{start} xml:lang="{language}">old {language}</{tag}>'
        if level == last:
            return f"{start}/>"
        inside = spoken if level == 4 else [""]
        scope = scope | {prefix: uri}
        return f"{start}>{''.join(element(level + 1, scope, n) for n in inside)}</{tag}>"

    return element(0, {}).encode()


@settings(max_examples=300)
@given(
    ANY_TEXT,
    st.lists(st.sampled_from(["", "rdf", "a", "Iptc4xmpCore"]), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.integers(1, 5),
    st.lists(st.sampled_from(["x-default", "de", "en"]), unique=True),
)
def test_namespaces_may_be_declared_at_any_level(text, prefixes, again, last, spoken):
    before = nested(prefixes, again, last, spoken)
    after = Packet(before).with_alt_text(text, describe=True)
    others = [(each, f"old {each}") for each in spoken if last == 5 and each != "x-default"]
    assert sorted(languages(after, ALT)) == sorted([("x-default", clean(text)), *others])
    assert Packet(after).described == bool(clean(text))


def test_what_another_alt_text_would_hide_is_refused():
    twice = packet(
        alternatives("I:AltTextAccessibility", ("x-default", "hers"))
        + alternatives("I:AltTextAccessibility", ("x-default", "his"))
    )
    with pytest.raises(MetadataError, match="of a form that an alt text cannot be put into"):
        Packet(twice).with_alt_text("", describe=False)


@given(ANY_TEXT)
def test_writing_twice_is_writing_once(text):
    once = Packet(DARKTABLE).with_alt_text(text, describe=True)
    assert Packet(once).with_alt_text(text, describe=True).count(b"AltTextAccessibility") == 2
    assert languages(Packet(once).with_alt_text(text, describe=False), ALT) == [
        ("x-default", clean(text))
    ]


def test_what_darktable_wrote_stays():
    after = Packet(DARKTABLE).with_alt_text("a dog", describe=True)
    assert is_splice(DARKTABLE, after)
    assert Packet(after).alt_text == "a dog"


WHOLE = packet(
    alternatives("I:AltTextAccessibility", ("x-default", "a"), ("de", "b"))
    + alternatives("dc:description", ("x-default", "c"))
)


@settings(max_examples=200)
@given(
    st.sampled_from([DARKTABLE, WHOLE]),
    st.integers(0, len(WHOLE)),
    st.integers(0, 9),
    st.binary(max_size=9),
)
def test_a_damaged_packet_is_refused_or_taken_as_it_is(data, at, gone, new):
    data = data[:at] + new + data[at + gone :]
    try:
        found = Packet(data)
        after = found.with_alt_text("a dog", describe=True)
    except MetadataError:
        return
    assert Packet(after).alt_text == "a dog"
    assert Packet(after).described


@pytest.mark.parametrize(
    ("inside", "alt_text", "described"),
    [
        ("", "", False),
        (alternatives("dc:description", ("x-default", "by hand")), "", True),
        (alternatives("dc:description", ("x-default", " ")), "", False),
        (alternatives("dc:title", ("x-default", "by hand")), "", False),
        (
            alternatives("I:AltTextAccessibility", ("en", "hers"), ("x-default", "his")),
            "his",
            False,
        ),
        (alternatives("I:AltTextAccessibility", ("en", "hers")), "hers", False),
        (alternatives("I:AltTextAccessibility"), "", False),
        ("<I:AltTextAccessibility>plain</I:AltTextAccessibility>", "plain", False),
        ("<I:AltTextAccessibility/>", "", False),
        (
            "<o:deep><rdf:li><I:AltTextAccessibility>no</I:AltTextAccessibility></rdf:li></o:deep>",
            "",
            False,
        ),
    ],
)
def test_what_a_person_wrote_is_seen(inside, alt_text, described):
    found = Packet(packet(inside))
    assert (found.alt_text, found.described) == (alt_text, described)
    after = found.with_alt_text("a dog", describe=True)
    assert Packet(after).alt_text == "a dog"
    assert after.count(b"by hand") == packet(inside).count(b"by hand")
    assert Packet(after).described


@pytest.mark.parametrize(
    "data",
    [
        f'<r:RDF xmlns:r="{RDF}"/>'.encode(),
        f'<r:RDF xmlns:r="{RDF}"></r:RDF>\0\0'.encode(),
        f'\ufeff<x:xmpmeta xmlns:x="{X}">\r\n<RDF xmlns="{RDF}"\r\n/></x:xmpmeta>'.encode(),
        f'<r:RDF xmlns:r="{RDF}"><r:Description r:about="a"/></r:RDF>'.encode(),
    ],
)
def test_packets_of_odd_but_right_forms_are_taken(data):
    after = Packet(data).with_alt_text("a dog", describe=False)
    assert Packet(after).alt_text == "a dog"
    assert languages(after.rstrip(b"\0"), ALT) == [("x-default", "a dog")]


BOMB = (
    b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>"""
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not well-formed"),
        (b"my novel", "not well-formed"),
        (b"<html/>", "no rdf:RDF"),
        (DARKTABLE[:-5], "not well-formed"),
        (DARKTABLE.replace(b"rdf:RDF xmlns", b"rdf:RDX xmlns"), "not well-formed"),
        (DARKTABLE.decode().encode("utf-16"), "not well-formed"),
        (DARKTABLE.replace(b"UTF-8", b"ISO-8859-1"), "where UTF-8 is read"),
        (BOMB, "document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "document type"),
        (DARKTABLE + b" " * (16 << 20), "are read at most"),
    ],
)
def test_what_is_no_packet_is_refused(data, reason):
    with pytest.raises(MetadataError, match=reason):
        Packet(data)


def test_an_alt_text_that_is_an_attribute_is_seen_and_not_replaced():
    data = packet("").replace(b"xmlns:o=", b'I:AltTextAccessibility="hers" xmlns:o=')
    assert Packet(data).alt_text == "hers"
    with pytest.raises(MetadataError, match="is an attribute"):
        Packet(data).with_alt_text("a dog", describe=False)
