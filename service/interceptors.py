"""What every call has in common: request id, authentication, exception to status, and one log line.

It also parses the requests, since gRPC itself answers a request that cannot be parsed with Python's own words. It
knows no method and no message.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias, cast

import grpc
import structlog
from google.protobuf.message import DecodeError

from common.logging import get_logger
from common.request_id import is_request_id
from service.calls import Call, current_call, enter_call
from service.errors import Reason, ServiceError, invalid_api_key, service_error_of, to_status

__all__ = ["CallInterceptor", "current_call"]

Context = grpc.aio.ServicerContext[Any, Any]
# Only the stubs know it as generic.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Parse = Callable[[bytes], Any]

HEALTH = "grpc.health.v1.Health/"
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
MAX_METHOD = 100
NO_SUCH_METHOD = "The server does not have this method."


class CallInterceptor(grpc.aio.ServerInterceptor):
    """owner_of: the owner of an API key, None for no such key; it is given None if the call has none.

    logger: where the log lines go. clock: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        owner_of: Callable[[str | None], str | None],
        logger: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owner_of = owner_of
        self._log = logger or get_logger("service.call")
        self._clock = clock

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details) or _UNKNOWN
        method = handler_call_details.method.lstrip("/")[:MAX_METHOD]
        metadata = tuple(handler_call_details.invocation_metadata or ())
        behaviour = _behaviour(handler)
        parse = handler.request_deserializer or bytes

        def begin() -> _Guard:
            return _Guard(self._owner_of, self._log, self._clock, method, metadata)

        # A stream is made by a generator, or by a coroutine that writes to the context, as in the health service.
        guarded = _guarded_generator if inspect.isasyncgenfunction(behaviour) else _guarded_coroutine
        return _rebuilt(handler, guarded(begin, behaviour, parse, handler.request_streaming))


class _Guard:
    """One call from its beginning to its log line."""

    def __init__(
        self,
        owner_of: Callable[[str | None], str | None],
        logger: Any,
        clock: Callable[[], float],
        method: str,
        metadata: Sequence[tuple[str, str | bytes]],
    ) -> None:
        self._owner_of, self._log, self._clock = owner_of, logger, clock
        self._metadata = metadata
        self._call = Call(method, self._request_id())
        self._began = clock()
        self._code = grpc.StatusCode.OK
        self._reason: str | None = None

    async def admit(self, context: Context) -> None:
        """Binds the call to its task, answers with its id and authenticates. Raises ServiceError."""
        enter_call(self._call)
        # Bound without an end: a stream may be closed in another context, and this task serves this call only.
        structlog.contextvars.bind_contextvars(request_id=self._call.request_id, **self._trace())
        await context.send_initial_metadata((("x-request-id", self._call.request_id),))
        if not self._call.method.startswith(HEALTH):
            self._call.owner = self._authenticated()

    async def refuse(self, error: BaseException, context: Context) -> NoReturn:
        """Ends the call with the status of an exception."""
        if isinstance(error, grpc.aio.AbortError):
            self._code = context.code()
            raise error
        if _is_from_outside(error):
            timed_out = context.time_remaining() == 0
            self._code = grpc.StatusCode.DEADLINE_EXCEEDED if timed_out else grpc.StatusCode.CANCELLED
            raise error
        told = service_error_of(error, self._call.request_id)
        if told is not error:
            self._explain(error, told)
        self._code, message, trailers = to_status(told)
        self._reason = told.reason.value
        await context.abort(self._code, message, trailers)

    def end(self) -> None:
        """Writes the log line. Takes no time, since a closed generator has none."""
        write = self._log.debug if self._call.method.startswith(HEALTH) else self._log.info
        fields: dict[str, Any] = {
            "method": self._call.method,
            "code": self._code.name,
            "reason": self._reason,
            "owner": self._call.owner or None,
            "duration_ms": round((self._clock() - self._began) * 1000, 1),
        }
        # The id is given once more, since a stream may be closed where it is not bound.
        known = {name: value for name, value in fields.items() if value is not None}
        write("call", **{**self._call.notes, **known, "request_id": self._call.request_id})

    def _request_id(self) -> str:
        given = self._text("x-request-id")
        return given if is_request_id(given) else "req_" + secrets.token_hex(16)

    def _trace(self) -> dict[str, str]:
        given = self._text("traceparent")
        return {"traceparent": given} if TRACEPARENT.fullmatch(given) else {}

    def _authenticated(self) -> str:
        scheme, _, key = self._text("authorization").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else ""
        owner = self._owner_of(given or None)
        if owner is None:
            raise invalid_api_key(given=bool(given))
        return owner

    def _text(self, name: str) -> str:
        values = (value for key, value in self._metadata if key == name)
        return next((value for value in values if isinstance(value, str)), "")

    def _explain(self, error: BaseException, told: ServiceError) -> None:
        if told.reason is Reason.INTERNAL:
            self._log.error("a call failed", request_id=self._call.request_id, exc_info=error)
        else:
            self._call.note(cause=f"{type(error).__name__}: {error}")


def _is_from_outside(error: BaseException) -> bool:
    """Whether the caller left, or the server stops: then nobody waits for a status.

    A CancelledError of our own making is not of these; without a status its caller would wait for ever.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return not isinstance(error, Exception)


def _guarded_coroutine(
    begin: Callable[[], _Guard], behaviour: Callable[..., Any], parse: Parse, streamed_request: bool
) -> Callable[[Any, Context], Awaitable[Any]]:
    async def serve(request: Any, context: Context) -> Any:
        guard = begin()
        try:
            await guard.admit(context)
            return await behaviour(_parsed(request, parse, streamed_request), context)
        except BaseException as error:
            await guard.refuse(error, context)
        finally:
            guard.end()

    return serve


def _guarded_generator(
    begin: Callable[[], _Guard], behaviour: Callable[..., Any], parse: Parse, streamed_request: bool
) -> Callable[[Any, Context], AsyncGenerator[Any, None]]:
    async def serve(request: Any, context: Context) -> AsyncGenerator[Any, None]:
        guard = begin()
        try:
            await guard.admit(context)
            async with aclosing(behaviour(_parsed(request, parse, streamed_request), context)) as messages:
                async for message in messages:
                    yield message
        except BaseException as error:
            await guard.refuse(error, context)
        finally:
            guard.end()

    return serve


def _parsed(request: Any, parse: Parse, streamed: bool) -> Any:
    return _parsed_stream(request, parse) if streamed else _message(request, parse)


async def _parsed_stream(requests: AsyncIterator[bytes], parse: Parse) -> AsyncIterator[Any]:
    async for request in requests:
        yield _message(request, parse)


def _message(request: bytes, parse: Parse) -> Any:
    try:
        return parse(request)
    except DecodeError:
        message = "The request cannot be read: it is no message of this method, or a text in it is not valid UTF-8."
        raise ServiceError(Reason.INVALID_VALUE, message) from None


def _behaviour(handler: Handler) -> Callable[..., Any]:
    found = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    assert found is not None, "a method handler has one behaviour"
    return found


def _rebuilt(handler: Handler, serve: Any) -> Handler:
    """The same kind of handler around another function, which gets the bytes of the request."""
    build: Callable[..., Handler] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[bool(handler.request_streaming), bool(handler.response_streaming)]
    return build(serve, request_deserializer=None, response_serializer=handler.response_serializer)


async def _refuse_unknown(_: Any, context: Context) -> NoReturn:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, NO_SUCH_METHOD)


# A stream, so that it answers without waiting for a message.
_UNKNOWN: Handler = grpc.stream_stream_rpc_method_handler(cast(Any, _refuse_unknown))
