"""Texts without the passwords, tokens and keys of the URIs in them, whatever characters these have."""

from __future__ import annotations

import re

LONGEST = 2_000
"""Characters of a URI up to the end of its password."""
LONGEST_PHRASE = 100
"""Characters of a password with blanks that no quotation mark ends."""
_START = re.compile(r"(?<=[A-Za-z0-9]):/+")  # a path may have swallowed a slash
_SCHEME = re.compile(r"[A-Za-z0-9+.-]{2,40}\Z")
_WITHOUT_HOST = frozenset({"models", "runs", "prompts"})  # MLflow's own, with an alias behind the @
_BEHIND = r"[\s,;:.)\]}>]|\Z"  # what follows the end of a quotation
_QUOTED = {mark: re.compile(rf"{mark}(?={_BEHIND})") for mark in "'\""}
_DRIVE = re.compile(r"[A-Z]:[\\/]")  # of Windows, behind file:///
_PORT = re.compile(r"\d{1,5}(?![^\s/?#,;.)\]}>'\"`])")
_OPTION = re.compile(r"[?#][\w.-]+=")
_PLACEHOLDER = re.compile(r"PASSWORD|\*+|<[^<>@]*>|\$?\{[^{}@]*\}|\$\w+|…|\.\.\.")  # in place of a password
# with a port, a dot or a known name: certainly a host
_HOST = re.compile(
    r"(?:[\w-]+(?:\.[\w-]+)+|localhost|[\w-]+(?=:\d)|\[[0-9a-f:.]+\])(?::\d+)?(?![^\s/?#,;.)\]}>'\"`])", re.I
)
# behind an @: a last word, and one with an @; or no host at all
_MORE = re.compile(r"[^\s@]*[^\s@.,:;)\]}'\"`][^\S\n]{1,3}(?=[^\s@'\"]*@)|(?![\w\[*])[^@]{0,100}?(?=[^\s@]*@)")
_BLANKS = tuple(letter for letter in map(chr, range(0x3001)) if letter.isspace())
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+(?![^\s,;.)\]}>'\"`])")

_WORDS = "password|passwd|passphrase|pass|pwd|secret|token|key|sig|signature|credentials?|auth|jwt|bearer|sas"
_VALUE = (
    r"(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|\{[^}\n]*\}"  # in quotation marks or braces
    r"|[^&;\n'\"=]{1,100}(?=(?:&|; ?)[\w.%-][\w.% -]{0,40}=)"  # up to the next setting, blanks too
    r"|(?:(?!%3B)(?:[^&;\s'\"]|['\"](?![,:;)}\]\s]|\Z)))+)"
)
_SECRET_OPTION = re.compile(rf"([?&;#][^=&?;#\s]{{0,80}}(?:{_WORDS})=){_VALUE}", re.IGNORECASE)
# host=db password=x, or the same in percent codes
_SECRET_SETTING = re.compile(rf"((?:\b|%3B)(?:ssl)?(?:password|passwd|pwd|secret)(?:=|%3D)){_VALUE}", re.IGNORECASE)
_OPTION_OF_URI = re.compile(
    r"(?<=[?&;])(?:[\w.-]{0,40}(?:password|passwd|pwd|secret|token)|sig|(?:[\w.-]{0,40}[_-])?signature"
    r"|(?:\w{0,40}[_-])?(?:api|access|account|private|shared)[_-]?key)=(?![*<{$….&\s]|\Z)",
    re.IGNORECASE,
)
_IN_CODES = re.compile(
    r"(%3A(?:%2F){1,3}[^\s&%/:@]{0,100}%3A)(?!\d{1,5}(?:%2F|%3F|[\s&]|\Z))[^\s&]{1,300}(?=%40)", re.IGNORECASE
)
_ORACLE = re.compile(r"(jdbc:oracle:\w{1,10}:[^/\s]{0,100}/)[^\s@]{1,300}(?=@)", re.IGNORECASE)


def without_passwords(text: str, *, is_uri: bool = False) -> str:
    """A text without the passwords, tokens and keys of the URIs in it, also where a path has swallowed a slash.

    Parameters
    ----------
    text : str
    is_uri : bool
        Whether the text is one URI and nothing else. Its password, like that of a URI in quotation marks, goes as far
        as the last ``@``; in other texts the first ``@`` ends it where words follow that may not belong to it.

    Examples
    --------
    >>> without_passwords("cannot reach postgresql://ann:secret@db/mlflow")
    'cannot reach postgresql://ann@db/mlflow'
    >>> without_passwords("there is no file /home/ann/postgresql:/ann:secret@db/rows?sslpassword=x.")
    'there is no file /home/ann/postgresql:/ann@db/rows?sslpassword=***'
    >>> without_passwords("postgresql://ann:se/cret@db/x, https://ghp_0123456789abcdef@git/x, host=db password=secret")
    'postgresql://ann@db/x, https://***@git/x, host=db password=***'
    >>> without_passwords("postgresql://ann:my s3cr@t@db/x failed; write to ann@shop.org")
    'postgresql://ann@db/x failed; write to ann@shop.org'
    """
    text = _ORACLE.sub(r"\1***", _IN_CODES.sub(r"\1***", _without_user_infos(text, is_uri=is_uri)))
    return _SECRET_SETTING.sub(r"\1***", _SECRET_OPTION.sub(r"\1***", text))


def holds_password(text: str) -> bool:
    """Whether a text holds a URI with a password or a token, which whoever records the text would record as well.

    Examples
    --------
    >>> holds_password("rows of postgresql://ann:s3 cret@db"), holds_password("rows of postgresql://ann:$PASSWORD@db")
    (True, False)
    >>> holds_password("see https://host/a?token=abc"), holds_password("see https://host/a?sort_key=n, password=ask")
    (True, False)
    """
    shown = _ORACLE.sub("", _IN_CODES.sub("", _without_user_infos(text, is_uri=False)))
    return shown != text or _OPTION_OF_URI.search(text) is not None


def _without_user_infos(text: str, *, is_uri: bool) -> str:
    masked, at = list[str](), 0
    for start in _START.finditer(text):
        if start.start() < at:  # within a password
            continue
        begin, end = start.end(), _end_of_line(text, start.end())
        if text.find("@", begin, end) < 0:
            continue
        user_info = _user_info(text, start.start(), begin, end, is_uri=is_uri)
        if user_info is not None:
            shown, behind = user_info
            masked += [text[at:begin], shown]
            at = behind
    return "".join([*masked, text[at:]])


def _end_of_line(text: str, begin: int) -> int:
    end = text.find("\n", begin, begin + LONGEST)
    return min(len(text), begin + LONGEST) if end < 0 else end


def _user_info(text: str, colon: int, begin: int, end: int, *, is_uri: bool) -> tuple[str, int] | None:
    """What is shown of the names and passwords of one URI, and where its host begins; None if it has none."""
    scheme = _SCHEME.search(text, max(0, colon - 40), colon)
    if scheme is None or scheme[0].lower() in _WITHOUT_HOST:  # of one letter: a drive
        return None
    mark = _opening_mark(text, scheme.start())
    closing = None if mark is None else _QUOTED[mark].search(text, begin, end)
    zone = text[begin : end if closing is None else closing.start()]
    is_web = scheme[0].lower().endswith(("http", "https"))
    password = _password(zone, is_web=is_web, is_quoted=is_uri or closing is not None)
    if password is None:
        name = re.match(r"[^/:@\s]+(?=@)", zone) if is_web else None  # a token in place of a name
        return None if name is None else ("***", begin + name.end())
    user, last = password
    is_token = is_web and ("@" in zone[:user] or zone[user + 1 : last] == "x-oauth-basic")
    return "***" if is_token else zone[:user], begin + last


def _opening_mark(text: str, scheme: int) -> str | None:
    """The quotation mark in front of a URI, or of the path that it has become a part of."""
    before = text[max(0, scheme - 300) : scheme]
    last = max(before.rfind(mark) for mark in " \t\n`'\"")
    return before[last] if last >= 0 and before[last] in _QUOTED else None


def _password(zone: str, *, is_web: bool, is_quoted: bool) -> tuple[int, int] | None:
    """Where the name ends and where the ``@`` of the host is; None without a password.

    ``zone`` is what follows the slashes, up to the end of the line or of the quotation.
    """
    colon = re.search(r":" if is_web else r":|%3A", zone, re.IGNORECASE)
    if colon is None or re.search(r"[/\s]", user := zone[: colon.start()]) or user.startswith("["):
        return None
    rest = zone[colon.end() :]
    if _DRIVE.match(zone) or not rest or (rest[0].isspace() and not is_quoted):
        return None
    if _is_port(rest, is_web=is_web, is_quoted=is_quoted):
        return None
    at = _last_at(rest, is_web=is_web) if is_quoted else _last_at_of_words(rest, is_web=is_web)
    if at is None or _PLACEHOLDER.fullmatch(rest, 0, at):
        return None
    return colon.start(), colon.end() + at


def _is_port(rest: str, *, is_web: bool, is_quoted: bool) -> bool:
    port = _PORT.match(rest)
    if port is None:
        return False
    before = rest[port.end() : max(rest.find("@"), 0)]
    if not before or _OPTION.search(before):
        return True
    if re.search(r"\s", before):
        return not is_quoted
    return is_web and before[0] in "/?#"  # in whose paths an @ is usual


def _last_at(rest: str, *, is_web: bool) -> int | None:
    """The ``@`` in front of the host, in a text without anything behind the URI."""
    places = [match.start() for match in re.finditer("@", rest)]
    if not places:
        return None
    if is_web:  # in whose paths an @ is usual
        certain = (at for at in places if _HOST.match(rest, at + 1))
        return next(certain, places[-1])
    option = _OPTION.search(rest, places[0])
    return max(at for at in places if option is None or at < option.start())


def _last_at_of_words(rest: str, *, is_web: bool) -> int | None:
    """The same, in a text that may go on behind the URI."""
    at = rest.find("@")
    if at < 0 or (at > LONGEST_PHRASE and re.search(r"\s", rest[:at])):
        return None
    begin = max(rest.rfind(blank, 0, at) for blank in _BLANKS) + 1
    at = begin + (_last_at(_word(rest, begin), is_web=is_web) or 0)
    while more := _MORE.match(rest, at + 1):
        if _MAIL.match(rest, more.end()) and rest[at + 1 : at + 2].isalnum():
            break
        at = more.end() + _word(rest, more.end()).rindex("@")
    return at


def _word(text: str, at: int) -> str:
    """What stands at a place, up to the next blank."""
    return (text[at:].split(maxsplit=1) or [""])[0]
