"""Static files in development."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.contrib.staticfiles.views import serve

if TYPE_CHECKING:
    from django.http import FileResponse, HttpRequest, HttpResponse


class StaticFiles(StaticFilesHandler):
    """Django's handler, which also works when the project is mounted below the root.

    Django's own recognises a file by ``PATH_INFO``, but looks for it by the path with
    ``SCRIPT_NAME``, which its development server never sets.
    """

    def serve(self, request: HttpRequest) -> HttpResponse | FileResponse:
        """Serve the file that the request is for."""
        return serve(request, self.file_path(request.path_info), insecure=True)
