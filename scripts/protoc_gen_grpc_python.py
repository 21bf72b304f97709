"""A protoc plugin that generates gRPC's Python stubs for files that have services.

gRPC ships this generator only inside grpcio-tools' own protoc, so that other drivers (buf) cannot
call it, and it writes empty modules for files without services.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Runs grpcio-tools' protoc over the files that protoc or buf asks for."""
    wanted = set(request.file_to_generate)
    services = [file.name for file in request.proto_file if file.name in wanted and file.service]
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    if not services:
        return response
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch, "image.binpb")
        image.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        out = Path(scratch, "out")
        out.mkdir()
        code = protoc.main(
            ["protoc", f"--descriptor_set_in={image}", f"--grpc_python_out={out}", *services]
        )
        if code:
            response.error = f"grpc_tools.protoc ended with code {code}"
            return response
        for path in sorted(path for path in out.rglob("*") if path.is_file()):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text())
    return response


if __name__ == "__main__":
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(generate(request).SerializeToString())
