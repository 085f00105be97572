"""A world that counts, and that breaks in the way that its first argument names.

broken_world.py WAY [MARKER]: with a marker file it breaks in the process that finds none, and leaves one behind.
"""

import json
import os
import sys
import time

WAY = sys.argv[1]
MARKER = sys.argv[2] if len(sys.argv) > 2 else None
BREAKS_AT_STEP = 3


def say(reply):
    sys.stdout.buffer.write(json.dumps(reply, ensure_ascii=False).encode() + b"\n")
    sys.stdout.buffer.flush()


def say_raw(line):
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def breaks():
    if MARKER is None:
        return True
    if os.path.exists(MARKER):
        return False
    open(MARKER, "w").close()
    return True


def break_at_step(request_id):
    if WAY == "hangs":
        time.sleep(600)
    elif WAY == "dies":
        print("out of memory, or so", file=sys.stderr)
        os._exit(3)
    elif WAY == "babbles":
        say_raw(b"debug: step 3")
    elif WAY == "long-line":
        say_raw(b'{"id": %d, "result": {"observation": "' % request_id + b"x" * 3_000_000)
    elif WAY == "not-utf8":
        say_raw(b'{"id": %d, "result": {"observation": "\xff"}}' % request_id)
    elif WAY == "wrong-id":
        say({"id": 77, "result": {"observation": "", "reward": 0, "terminated": False}})
    elif WAY == "not-a-number":
        say_raw(b'{"id": %d, "result": {"observation": "", "reward": NaN, "terminated": false}}' % request_id)
    elif WAY == "no-text":
        say({"id": request_id, "result": {"observation": 3, "reward": 0, "terminated": False}})
    elif WAY == "score-2":
        say({"id": request_id, "result": {"observation": "", "reward": 0, "terminated": False, "info": {"score": 2}}})
    elif WAY == "refuses":
        say({"id": request_id, "error": {"code": -32001, "message": "the lamp is broken"}})
    else:
        return False
    return True


if WAY == "exits-at-start":
    print("ModuleNotFoundError: No module named 'world'", file=sys.stderr)
    sys.exit(1)

n_steps = 0
for line in sys.stdin.buffer:
    request = json.loads(line)
    request_id = request["id"]
    if request["method"] == "hello":
        if WAY == "silent":
            time.sleep(600)
        version = 7 if WAY == "version-7" else 1
        n_signals = 2 if WAY == "signals" else 0
        hello = {"protocol_version": version, "name": "counter", "is_deterministic": WAY != "chancy", "n_signals": n_signals}
        say({"id": request_id, "result": hello})
    elif request["method"] == "reset":
        if WAY == "dies-at-reset" and breaks():
            os._exit(4)
        n_steps = 0
        say({"id": request_id, "result": {"observation": "0"}})
    elif request["method"] == "step":
        n_steps += 1
        if WAY == "slow":
            time.sleep(0.2)
        if n_steps == BREAKS_AT_STEP and WAY in ("chancy", "forgetful") and breaks():
            os._exit(5)
        if n_steps == BREAKS_AT_STEP and WAY not in ("slow",) and (MARKER is None or not os.path.exists(MARKER)):
            if breaks() and break_at_step(request_id):
                continue
        has_restarted = MARKER is not None and os.path.exists(MARKER)
        text = f"{n_steps} {request['params']['action']}" + ("?" if WAY == "forgetful" and has_restarted else "")
        reward = 1.0 if n_steps == 5 else 0.0
        say({"id": request_id, "result": {"observation": text, "reward": reward, "terminated": n_steps == 5}})
    else:
        say({"id": request_id, "result": {}})
        break
