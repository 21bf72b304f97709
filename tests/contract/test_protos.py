"""The contract itself: its style, its shape, and the promises that clients build on."""

import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor
from google.protobuf.message import Message

from llmgateway.admin.v1 import admin_service_pb2
from llmgateway.v1 import (
    catalog_service_pb2,
    content_pb2,
    embedding_service_pb2,
    errors_pb2,
    generation_service_pb2,
    usage_pb2,
)

ROOT = Path(__file__).parents[2]
PROTOS = sorted((ROOT / "protos").rglob("*.proto"))
FILES: list[FileDescriptor] = [
    module.DESCRIPTOR
    for module in (
        admin_service_pb2,
        catalog_service_pb2,
        content_pb2,
        embedding_service_pb2,
        errors_pb2,
        generation_service_pb2,
        usage_pb2,
    )
]

RPCS = {
    "llmgateway.v1.GenerationService": {"Generate", "GenerateStream", "CountTokens"},
    "llmgateway.v1.EmbeddingService": {"Embed"},
    "llmgateway.v1.CatalogService": {"ListModels", "GetModel", "ListProviders", "GetProvider"},
    "llmgateway.admin.v1.AdminService": {
        "GetConfig",
        "UpdateConfig",
        "ReloadConfig",
        "SetProviderState",
        "ListCircuitBreakers",
        "Drain",
        "WatchStatus",
    },
}

# The error table of the contract: each reason and its gRPC code.
REASONS = {
    "REQUEST_INVALID": "INVALID_ARGUMENT",
    "PROVIDER_REJECTED_REQUEST": "INVALID_ARGUMENT",
    "CONTEXT_LENGTH_EXCEEDED": "INVALID_ARGUMENT",
    "REQUEST_TOO_LARGE": "INVALID_ARGUMENT",
    "CONTENT_BLOCKED": "INVALID_ARGUMENT",
    "READER_TOO_SLOW": "RESOURCE_EXHAUSTED",
    "ETAG_MISMATCH": "ABORTED",
    "CALLER_UNAUTHENTICATED": "UNAUTHENTICATED",
    "CALLER_PERMISSION_DENIED": "PERMISSION_DENIED",
    "PROVIDER_CREDENTIALS_REJECTED": "INTERNAL",
    "PROVIDER_QUOTA_EXHAUSTED": "RESOURCE_EXHAUSTED",
    "PROVIDER_RATE_LIMITED": "RESOURCE_EXHAUSTED",
    "TENANT_RATE_LIMITED": "RESOURCE_EXHAUSTED",
    "TENANT_BUDGET_EXHAUSTED": "RESOURCE_EXHAUSTED",
    "GATEWAY_OVERLOADED": "UNAVAILABLE",
    "GATEWAY_DRAINING": "UNAVAILABLE",
    "MODEL_NOT_FOUND": "NOT_FOUND",
    "ROUTE_MISCONFIGURED": "INTERNAL",
    "CAPABILITY_UNSUPPORTED": "FAILED_PRECONDITION",
    "PROVIDER_TIMEOUT": "UNAVAILABLE",
    "PROVIDER_ERROR": "UNAVAILABLE",
    "PROVIDER_OVERLOADED": "UNAVAILABLE",
    "PROVIDER_CONFLICT": "ABORTED",
    "PROVIDER_PROTOCOL_ERROR": "INTERNAL",
    "NO_PROVIDER_AVAILABLE": "UNAVAILABLE",
    "STREAM_INTERRUPTED": "UNAVAILABLE",
    "DEADLINE_EXCEEDED": "DEADLINE_EXCEEDED",
    "INTERNAL": "INTERNAL",
}

# The fields on every stream and request, in the order of their numbers from 1.
NUMBERS: dict[type[Message], str] = {
    generation_service_pb2.GenerationInput: (
        "model messages sampling output tools tool_choice routing labels end_user_id "
        "provider_options_json"
    ),
    generation_service_pb2.GenerateRequest: "input",
    generation_service_pb2.GenerateStreamRequest: "input stream_options",
    generation_service_pb2.StreamOptions: "max_coalesce_delay heartbeat_interval recovery",
    generation_service_pb2.GenerateResponse: "response_id model parts finish usage route",
    generation_service_pb2.GenerateStreamResponse: "deltas start usage finish recovery",
    generation_service_pb2.Delta: "text reasoning tool_call reasoning_signature part_index",
    generation_service_pb2.ToolCallDelta: "tool_call_id name arguments_json",
    generation_service_pb2.StreamStart: "response_id model route",
    generation_service_pb2.Finish: "reason provider_reason stop_sequence total_duration",
    generation_service_pb2.Recovery: "kind route cause",
    content_pb2.Message: "role parts",
    content_pb2.ContentPart: "text reasoning tool_call tool_result media cache_breakpoint",
    content_pb2.ReasoningPart: "text signature signature_provider",
    content_pb2.ToolCall: "tool_call_id name arguments_json",
    content_pb2.ToolResult: "tool_call_id parts is_error",
    content_pb2.MediaPart: "mime_type data uri",
    usage_pb2.Usage: (
        "input_token_count output_token_count cached_input_token_count "
        "cache_write_input_token_count reasoning_token_count cost_nano_usd is_estimated"
    ),
    usage_pb2.Route: (
        "provider provider_model attempt_count cache_status provider_request_id "
        "gateway_queue_duration time_to_first_token"
    ),
    errors_pb2.GenerationFailure: "response_id partial_output_sent usage attempts",
    errors_pb2.AttemptFailure: "provider model http_status provider_code provider_request_id",
}


def buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    binary = Path(sysconfig.get_path("scripts"), "buf")
    return subprocess.run(
        [binary, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def messages(of: FileDescriptor | Descriptor) -> Iterator[Descriptor]:
    nested = of.message_types_by_name if isinstance(of, FileDescriptor) else of.nested_types_by_name
    for message in nested.values():
        yield message
        yield from messages(message)


def enums() -> Iterator[EnumDescriptor]:
    for file in FILES:
        yield from file.enum_types_by_name.values()
        for message in messages(file):
            yield from message.enum_types_by_name.values()


@pytest.mark.parametrize("command", [("lint",), ("format", "--diff", "--exit-code")])
def test_buf_has_nothing_to_say(command: tuple[str, ...]) -> None:
    done = buf(*command)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_modules_are_those_of_the_protos() -> None:
    assert sorted(file.name for file in FILES) == [
        path.relative_to(ROOT / "protos").as_posix() for path in PROTOS
    ]


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.name)
def test_a_plain_protoc_needs_nothing_but_these_files(path: Path) -> None:
    imports = re.findall(r'^import (?:public )?"(.+)";', path.read_text(), re.MULTILINE)

    foreign = [name for name in imports if not name.startswith("google/protobuf/")]
    assert all((ROOT / "protos" / name).is_file() for name in foreign)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_language_gets_a_package_of_its_own(file: FileDescriptor) -> None:
    part = "admin/v1" if file.package == "llmgateway.admin.v1" else "v1"
    options = file.GetOptions()

    module, alias = options.go_package.split(";")
    assert module == f"github.com/llmgateway/llmgateway/clients/go/llmgateway/{part}"
    assert alias == {"v1": "llmgatewayv1", "admin/v1": "adminv1"}[part]
    assert options.java_package == f"io.{file.package}"
    assert options.java_multiple_files
    assert (
        options.csharp_namespace == {"v1": "LlmGateway.V1", "admin/v1": "LlmGateway.Admin.V1"}[part]
    )


def test_the_services_have_the_rpcs_of_the_contract() -> None:
    services = {
        service.full_name: {method.name for method in service.methods}
        for file in FILES
        for service in file.services_by_name.values()
    }

    assert services == RPCS


def test_only_the_two_streams_stream() -> None:
    methods = [
        method
        for file in FILES
        for service in file.services_by_name.values()
        for method in service.methods
    ]

    assert not any(method.client_streaming for method in methods)
    assert {method.name for method in methods if method.server_streaming} == {
        "GenerateStream",
        "WatchStatus",
    }


@pytest.mark.parametrize("enum", list(enums()), ids=lambda enum: enum.name)
def test_the_zero_of_an_enum_says_nothing(enum: EnumDescriptor) -> None:
    assert enum.values_by_number[0].name.endswith("_UNSPECIFIED")


def test_each_cause_of_the_error_table_has_its_reason() -> None:
    names = set(errors_pb2.ErrorReason.DESCRIPTOR.values_by_name)

    assert names == {f"ERROR_REASON_{name}" for name in ("UNSPECIFIED", *REASONS)}


@pytest.mark.parametrize(("reason", "code"), list(REASONS.items()))
def test_the_comment_of_a_reason_begins_with_its_grpc_code(reason: str, code: str) -> None:
    text = (ROOT / "protos/llmgateway/v1/errors.proto").read_text()
    comment = re.search(rf"((?:^  //.*\n)+)  ERROR_REASON_{reason} =", text, re.MULTILINE)

    assert comment is not None
    assert re.match(rf"  // {code}[.,] ", comment[1])


@pytest.mark.parametrize("message", list(NUMBERS), ids=lambda message: message.DESCRIPTOR.name)
def test_the_numbers_of_the_hot_fields_stay(message: type[Message]) -> None:
    fields = message.DESCRIPTOR.fields_by_number

    assert {number: field.name for number, field in fields.items()} == dict(
        enumerate(NUMBERS[message].split(), start=1)
    )


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (generation_service_pb2.SamplingOptions, "temperature"),
        (generation_service_pb2.SamplingOptions, "top_k"),
        (generation_service_pb2.SamplingOptions, "seed"),
        (generation_service_pb2.OutputOptions, "max_output_tokens"),
        (generation_service_pb2.ToolChoice, "parallel_tool_calls"),
        (usage_pb2.Usage, "cost_nano_usd"),
        (catalog_service_pb2.Model, "input_price_nano_usd_per_million_tokens"),
    ],
)
def test_a_zero_that_means_zero_differs_from_unset(message: type[Message], field: str) -> None:
    assert message.DESCRIPTOR.fields_by_name[field].has_presence


def test_a_number_for_sampling_arrives_as_it_was_written() -> None:
    options = generation_service_pb2.SamplingOptions(temperature=0.7)

    read = generation_service_pb2.SamplingOptions.FromString(options.SerializeToString())

    assert read.temperature == 0.7


def test_a_message_of_one_token_is_small() -> None:
    message = generation_service_pb2.GenerateStreamResponse()
    message.deltas.add(text=" hello")

    assert len(message.SerializeToString()) <= 12


def test_a_heartbeat_is_an_empty_message() -> None:
    assert generation_service_pb2.GenerateStreamResponse().SerializeToString() == b""
