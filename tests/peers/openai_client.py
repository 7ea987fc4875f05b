"""The real openai client, asking whatever it is told to: a line of JSON in, a line of JSON out, until stdin ends.

In: `{"base_url": …, "question": …}`, the question being the arguments of `responses.create`.
Out: `{"told": …, "error": …}`: what came in order, events or one answer, and what was raised, or null.
"""

import json
import sys

import openai


def told(base_url, question):
    with openai.OpenAI(base_url=base_url, api_key="the-clients-own", max_retries=0) as client:
        answer = client.responses.create(model="agent", **question)
        yield from answer if question.get("stream") else [answer]


def asked(base_url, question):
    came, error = [], None
    try:
        for one in told(base_url, question):
            came.append(one.to_dict())
    except openai.APIError as raised:
        status = getattr(raised, "status_code", None)
        error = {
            "kind": type(raised).__name__,
            "status": status,
            "message": raised.message,
            "body": raised.body,
        }
    return {"told": came, "error": error}


for line in sys.stdin:
    sys.stdout.write(json.dumps(asked(**json.loads(line))) + "\n")
    sys.stdout.flush()
