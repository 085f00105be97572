"""Serves an environment to Tollgate over standard input and output: JSON-RPC 2.0, one message a line, Gymnasium's words.

Copy this file beside your environment; it needs nothing but Python 3.9. An environment is an object with

    name                            a text
    is_deterministic                whether the same seed, options and actions give the same observations (default False)
    n_signals                       how many numbers `info["signals"]` has, always (default 0)
    reset(seed, options)            -> observation, info
    step(action)                    -> observation, reward, terminated, truncated, info
    tasks()                         -> a list of task descriptions (optional)
    close()                         (optional)

Observations and actions are texts. `info` may hold admissible_commands (texts), expert_command (a text or None), score (0 to 1),
is_success (a bool) and signals (numbers). docs/environment-protocol.md is the protocol in full.
"""

import json
import os
import sys

PROTOCOL_VERSION = 1
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
OUT_OF_TURN, ENVIRONMENT_FAILED = -32000, -32001


class ProtocolError(Exception):
    """What is answered by an error instead of a result."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def serve(environment):
    """Answers requests until `close`, or until standard input ends."""
    conversation = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace", newline="\n")
    # From here on a stray print goes to standard error, and cannot break the conversation.
    os.dup2(2, 1)
    session = Session(environment)
    for line in sys.stdin.buffer:
        request_id = None
        try:
            request = parse(line)
            request_id = request.get("id")
            reply = {"result": session.answer(request)}
        except ProtocolError as error:
            reply = {"error": {"code": error.code, "message": str(error)}}
        except Exception as error:  # an environment that fails says so, and goes on
            reply = {"error": {"code": ENVIRONMENT_FAILED, "message": f"{type(error).__name__}: {error}"}}
        message = {"jsonrpc": "2.0", "id": request_id, **reply}
        conversation.write(json.dumps(message, ensure_ascii=False, allow_nan=False) + "\n")
        conversation.flush()
        if session.is_closed:
            return


def parse(line):
    try:
        request = json.loads(line)
    except ValueError as error:
        raise ProtocolError(PARSE_ERROR, f"not a JSON message: {error}") from None
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise ProtocolError(INVALID_REQUEST, "a request is an object with a `method`")
    return request


class Session:
    """One conversation: keeps to the order of the calls, so that environments need not."""

    def __init__(self, environment):
        self.environment = environment
        self.is_playing = False
        self.is_closed = False

    def answer(self, request):
        params = request.get("params") or {}
        methods = {"hello": self.hello, "reset": self.reset, "step": self.step, "close": self.close}
        if hasattr(self.environment, "tasks"):
            methods["tasks"] = self.tasks
        if request["method"] not in methods:
            raise ProtocolError(METHOD_NOT_FOUND, f"there is no method `{request['method']}`")
        return methods[request["method"]](params)

    def hello(self, params):
        return {
            "protocol_version": PROTOCOL_VERSION,
            "name": self.environment.name,
            "is_deterministic": getattr(self.environment, "is_deterministic", False),
            "n_signals": getattr(self.environment, "n_signals", 0),
        }

    def reset(self, params):
        observation, info = self.environment.reset(params.get("seed"), params.get("options") or {})
        self.is_playing = True
        return {"observation": observation, "info": info}

    def step(self, params):
        if not self.is_playing:
            raise ProtocolError(OUT_OF_TURN, "`step` outside of an episode: `reset` begins one")
        if not isinstance(params.get("action"), str):
            raise ProtocolError(INVALID_PARAMS, "`step` needs an `action`, a text")
        observation, reward, terminated, truncated, info = self.environment.step(params["action"])
        self.is_playing = not (terminated or truncated)
        return {
            "observation": observation,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "info": info,
        }

    def tasks(self, params):
        return {"tasks": self.environment.tasks()}

    def close(self, params):
        if hasattr(self.environment, "close"):
            self.environment.close()
        self.is_closed = True
        return {}
