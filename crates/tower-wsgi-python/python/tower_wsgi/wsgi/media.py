"""`MediaRouter` and `FileRouter`: routers that serve files."""

from __future__ import annotations

import html
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tower_wsgi.wsgi.beneath import is_missing, open_within, resolve, within
from tower_wsgi.wsgi.errors import Http404
from tower_wsgi.wsgi.file_response import file_response
from tower_wsgi.wsgi.location import redirect
from tower_wsgi.wsgi.response import WsgiResponse
from tower_wsgi.wsgi.router import Router
from tower_wsgi.wsgi.rule import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_wsgi.wsgi.request import WsgiRequest

_MOST_LISTED = 10_000


class MediaMixin:
    """For a router that serves files: `serve_file` and `directory_index`."""

    cache_control: str | None = "public, max-age=86400"
    """The header ``Cache-Control`` of files."""

    directory: str | os.PathLike[str] | None = None
    """If set, no file outside of this directory is served, even if a symbolic link leads there."""

    def serve_file(
        self,
        request: WsgiRequest,
        fullpath: str | os.PathLike[str],
        status_code: int | None = None,
    ) -> WsgiResponse:
        """Return the response with a file: see `file_response`."""
        return file_response(
            request,
            fullpath,
            status_code=status_code,
            cache_control=None if status_code else self.cache_control,
            directory=self.directory,
        )

    def directory_index(
        self, request: WsgiRequest, fullpath: str | os.PathLike[str]
    ) -> WsgiResponse:
        """Return a page with links to the files of a directory, folders first.

        Files whose name begins with a dot, and links that lead nowhere or out of the directory that
        is served, are left out, as are those after the first 10 000.

        Raises `Http404` if the directory cannot be read.
        """
        root = self.directory or fullpath
        try:
            opened = open_within(root, fullpath, os.O_DIRECTORY)
        except (OSError, ValueError) as error:
            if not is_missing(error):
                raise
            raise Http404 from None
        found = []
        try:
            with os.scandir(opened) as entries:
                for entry in itertools.islice(entries, _MOST_LISTED):
                    is_folder = _is_folder(entry, root, fullpath)
                    if is_folder is not None and not entry.name.startswith("."):
                        found.append((not is_folder, entry.name))
        finally:
            os.close(opened)
        names = [name if is_file else f"{name}/" for is_file, name in sorted(found)]
        return self.static_index(request, ["../", *names])

    def static_index(self, request: WsgiRequest, names: Iterable[str]) -> WsgiResponse:
        """Return a page with links to these names; that of a folder ends with a slash."""
        title = html.escape(f"Index of {request.path}")
        # Quoted, a name with a colon is no scheme.
        links = "\n".join(
            f'<li><a href="{html.escape(quote(os.fsencode(name)))}">{_printable(name)}</a></li>'
            for name in names
        )
        page = (
            f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{title}</title></head>\n'
            f"<body><h2>{title}</h2>\n<ul>\n{links}\n</ul></body></html>\n"
        )
        return WsgiResponse(200, page, content_type="text/html; charset=utf-8")


class MediaRouter(MediaMixin, Router):
    """Serves the files of a directory, and of the directories in it.

    ``MediaRouter("/media", "assets")`` serves ``assets/css/site.css`` as ``/media/css/site.css``,
    to ``GET`` and ``HEAD``: see `file_response`. No path and no symbolic link leads out of
    ``path``.

    A directory is served as the ``default_file`` in it, or with ``show_indexes`` as a list of its
    files. With a ``default_suffix``, ``/media/about`` is also the file ``about.html``. If
    ``serve_only`` has suffixes, requests for other files are passed on to the next middleware, and
    there are neither default files nor lists. A file that is missing is a 404, with the file
    ``404.html`` of ``path`` as its page, if there is one.
    """

    directory: Path

    def __init__(
        self,
        rule: str,
        path: str | os.PathLike[str],
        show_indexes: bool = False,
        default_suffix: str | None = None,
        default_file: str | None = "index.html",
        serve_only: Iterable[str] | None = None,
        **parameters: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(Route(f"{rule}/<path:path>", {"path": ""}), **parameters)
        self.directory = Path(path).absolute()
        self.show_indexes = show_indexes
        self.default_suffix = default_suffix
        self.default_file = default_file
        self.serve_only = {suffix.lstrip(".") for suffix in serve_only or ()}

    def filesystem_path(self, request: WsgiRequest) -> Path:
        """Return the path of the file that the request names."""
        return self.get_full_path(request.urlargs["path"])

    def get_full_path(self, path: str) -> Path:
        """Return the path of a file in the directory. Raises `Http404` if it is none."""
        full = within(self.directory, [name for name in path.split("/") if name])
        if full is None:
            raise Http404
        return full

    def get(self, request: WsgiRequest) -> WsgiResponse:
        """Return the response with the file or the directory."""
        path: str = request.urlargs["path"]
        if self.serve_only and path.rpartition(".")[2] not in self.serve_only:
            raise self.SkipRoute
        try:
            return self._serve(request, self.filesystem_path(request))
        except Http404:
            page = self.get_full_path("404.html")
            real = self._existing(page)
            if real is None or real.is_dir():
                raise
            return self.serve_file(request, page, status_code=404)

    def _serve(self, request: WsgiRequest, full: Path) -> WsgiResponse:
        is_directory = request.path.endswith("/")
        real = self._existing(full)
        if real is not None and real.is_dir():
            if self.serve_only:
                raise Http404
            return self._serve_directory(request, real, is_directory)
        if is_directory:
            raise Http404
        if real is None and self.default_suffix and not self.serve_only:
            full = full.with_name(f"{full.name}.{self.default_suffix.lstrip('.')}")
        return self.serve_file(request, full)

    def _serve_directory(
        self, request: WsgiRequest, real: Path, is_directory: bool
    ) -> WsgiResponse:
        default = real / self.default_file if self.default_file else None
        if default is not None and self._existing(default) is None:
            default = None
        if default is None and not self.show_indexes:
            raise Http404
        if not is_directory:
            # The links in it are relative.
            raise redirect(request.environ, f"{request.environ['PATH_INFO']}/")
        if default is None:
            return self.directory_index(request, real)
        return self.serve_file(request, default)

    def _existing(self, full: Path) -> Path | None:
        try:
            return resolve(self.directory, full)
        except (OSError, ValueError) as error:
            if not is_missing(error):
                raise
            return None


class FileRouter(MediaMixin, Router):
    """Serves one file, such as ``FileRouter("/favicon.ico", "assets/favicon.ico")``.

    With a ``status_code`` that is its status, and there are no conditional requests and no ranges.
    """

    def __init__(
        self,
        rule: str,
        file_path: str | os.PathLike[str],
        status_code: int | None = None,
        **parameters: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(rule, **parameters)
        self.file_path = Path(file_path).absolute()
        self.status_code = status_code

    def get(self, request: WsgiRequest) -> WsgiResponse:
        """Return the response with the file."""
        return self.serve_file(request, self.file_path, self.status_code)


def _is_folder(
    entry: os.DirEntry[str], root: str | os.PathLike[str], path: str | os.PathLike[str]
) -> bool | None:
    """Whether it is a directory; ``None`` for a link that is not served."""
    if not entry.is_symlink():
        return entry.is_dir(follow_symlinks=False)
    try:
        return resolve(root, Path(path, entry.name)).is_dir()
    except (OSError, ValueError):
        return None


def _printable(name: str) -> str:
    return html.escape(os.fsencode(name).decode("utf-8", "replace"))
