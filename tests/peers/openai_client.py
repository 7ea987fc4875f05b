"""The real openai client asks: `openai_client.py <base url> <text> [stream]`; one JSON line per event."""

import sys

import openai

base_url, text, *stream = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
question = {"model": "agent", "input": [{"role": "user", "content": text}]}
try:
    told = (
        client.responses.create(**question, stream=True) if stream else [client.responses.create(**question)]
    )
    for one in told:
        sys.stdout.write(one.to_json(indent=None) + "\n")
except openai.APIStatusError as error:
    sys.exit(f"{error.status_code} {error.message}")
except openai.APIError as error:
    sys.exit(error.message)
