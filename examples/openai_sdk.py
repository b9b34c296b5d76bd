"""Asks, streams and continues with OpenAI's Python SDK (`pip install openai`), pointed at this server.

    .venv/bin/python examples/openai_sdk.py

The address and the API key, if the server wants one, come from OPENAI_BASE_URL and OPENAI_API_KEY.
"""

import os

from openai import OpenAI

BASE_URL = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1")
KEY = os.environ.get("OPENAI_API_KEY", "none")
MODEL = "default"


def main() -> None:
    with OpenAI(base_url=BASE_URL, api_key=KEY) as client:
        print("One answer:")
        answer = client.responses.create(model=MODEL, input="My name is Ada. Say hello to me.", max_output_tokens=40)
        print(answer.output_text)

        print("\nThe same conversation, continued and streamed:")
        with client.responses.create(
            model=MODEL,
            input="What is my name?",
            instructions="Answer in one short sentence.",
            previous_response_id=answer.id,
            max_output_tokens=40,
            stream=True,
        ) as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    print(event.delta, end="", flush=True)

        print("\n\nStored, and deleted again:")
        print(client.responses.retrieve(answer.id).status)
        client.responses.delete(answer.id)


if __name__ == "__main__":
    main()
