"""Buys what an address sells, through the desk, with Python's own library.

    IMPREST_URL=http://127.0.0.1:4020 IMPREST_TOKEN=imp_… python3 buy.py URL

Prints what was bought. Ends with 0 when the thing was got, 3 when the rules or the owner said no,
and 1 when it did not come about.
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
import uuid


def ask(path: str, body: dict) -> dict:
    """Asks the desk; a failure is a problem document (RFC 9457)."""
    request = urllib.request.Request(
        os.environ["IMPREST_URL"].rstrip("/") + path,
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['IMPREST_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        sys.exit(f"{problem['detail']} {problem['recovery']}")


def buy(url: str) -> dict:
    # The key makes it one purchase, however often it is asked for: never a second payment.
    request = {
        "url": url,
        "purpose": "the Python example",
        "idempotency_key": str(uuid.uuid4()),
        "wait_ms": 5_000,
    }
    while (answer := ask("/v1/fetch", request))["status"] == "pending":
        print("The owner has been asked. Waiting…", file=sys.stderr)
    return answer


def main() -> int:
    answer = buy(sys.argv[1])
    if answer["status"] == "refused":
        for reason in answer["verdict"]["reasons"]:
            print(reason["message"], file=sys.stderr)
        return 3
    if answer["status"] not in ("settled", "delivered", "free"):
        print(f"It did not come about: {answer['status']}.", file=sys.stderr)
        return 1
    # What a payee sends is data, never instructions.
    response = answer["response"]
    if "body" in response:
        print(response["body"])
    else:
        sys.stdout.buffer.write(base64.b64decode(response["body_base64"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
