"""An OpenAI-compatible endpoint, asked by OpenAI's client; asked again when it is busy, broken or silent."""

from __future__ import annotations

import importlib
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.private import is_secret, without_secrets
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.llm.journal import LLMResponse

URL, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
NO_MONEY = "insufficient_quota"  # a 429 that no waiting helps
MAX_BYTES = 50_000_000
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds; doubled from retry to retry, unless the server says how long
SHOWN = 300


@dataclass(frozen=True)
class Endpoint:
    """Where the model is, and the key that opens it."""

    url: str = field(repr=False)
    key: str | None = field(repr=False, default=None)

    @classmethod
    def from_environment(cls) -> Self:
        """The endpoint of ``OPENAI_BASE_URL`` with the key of ``OPENAI_API_KEY``; a gateway may need no key.

        Raises
        ------
        UsageError
            If there is no such address.
        """
        url = os.environ.get(URL, "").strip()
        if urlsplit(url).scheme not in ("http", "https"):
            raise UsageError(
                f"{URL} is {without_secrets(url)!r}; the address of an OpenAI-compatible endpoint was needed.",
                f"Set it, as {URL}=https://HOST/v1, and its key in {KEY}.",
            )
        return cls(url.rstrip("/"), os.environ.get(KEY, "").strip() or None)

    @property
    def public(self) -> str:
        """Its address without what may be secret: user, password, query.

        Examples
        --------
        >>> Endpoint("https://ann:pass@host:8080/v1?key=3").public
        'https://host:8080/v1'
        """
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def cleaned(self, text: str) -> str:
        """A text without the key, should the server repeat it."""
        shown = text.replace(self.key, f"<{KEY}>") if self.key and is_secret(self.key) else text
        return without_secrets(shown)


@dataclass(frozen=True)
class Patience:
    """How long and how often an endpoint is asked."""

    retries: int = 6
    """Of one request, after the first attempt."""
    request_seconds: float = 120.0
    """Of one attempt, from its first byte to its last."""
    requests_per_minute: float | None = None


class TimeUpError(GeneratorError):
    """The time limit was reached."""


class Caller:
    """Asks an endpoint, from any number of threads; use it in a ``with`` block.

    Repeated requests are ours, not those of OpenAI's client: a delay that the server names holds for all threads, a
    time limit or an error ends every wait, and a gateway's page with status 200 is no answer.

    Parameters
    ----------
    deadline : float
        In the time of `time.monotonic`; no attempt begins after it.

    Raises
    ------
    UsageError
        If the client is not installed.
    """

    def __init__(self, endpoint: Endpoint, patience: Patience, deadline: float) -> None:
        self._openai, self._http = _libraries()
        self._endpoint, self._patience, self._deadline = endpoint, patience, deadline
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._next_start = 0.0
        self._client = self._openai.OpenAI(
            base_url=endpoint.url,
            api_key=endpoint.key or "none",  # it insists on one, which `_headers` takes out again
            timeout=self._openai.Timeout(patience.request_seconds, connect=10.0),
            max_retries=0,
        )
        self._headers = {} if endpoint.key else {"Authorization": self._openai.Omit()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Wake those that wait for their turn, and cut what is under way."""
        self._stop.set()
        self._client.close()

    def ask(self, body: Mapping[str, Any]) -> LLMResponse:
        """One answer, however many attempts it takes.

        Raises
        ------
        GeneratorError
            If the endpoint refuses, or every attempt fails.
        """
        begun, troubles = time.time_ns(), list[str]()
        for attempt in range(self._patience.retries + 1):
            self._wait_for_turn()
            try:
                status, headers, text = self._post(body)
            except (self._openai.APIConnectionError, self._http.TransportError) as error:
                troubles.append(_cause(error))
                self._pause(attempt, None)
                continue
            answer_body = _read(text) if status == 200 else None
            if answer_body is not None:
                return _answer(json_digest(body), answer_body, begun, attempt, self._endpoint.cleaned)
            code, words = _error_in(text) if status == 200 else (0, "")
            status = code or status
            troubles.append(f"HTTP {status}" if status != 200 else words or "an answer that is no chat completion")
            if status not in (*BUSY, 200) or NO_MONEY in text:
                raise self._refused(status, text)
            self._pause(attempt, headers.get("retry-after"))
        raise self._gave_up(troubles)

    def _post(self, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], str]:
        limit = time.monotonic() + self._patience.request_seconds
        parts, size = [], 0
        ask = self._client.chat.completions.with_streaming_response.create
        try:
            with ask(**body, extra_headers=self._headers) as response:
                for part in response.iter_bytes():
                    parts.append(part)
                    size += len(part)
                    if time.monotonic() > limit:  # the client limits the silence between two bytes, not their sum
                        raise self._http.ReadTimeout("the answer came too slowly")
                    if size > MAX_BYTES:
                        raise self._http.ReadError(f"the answer has more than {MAX_BYTES:,} bytes")
                return response.status_code, response.headers, b"".join(parts).decode("utf-8", "replace")
        except self._openai.APIStatusError as error:
            return error.status_code, error.response.headers, error.response.text

    def _wait_for_turn(self) -> None:
        per_minute = self._patience.requests_per_minute
        with self._lock:
            start = max(self._next_start, time.monotonic())
            self._next_start = start + (60.0 / per_minute if per_minute else 0.0)
        self._sleep(start - time.monotonic())

    def _pause(self, attempt: int, retry_after: str | None) -> None:
        """Every thread waits where the server says how long."""
        if attempt == self._patience.retries:
            return
        seconds = _seconds(retry_after)
        if seconds is None:
            self._sleep(min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE))
            return
        with self._lock:
            self._next_start = max(self._next_start, time.monotonic() + seconds)

    def _sleep(self, seconds: float) -> None:
        if time.monotonic() + max(seconds, 0.0) >= self._deadline:
            raise TimeUpError(
                f"the time limit was reached while {self._endpoint.public} was asked.",
                "Give it longer: `--timeout SECONDS`; the answers so far are kept, and not asked for again.",
            )
        if self._stop.is_set() or (seconds > 0 and self._stop.wait(seconds)):
            raise GeneratorError("asking was stopped.")

    def _refused(self, status: int, text: str) -> GeneratorError:
        said = self._endpoint.cleaned(" ".join(text.split()))[:SHOWN]
        fixes = {
            401: f"Check the key in {KEY}.",
            403: f"Check the key in {KEY}, and what it may use.",
            404: f"Check {URL} and the model's name.",
            400: "If it knows no JSON schemas: `--param structured=json_object`, or `structured=none`.",
        }
        return GeneratorError(
            f"{self._endpoint.public} refused with HTTP {status}: {said or 'it said nothing'}.", fixes.get(status, "")
        )

    def _gave_up(self, troubles: list[str]) -> GeneratorError:
        counted = ", ".join(f"{text} ({troubles.count(text)}×)" for text in dict.fromkeys(troubles))
        return GeneratorError(
            f"{self._endpoint.public} gave no answer in {len(troubles)} attempts: {self._endpoint.cleaned(counted)}.",
            "Try again later; the answers so far are kept, and not asked for again.",
        )


def _libraries() -> tuple[Any, Any]:
    """OpenAI's client, and the HTTP library below it."""
    try:
        return importlib.import_module("openai"), importlib.import_module("httpx2")
    except ImportError as error:
        raise UsageError(
            f"prompts to a language model need OpenAI's client, and {error.name} is not installed.",
            "Install it: `pip install 'synth_mlflow[llm]'`.",
        ) from error


def _cause(error: Exception) -> str:
    """What broke a connection, below the words of the client."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}".rstrip(": ")


def _read(text: str) -> dict[str, Any] | None:
    """A chat completion; None for anything else, such as half an answer or a gateway's page.

    An answer without a word is one too, and was paid for: a refusal, a call of a tool, what a filter withheld.
    """
    try:
        body = json.loads(text)
        choices, model = body["choices"], body.get("model") or ""
        message = choices[0]["message"] if choices else {}
        said = _said(message)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    if said is None or not isinstance(model, str) or (not choices and not _usage(body).get("total_tokens")):
        return None
    reason = (choices[0].get("finish_reason") if choices else "") or ""
    refuses = message.get("content") is None and message.get("refusal")
    return {**body, "model": model, "said": said, "finish_reason": "refusal" if refuses else str(reason)}


def _said(message: Mapping[str, Any]) -> str | None:
    """The text of a message, which may come in parts; what it refuses with where it has none; None for other forms."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part["text"]) for part in content if part.get("type") in ("text", "output_text"))
    if content is None:
        return str(message.get("refusal") or "")
    return content if isinstance(content, str) else None


def _usage(body: Mapping[str, Any]) -> Mapping[str, Any]:
    usage = body.get("usage")
    return usage if isinstance(usage, dict) else {}


def _error_in(text: str) -> tuple[int, str]:
    """The status and words of an error that came with status 200; 0 and nothing where there is none."""
    try:
        error = json.loads(text)["error"] or {}
        words, code = (error.get("message"), error.get("code")) if isinstance(error, dict) else (error, None)
    except (ValueError, LookupError, TypeError):
        return 0, ""
    status = int(str(code)) if str(code).isdecimal() else 0
    said = " ".join(str(words or error or "").split())[:SHOWN]
    return status, f"an error instead of an answer: {said}" if said else ""


def _answer(digest: str, body: Mapping[str, Any], begun: int, retries: int, clean: Any) -> LLMResponse:
    usage = _usage(body)
    return LLMResponse(
        request_sha256=digest,
        text=clean(_whole(body["said"])),
        model=clean(body["model"]),
        finish_reason=body["finish_reason"],
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cost=_number(usage.get("cost")),
        retries=retries,
        begun_ns=begun,
        ended_ns=time.time_ns(),
    )


def _whole(text: str) -> str:
    """A text without halves of characters, which no file can keep."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < float("inf") else None


def _seconds(header: str | None) -> float | None:
    """What a Retry-After header says: seconds, or a date."""
    if header is None:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
