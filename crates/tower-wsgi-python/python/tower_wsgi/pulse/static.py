"""Static files in development."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.contrib.staticfiles.views import serve

if TYPE_CHECKING:
    from django.http import FileResponse, HttpRequest, HttpResponse


class StaticFiles(StaticFilesHandler):
    """Django's handler for static files, for a project with any ``SCRIPT_NAME``.

    Django's own handler recognises a request for a file by ``PATH_INFO``, but opens the file by the
    path with ``SCRIPT_NAME``. Django's development server never sets ``SCRIPT_NAME``.
    """

    def serve(self, request: HttpRequest) -> HttpResponse | FileResponse:
        """Serve the requested file."""
        return serve(request, self.file_path(request.path_info), insecure=True)
