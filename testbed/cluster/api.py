"""A small client of the API server, for what the testbed itself waits for."""

import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from testbed.cluster.layout import Layout


class Api:
    """Reads from the API server that ``kubeconfig`` names, as the administrator of the cluster at ``layout``."""

    def __init__(self, layout: Layout, kubeconfig: Path) -> None:
        self._layout = layout
        self._kubeconfig = kubeconfig

    def get(self, path: str) -> Any:
        """The decoded JSON at ``path``; None if it does not exist or the server does not answer (yet)."""
        text = self.text(path)
        return None if text is None else json.loads(text)

    def text(self, path: str) -> str | None:
        """As ``get``, not decoded."""
        try:
            context = ssl.create_default_context(cafile=str(self._layout.pki / "ca.crt"))
            context.load_cert_chain(self._layout.pki / "admin.crt", self._layout.pki / "admin.key")
            server = yaml.safe_load(self._kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
            # Without the proxies of a person's shell: the address is this machine's.
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            with opener.open(f"{server}{path}", timeout=5) as response:
                content: bytes = response.read()
        except OSError:  # no files yet, refused, reset, timed out, or an HTTP status other than 2xx
            return None
        return content.decode()
