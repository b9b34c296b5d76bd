"""The reader of SSE is as strict as the strictest client."""

import pytest

from tests.support.sse import parse_frames, text_of

FRAME = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n'
END = b"data: [DONE]\n\n"


def test_frames_and_comments_are_told_apart() -> None:
    assert text_of(parse_frames(FRAME + b": keep-alive\n\n" + FRAME + END)) == "aa"


@pytest.mark.parametrize(
    "body",
    [
        FRAME,
        END + FRAME,
        FRAME + END + END,
        (FRAME + END).replace(b"\n", b"\r\n"),
        FRAME + END.rstrip(),
        FRAME.replace(b"event: response", b"event: other") + END,
        FRAME.replace(b"event: response.output_text.delta\n", b"") + END,
        FRAME.replace(b'","delta"', b'",\ndata: "delta"') + END,
        b"id: 1\n" + FRAME + END,
    ],
)
def test_a_frame_that_clients_trip_over_is_noticed(body: bytes) -> None:
    with pytest.raises((AssertionError, ValueError)):
        parse_frames(body)
