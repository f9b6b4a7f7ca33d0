"""The viewer: a page in the browser, its model, and the panels beside it."""

from __future__ import annotations

import contextlib
import io
import math
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..errors import ArgumentError, MissingError
from ..scene import Camera, PerspectiveCamera, Scene, Views
from .model import Model
from .panel_latent import LatentPanel
from .panel_photographs import PhotographPanel
from .panel_run import RunPanel
from .panel_steps import StepPanel
from .pictures import of_map, of_render
from .worker import Worker

if TYPE_CHECKING:
    import viser

    from ..fit import Fit

HEIGHT = 320  # pixels of a picture by our renderer
FLIP = np.diag([1.0, -1.0, -1.0])  # the page's cameras look along +z with y down, ours along −z with y up


def view(
    scene: Scene,
    generator: nn.Module | None = None,
    views: Views | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
) -> Viewer:
    """Show a scene in the browser; returns at once, and serves until it is closed or the program ends.

        viewer = nt.view(scene, generator)          # sliders move its latents
        with nt.view(scene, views=views) as viewer:
            fit.run(on_step=viewer.watch)           # loss, a photograph, pause and stop

    With a `generator`, every mesh wears what it makes. `views` appear where they were taken. `host` and `port` are
    where the page is served: only to this machine, unless `host` says otherwise; a port that is taken is passed over
    for the next free one. ArgumentError for a `host` that is not this machine's; SceneError for a scene without meshes;
    MissingError where the extra is missing.
    """
    return Viewer(Model(scene, generator), views, host, port)


class Viewer:
    """What `view` returns. `url` is where to look; `close()`, or the end of a `with`, ends it.

    `model` is what is looked at, `views` are photographs of it, `host` and `port` where the page is served.
    MissingError where viser is not installed, ArgumentError for a host that is not this machine's.
    """

    def __init__(self, model: Model, views: Views | None = None, host: str = "127.0.0.1", port: int = 8080):
        try:
            import viser
        except ImportError:
            raise MissingError("the viewer needs viser: pip install 'neurotex[viewer]'.") from None
        _check_host(host)
        self.model = model
        self._closed = threading.Event()
        with contextlib.redirect_stdout(io.StringIO()):  # where to look, `url` says
            self.server = viser.ViserServer(host=host, port=port, label="neurotex", verbose=False)
        self.worker = Worker(self._say)
        scene, gui = self.server.scene, self.server.gui
        gui.configure_theme(control_width="large", dark_mode=False, show_logo=False, show_share_button=False)
        scene.set_up_direction("+y")
        self.server.initial_camera.position = (1.0, 0.8, 1.9)
        self.server.initial_camera.look_at = (0.0, 0.0, 0.0)
        scale = 1 / model.radius
        self._glb = scene.add_glb("/model", model.glb(), scale=scale, position=tuple((-scale * model.center).tolist()))
        tabs = gui.add_tab_group()
        self._latent = None
        if model.generator is not None:
            with tabs.add_tab("Latent"):
                self._latent = LatentPanel(gui, model, self.changed)
        with tabs.add_tab("Steps"):
            self._steps = StepPanel(gui, model, self.changed)
        with tabs.add_tab("Maps"):
            self._maps_folder = gui.add_folder("as they are exported")
        self._maps: dict[str, Any] = {}
        self.photographs = None
        if views is not None:
            with tabs.add_tab("Photographs"):
                self.photographs = PhotographPanel(self, views)
        self._tabs, self._run = tabs, None
        self._ours: dict[int, Callable[[], None]] = {}
        self.server.on_client_connect(self._welcome)
        self.server.on_client_disconnect(self._leave)
        self.changed()

    @property
    def url(self) -> str:
        """Where the page is."""
        host = self.server.get_host()
        return f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1') else host}:{self.server.get_port()}"

    def changed(self) -> None:
        """Show the model as it is now; returns at once."""
        self.worker.ask("model", self._refresh)

    def watch(self, fit: Fit) -> None:
        """For `fit.run(on_step=viewer.watch)`: the loss, and every few steps the model. Waits while paused; Interrupted
        once somebody has pressed stop."""
        if self._run is None:
            with self._tabs.add_tab("Run"):
                self._run = RunPanel(self.server.gui)
        if self._run.tell(fit):
            self._refresh()  # in this thread, between two steps: no other writes the texels meanwhile

    def wait(self) -> None:
        """Until it is closed, or Ctrl-C."""
        while not self._closed.wait(0.5):
            pass

    def close(self) -> None:
        """End the page and what computes for it."""
        if not self._closed.is_set():
            self._closed.set()
            self.worker.close()
            with contextlib.redirect_stdout(io.StringIO()):
                self.server.stop()

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seen_from(self, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """A camera of the scene as the page places it: quaternion wxyz and position, in radii of the model."""
        from viser.transforms import SO3

        transform = camera.transform.detach().double().cpu().numpy()
        position = (transform[:3, 3] - self.model.center.double().numpy()) / self.model.radius
        turn = transform[:3, :3] / np.linalg.norm(transform[:3, :3], axis=0)
        return SO3.from_matrix(turn @ FLIP).wxyz, position

    def _camera_of(self, client: viser.ClientHandle) -> PerspectiveCamera:
        from viser.transforms import SO3

        transform = np.eye(4)
        transform[:3, :3] = SO3(np.asarray(client.camera.wxyz)).as_matrix() @ FLIP
        position = np.asarray(client.camera.position) * self.model.radius + self.model.center.double().numpy()
        transform[:3, 3] = position
        degrees = math.degrees(float(client.camera.fov))
        return PerspectiveCamera(torch.from_numpy(transform).float(), degrees)

    def _refresh(self) -> None:
        if self._latent is not None:
            self._latent.apply()
        self.model.refresh()
        self._glb.glb_data = self.model.glb()
        self.worker.ask("maps", self._show_maps)
        if self.photographs is not None:
            self.worker.ask("compare", self.photographs.compare)
        for number, draw in list(self._ours.items()):
            self.worker.ask(f"render {number}", draw)

    def _show_maps(self) -> None:
        maps = self.model.maps()
        for name in [name for name in self._maps if name not in maps]:
            self._maps.pop(name).remove()
        for name, values in maps.items():
            picture = of_map(values)
            if name in self._maps:
                self._maps[name].image = picture
            else:
                with self._maps_folder:
                    self._maps[name] = self.server.gui.add_image(picture, label=name)

    def _welcome(self, client: viser.ClientHandle) -> None:
        """A panel of this browser's own: our renderer's picture from where it looks."""
        with client.gui.add_folder("our renderer", expand_by_default=False):
            along = client.gui.add_checkbox("render along", False, hint="whenever the camera or the texture changes")
            here = client.gui.add_button("render from here")
            shown = client.gui.add_image(np.full((8, 8, 3), 204, np.uint8), visible=False)

        def draw() -> None:
            width = max(round(HEIGHT * min(float(client.camera.aspect), 2.0)), 1)
            shown.image = of_render(self.model.render(self._camera_of(client), (HEIGHT, width)))
            shown.visible = True

        def ask() -> None:
            self.worker.ask(f"render {client.client_id}", draw)

        def follow() -> None:
            if along.value:
                self._ours[client.client_id] = draw
                ask()
            else:
                self._ours.pop(client.client_id, None)

        here.on_click(lambda _: ask())
        along.on_update(lambda _: follow())
        client.camera.on_update(lambda _: ask() if along.value else None)

    def _leave(self, client: viser.ClientHandle) -> None:
        self._ours.pop(client.client_id, None)

    def _say(self, error: Exception) -> None:
        """In every browser, what went wrong."""
        if self._closed.is_set():
            return
        for client in self.server.get_clients().values():
            client.add_notification(type(error).__name__, str(error), color="red", auto_close_seconds=10)


def _check_host(host: str) -> None:
    """The page's server fails in a thread of its own, where nobody hears it: so an address is tried first."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.bind(address)
    except (OSError, UnicodeError):
        raise ArgumentError(
            f"host {host!r} is no address of this machine: leave it out, or give 0.0.0.0 for all of them."
        ) from None
