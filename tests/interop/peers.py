"""The peers: how each is installed, which versions it has, and how it makes its calls.

What they are asked, and what they must get, does not live here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from tests.interop import grpcurl
from tests.interop.calls import Call, Result, results_of, script_text
from tests.interop.installing import (
    BUILD,
    PROTOS,
    SIDECAR_PROTO,
    copy,
    debian,
    lay_out_proto,
    npm,
    run,
    version_of,
)

_HERE: Final = Path(__file__).parent
_DEBIAN_PROTOS: Final = Path("/usr/share/grpc-proto")
_LONGEST: Final = 600


class Peer(Protocol):
    """A gRPC client that nobody here wrote."""

    name: str

    def prepare(self) -> str:
        """Install and build it; return its versions. Raises `Missing`."""
        ...

    def results(self, target: str, calls: Sequence[Call]) -> list[Result]:
        """Make the calls, one after the other, and return what came back."""
        ...


class _Program:
    """A peer that is one program: the script goes in, the results come out."""

    name: str

    def _command(self, target: str) -> list[str | Path]:
        raise NotImplementedError

    def results(self, target: str, calls: Sequence[Call]) -> list[Result]:
        done = subprocess.run(
            self._command(target),
            input=script_text(calls),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=_LONGEST,
        )
        return results_of(done.stdout)


class Node(_Program):
    """`@grpc/grpc-js` with `@grpc/proto-loader`: gRPC and protobuf in JavaScript."""

    name = "node"
    folder = BUILD / "node"

    def prepare(self) -> str:
        lay_out_proto()
        files = [file.name for file in (_HERE / "node").iterdir() if file.is_file()]
        copy(_HERE / "node", self.folder, files)
        npm(self.folder)
        wanted = json.loads((self.folder / "package.json").read_text())["dependencies"]
        packages = [f"{name} {wanted[name]}" for name in list(wanted)[:2]]
        return ", ".join([f"Node.js {run('node', '--version')[1:]}", *packages])

    def _command(self, target: str) -> list[str | Path]:
        return ["node", self.folder / "client.js", target, PROTOS]


class Ruby(_Program):
    """Ruby's `grpc`, on the same C core as ours, with the protobuf of Ruby."""

    name = "ruby"
    folder = BUILD / "ruby"

    def prepare(self) -> str:
        debian("ruby-grpc", "ruby-grpc-tools", "grpc-proto", "protobuf-compiler")
        lay_out_proto()
        self.folder.mkdir(parents=True, exist_ok=True)
        run(
            *("grpc_tools_ruby_protoc", "-I", PROTOS, "-I", _DEBIAN_PROTOS),
            *("--ruby_out", self.folder, "--grpc_out", self.folder),
            *(SIDECAR_PROTO, "grpc/reflection/v1alpha/reflection.proto"),
        )
        return ", ".join(
            [
                f"Ruby {run('ruby', '-e', 'print RUBY_VERSION')}",
                f"grpc {version_of('ruby-grpc')}",
                f"google-protobuf {version_of('ruby-google-protobuf')}",
            ]
        )

    def _command(self, target: str) -> list[str | Path]:
        return ["ruby", _HERE / "ruby" / "client.rb", target, self.folder]


class Go(_Program):
    """grpc-go: HTTP/2, gRPC and protobuf written in Go."""

    name = "go"
    folder = BUILD / "go"

    def prepare(self) -> str:
        debian(
            *("golang-go", "golang-google-grpc-dev", "golang-google-protobuf-dev"),
            *("golang-github-golang-protobuf-1-5-dev", "golang-google-genproto-dev"),
            *("protoc-gen-go", "protoc-gen-go-grpc", "protobuf-compiler"),
        )
        lay_out_proto()
        code = self.folder / "src" / "interop"
        code.mkdir(parents=True, exist_ok=True)
        module = f"M{SIDECAR_PROTO}=interop/sidecar"
        run(
            *("protoc", "-I", PROTOS, "--go_out", self.folder / "src"),
            *("--go_opt", module, "--go-grpc_out", self.folder / "src"),
            *("--go-grpc_opt", module, SIDECAR_PROTO),
        )
        copy(_HERE / "go", code, ["main.go"])
        run(
            *("go", "build", "-o", self.folder / "client", "interop"),
            env={
                "GO111MODULE": "off",
                "GOPATH": f"{self.folder}:/usr/share/gocode",
                "GOCACHE": str(self.folder / "cache"),
            },
        )
        return ", ".join(
            [
                f"Go {run('go', 'version').split()[2][2:]}",
                f"grpc-go {version_of('golang-google-grpc-dev')}",
                f"protobuf-go {version_of('golang-google-protobuf-dev')}",
            ]
        )

    def _command(self, target: str) -> list[str | Path]:
        return [self.folder / "client", target]


class Grpcurl:
    """The command line tool, run once for each call."""

    name = "grpcurl"
    folder = BUILD / "grpcurl"

    def prepare(self) -> str:
        lay_out_proto()
        return grpcurl.prepare(self.folder, _HERE / "grpcurl.txt")

    def results(self, target: str, calls: Sequence[Call]) -> list[Result]:
        program = grpcurl.program(self.folder)
        return [grpcurl.result(program, target, call) for call in calls]


PEERS: Final[tuple[Peer, ...]] = (Node(), Ruby(), Go(), Grpcurl())
