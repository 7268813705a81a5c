"""The page's server: clips come in, answers go out."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from orchestrator.ask.clips import MOST_BYTES
from orchestrator.ask.desk import Desk
from orchestrator.ask.page import PageHandler, PageServer
from reward_plugins.errors import CamReasonerError

MOST_JSON_BYTES = 100_000
"""Of a question."""
CLIP = "application/octet-stream"


class AskServer(PageServer):
    """Serves `desk` on 127.0.0.1."""

    def __init__(self, desk: Desk, port: int) -> None:
        self.desk = desk
        super().__init__(_Handler, port, "port")


class _Handler(PageHandler):
    page = Path(__file__).with_name("page.html")
    kinds = ("application/json", CLIP)
    server: AskServer

    def get(self, path: str) -> None:
        if path == "state":
            self.send_json(self.server.desk.state())
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def post(self) -> None:
        """`/clips` with a file, `/known` with {"clip"}, `/ask` with a question."""
        desk = self.server.desk
        try:
            if self.path == "/clips" and self.headers["Content-Type"] == CLIP:
                with desk.new_folder() as folder:
                    shown = desk.show(desk.folder, self._upload(folder))
                return self.send_json(shown)
            body = json.loads(self.rfile.read(self.length(MOST_JSON_BYTES)))
            if self.path == "/known":
                self.send_json(desk.show_known(str(body["clip"])))
            elif self.path == "/ask":
                self.send_json(desk.answer(**body))
            else:
                self.send_error(HTTPStatus.NOT_FOUND)
        except (CamReasonerError, OSError) as error:
            self.send_json({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.send_json({"error": f"no such request: {error}"}, HTTPStatus.BAD_REQUEST)

    def _upload(self, folder: Path) -> str:
        """Keep the body as a file in `folder`, and return its name in the desk's."""
        left = self.length(MOST_BYTES)
        given = PurePosixPath(unquote(self.headers["X-Name"] or "clip")).name or "clip"
        with (folder / given).open("wb") as file:
            while left and (part := self.rfile.read(min(left, 1 << 20))):
                left -= len(part)
                file.write(part)
        if left:
            raise ValueError("the upload ended early")
        return f"{folder.name}/{given}"
