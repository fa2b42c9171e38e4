from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, final

from _typeshed import OptExcInfo
from _typeshed.wsgi import WSGIApplication

__version__: str

class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...

def flags() -> list[str]:
    """Give the options that need no value, such as ``--reload``."""

def command(argv: Sequence[str]) -> int:
    """Run the command ``tower-wsgi``.

    ``argv[0]`` is the program's name in messages. Returns the exit code: 0 after a clean stop and
    for ``--help``, 2 for invalid options.
    """

def run(
    servers: Sequence[Server],
    argv: Sequence[str] | None,
    about: str | None = None,
    epilog: str | None = None,
    version: str | None = None,
) -> int:
    """Serve until a signal stops the program; return the exit code.

    The workers are this program, executed again with the same arguments: everything before this
    call runs in the supervisor and in each worker.

    ``argv`` is the command line: the program's name, then options that override the settings of
    the servers. With ``None`` there is no command line. ``--help`` begins with ``about`` and ends
    with ``epilog``; ``version`` is what ``--version`` shows.
    """

def render_response(status: int, message: str, accept: str) -> tuple[str, bytes]:
    """Render a response of the server itself, such as an error; return content type and body.

    ``accept`` is the header ``Accept`` of the request: the format is text, HTML or JSON.
    """

@final
class Server:
    """An application and its settings."""

    def __new__(
        cls,
        name: str | None,
        load: Callable[[], WSGIApplication],
        settings: Mapping[str, object],
    ) -> Server:
        """Check the settings.

        Without ``name`` it has that of the settings, or ``wsgi``.

        ``load`` is called once in each worker, never in the supervisor. An unknown setting raises
        `TypeError`, an invalid value `ValueError`.
        """

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def cfg(self) -> Config:
        """The settings, without those of the command line and the configuration file."""

@final
class Config(Mapping[str, Any]):
    """``environ["pulsar.cfg"]``: the settings as a mapping and as attributes, to read only.

    A name of pulsar gives the setting that has its meaning, with a `DeprecationWarning`.
    """

    def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401 -- the types differ
    def __getitem__(self, name: str, /) -> Any: ...  # noqa: ANN401
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

@final
class HttpServerResponse:
    """The ``start_response`` of a request, and pulsar's object of the response.

    An application finds it as ``start_response.__self__``.
    """

    @property
    def __self__(self) -> HttpServerResponse: ...
    @property
    def start_response(self) -> HttpServerResponse: ...
    @property
    def status(self) -> str | None: ...
    @property
    def headers_sent(self) -> bytes | None:
        """The first line and the header fields, when they are on their way to the client."""

    @property
    def chunked(self) -> bool: ...
    @property
    def content_length(self) -> int | None: ...
    @property
    def version(self) -> str: ...
    @property
    def upgrade(self) -> str | None: ...
    def is_chunked(self) -> bool:
        """Whether the body is sent in chunks: to HTTP/1.1, without a ``Content-Length``."""

    def get_headers(self) -> list[tuple[str, str]]:
        """The header fields that the application has set."""

    def write(self, data: bytes, force: bool = False) -> Awaitable[None] | None:
        """Send a piece of the body."""

    def __call__(
        self,
        status: str,
        headers: Iterable[tuple[str, str]],
        exc_info: OptExcInfo | None = None,
    ) -> Callable[[bytes], object]: ...

@final
class LiveServer:
    """A server on threads of this process, without workers and without signal handlers."""

    def __new__(cls, server: Server) -> LiveServer:
        """Start it, and wait until it is ready. Raises `OSError` if it cannot start."""

    @property
    def addresses(self) -> list[str]: ...
    def stop(self) -> int:
        """Stop it, wait until it has ended, and return the number of aborted requests.

        Further calls do nothing. The application that it serves must not call this.
        """

@final
class LineWriter:
    """Writes whole lines to the server's log or to standard output."""

    def write(self, data: bytes) -> int: ...
    def flush(self) -> None: ...

@final
class FileWrapper:
    """``environ["wsgi.file_wrapper"]``: the content of a file as a response body."""

    def __new__(cls, file: _Readable, blksize: int = 8192) -> FileWrapper: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def seekable(self) -> bool: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...

@final
class WebSocketUpgrade:
    """``environ["tower_wsgi.websocket"]``: the right to make a connection a WebSocket."""

    def accept(
        self,
        socket: object,
        methods: tuple[object, ...],
        max_message_size: int,
        max_outbox: int,
    ) -> WebSocketTransport:
        """Take the connection; the application has to respond with 101 then.

        ``socket`` is the argument of each of ``methods``, of which there are six: ``on_open``,
        ``on_message``, ``on_bytes``, ``on_ping``, ``on_pong`` and ``on_close``, or ``None``.
        Raises `RuntimeError` if the connection was taken already.
        """

@final
class WebSocketTransport:
    """A socket: any thread may call its methods, which return whether something was queued."""

    def write(self, message: str | bytes | WebSocketFrame, /) -> bool: ...
    @staticmethod
    def frame(message: str | bytes, /) -> WebSocketFrame: ...
    def ping(self, data: bytes, /) -> bool: ...
    def pong(self, data: bytes, /) -> bool: ...
    def close(self, code: int, reason: str, /) -> bool: ...
    @property
    def close_reason(self) -> tuple[int, str] | None: ...

@final
class WebSocketFrame:
    """A message in the form in which it is sent, for several sockets."""
