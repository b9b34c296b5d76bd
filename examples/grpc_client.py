"""Streams an answer over gRPC, with the stubs that were generated from proto/answerd/v1.

    .venv/bin/python examples/grpc_client.py "What is 2+2?"

The address and the API key, if the server wants one, come from ANSWERD_GRPC_TARGET and ANSWERD_API_KEY.
"""

import os
import sys

import grpc

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub

TARGET = os.environ.get("ANSWERD_GRPC_TARGET", "127.0.0.1:50051")
KEY = os.environ.get("ANSWERD_API_KEY", "none")


def main(question: str) -> None:
    request = CreateResponseRequest(input=Input(text=question), temperature=0, max_output_tokens=100)
    with grpc.insecure_channel(TARGET) as channel:
        events = ResponsesServiceStub(channel).CreateResponse(request, metadata=(("authorization", f"Bearer {KEY}"),))
        for event in events:
            match event.WhichOneof("event"):
                case "output_text_delta":
                    print(event.output_text_delta.delta, end="", flush=True)
                case "completed" | "incomplete" as kind:
                    response = getattr(event, kind).response
                    print(f"\n\n{response.id} is {kind}, {response.usage.output_tokens} tokens")
                case "failed":
                    raise SystemExit(event.failed.response.error.message)


if __name__ == "__main__":
    try:
        main(" ".join(sys.argv[1:]) or "What is 2+2?")
    except grpc.RpcError as error:
        raise SystemExit(f"{error.code().name}: {error.details()}") from None
