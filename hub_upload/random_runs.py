"""Runs of signs that look drawn by lot: what a secret without a known form consists of.

Covered: a run that mixes capitals, small letters and digits as no word or name does; a run of
letters and digits of one case behind a prefix (``abc_``, ``abc-live-``), as services write their
tokens; the same where digits are few, if it is long.
Not covered: short runs; runs of one case without a prefix, which hashes and commits are too; what
a data URI holds. Not for vocabularies: in base64, words look drawn by lot as well.
"""

import re


_RUN = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z0-9]{20,}(?![A-Za-z0-9])")
_RUN_IN_BASE64 = re.compile(rb"[\w-]{24,}")
# Of 64 signs two are no letters or digits; names have more.
_MOST_SEPARATORS = 1 / 8
_PREFIXED = re.compile(
    rb"(?<![A-Za-z0-9_./-])([A-Za-z][A-Za-z0-9]{1,11})((?:[_.-][A-Za-z0-9]{1,10}){0,2}?)[_.-]{1,2}"
    rb"([a-z0-9]{28,}|[A-Z0-9]{20,})(?![A-Za-z0-9])"
)
# Behind these a run is a hash, a commit or a part of a file's name.
_NAMES_OF_HASHES = re.compile(
    rb"(?i:sha\d*|md5|blake\w*|crc\d*|xxh\d*|hash|digest|etag|blobs?|commit|rev|revision|git|tree|ref|"
    rb"head|build|model|checkpoint|ckpt|image|file|version|data)"
)
_BASE64_DATA = re.compile(rb";base64,[A-Za-z0-9+/=_-]+")

# T5Gemma2ForConditionalGeneration is made of words.
_WORD = re.compile(rb"[A-Z]?[a-z]{3,}")
_MOST_IN_WORDS = 0.4
_LEAST_CHANGES = 0.3  # of kind, per pair of neighbours; drawn by lot it is 0.6, in names under 0.25
_LEAST_DISTINCT = 10


def holds_random_run(content: bytes) -> bool:
    """Return whether there is a run of signs that nobody would write by hand.

    Args:
        content: Bytes of a text.
    """
    content = _BASE64_DATA.sub(b"", content)
    if any(_mixes_all_kinds(found[0]) for found in _RUN.finditer(content)):
        return True
    for found in _RUN_IN_BASE64.finditer(content):
        run = re.sub(rb"[_-]", b"", found[0])
        if len(found[0]) - len(run) <= _MOST_SEPARATORS * len(found[0]) and _mixes_all_kinds(run):
            return True
    return any(
        _mixes_two_kinds(found[3]) and not _names_a_hash(found)
        for found in _PREFIXED.finditer(content)
    )


def _names_a_hash(found: re.Match[bytes]) -> bool:
    words = re.split(rb"[_.-]+", found[1] + found[2])
    return any(_NAMES_OF_HASHES.fullmatch(word) for word in words)


def _mixes_all_kinds(run: bytes) -> bool:
    if sum(map(len, _WORD.findall(run))) > _MOST_IN_WORDS * len(run):
        return False
    kinds = [_kind(sign) for sign in run]
    return min(map(kinds.count, "Aa")) >= 3 and kinds.count("0") >= 2 and _is_mixed(run, kinds)


def _mixes_two_kinds(run: bytes) -> bool:
    kinds = [_kind(sign) for sign in run]
    return len(run) - kinds.count("0") >= 3 and kinds.count("0") >= 3 and _is_mixed(run, kinds)


def _is_mixed(run: bytes, kinds: list[str]) -> bool:
    changes = sum(one != next_one for one, next_one in zip(kinds, kinds[1:], strict=False))
    return changes >= _LEAST_CHANGES * (len(run) - 1) and len(set(run)) >= _LEAST_DISTINCT


def _kind(sign: int) -> str:
    letter = chr(sign)
    return "0" if letter.isdigit() else "a" if letter.islower() else "A"
