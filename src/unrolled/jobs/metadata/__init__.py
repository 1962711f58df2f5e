"""Alt text where photo tools look for it: in XMP, in a photo or in a file beside it.

An edit is a splice: what is added stands between bytes that stay as they were. Nothing is ever
encoded again, and nothing that is not ours to change is even parsed into something else.

References
----------
Adobe, XMP Specification (ISO 16684-1), parts 1 and 3; IPTC Photo Metadata Standard 2021.1, "Alt
Text (Accessibility)".
"""
