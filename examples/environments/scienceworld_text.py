#!/usr/bin/env python3
"""ScienceWorld through the protocol: how another program's simulator is wrapped, and what that costs.

    pip install scienceworld        needs Java as well
    tollgate environment check -- python3 examples/environments/scienceworld_text.py

Tollgate's own suite `scienceworld` speaks to the simulator directly; docs/environment-protocol.md has the figures of both. This
wrapper asks the simulator for nothing but the step, the score and whether it is over, as the direct client does.
"""

import sys

from scienceworld import ScienceWorldEnv

from tollgate_environment import serve

DEFAULT_KIND = "find-living-thing"


class ScienceWorldText:
    name = "scienceworld"
    # The package starts its JVM without `-XX:hashCode=2`: the order of what is listed may differ between two processes.
    is_deterministic = False

    def __init__(self):
        self.simulator = ScienceWorldEnv()
        self.server = self.simulator.server

    def reset(self, seed, options):
        """The kind is the task type, the seed the variation."""
        kind = options.get("kind") or DEFAULT_KIND
        variation = (seed or 0) % self.simulator.get_max_variations(kind)
        self.server.load(kind, variation, "easy", True)
        self.gold_path = list(self.server.getGoldActionSequence())
        self.server.load(kind, variation, "easy", False)
        self.n_right = 0
        self.score = 0.0
        task = self.server.getTaskDescription()
        return f"{task}\n{self.server.freeActionLook()}", self.info()

    def step(self, action):
        observation = self.server.step(action)
        score = self.server.getScore()
        is_complete = bool(self.server.getCompleted()) or score < 0
        # The gold path is an expert only as long as it is followed.
        if self.n_right is not None and self.n_right < len(self.gold_path) and action == self.gold_path[self.n_right]:
            self.n_right += 1
        else:
            self.n_right = None
        reward = score - self.score
        self.score = score
        return observation, reward, is_complete, False, self.info()

    def info(self):
        is_on_path = self.n_right is not None and self.n_right < len(self.gold_path)
        return {
            "expert_command": self.gold_path[self.n_right] if is_on_path else None,
            "score": min(max(self.score, 0.0), 1.0),
            "is_success": self.score >= 1.0,
        }

    def close(self):
        self.simulator.close()


if __name__ == "__main__":
    # The package's JVM prints to standard output unless it is told otherwise; `serve` sends that to standard error.
    serve(ScienceWorldText())
