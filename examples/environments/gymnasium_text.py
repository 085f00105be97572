#!/usr/bin/env python3
"""Any Gymnasium environment that can be shown as text: FrozenLake and Taxi as they come, others with a line in `ACTIONS`.

    pip install gymnasium
    tollgate environment check -- python3 examples/environments/gymnasium_text.py FrozenLake-v1

The observation is the `ansi` rendering, the commands are words for the numbers that the environment takes, and
`reset(seed=..)`, `terminated` and `truncated` are Gymnasium's own. FrozenLake's lake is drawn anew from the task's seed, and
holds still (`is_slippery=False`): a simulated expert can only plan in a world that does as it is told.
"""

import re
import sys
from collections import deque

import gymnasium
from gymnasium.envs.toy_text.frozen_lake import generate_random_map

from tollgate_environment import serve

ACTIONS = {
    "FrozenLake-v1": ["left", "down", "right", "up"],
    "Taxi-v4": ["south", "north", "east", "west", "pick up", "drop off"],
}
# Colours that mean something, and what stands for them in plain text: where the figure is (with a passenger, in Taxi), who
# waits where, and who wants to go where.
MARKS = [
    (r"\x1b\[42m(.)\x1b\[0m", r"{\1}"),
    (r"\x1b\[4[0-9]m(.)\x1b\[0m", r"[\1]"),
    (r"\x1b\[34;1m(.)\x1b\[0m", r"(\1)"),
    (r"\x1b\[35m(.)\x1b\[0m", r"<\1>"),
    (r"\x1b\[[0-9;]*m", ""),
]


class GymnasiumText:
    is_deterministic = True

    def __init__(self, environment_id):
        if environment_id not in ACTIONS:
            sys.exit(f"no words for the actions of {environment_id}; ACTIONS knows {', '.join(ACTIONS)}")
        self.name = environment_id
        self.commands = ACTIONS[environment_id]
        self.environment = None

    def reset(self, seed, options):
        self.close()
        arguments = {}
        if self.name == "FrozenLake-v1":
            arguments = {"desc": generate_random_map(size=5, seed=seed), "is_slippery": False}
        self.environment = gymnasium.make(self.name, render_mode="ansi", **arguments)
        # Gymnasium's word for the scene is the seed; what differs between two episodes of a task is not for this world.
        self.state, _ = self.environment.reset(seed=seed)
        return self.describe(), self.info(is_success=False)

    def step(self, action):
        command = action.strip().lower()
        if command not in self.commands:
            message = f"That cannot be done. Say one of: {', '.join(self.commands)}."
            return message, 0.0, False, False, self.info(is_success=False)
        self.state, reward, terminated, truncated, _ = self.environment.step(self.commands.index(command))
        is_success = bool(terminated) and reward > 0
        return self.describe(), float(reward), bool(terminated), bool(truncated), self.info(is_success)

    def describe(self):
        drawn = self.environment.render()
        for colour, mark in MARKS:
            drawn = re.sub(colour, mark, drawn)
        return drawn.strip()

    def info(self, is_success):
        return {
            "admissible_commands": self.commands,
            "expert_command": self.expert_command(),
            "score": 1.0 if is_success else 0.0,
            "is_success": is_success,
        }

    def expert_command(self):
        """The first command on a shortest way, by the transition table that toy text environments have."""
        table = getattr(self.environment.unwrapped, "P", None)
        start = int(self.state)
        came_from = {start: None}
        queue = deque([start])
        while table and queue:
            state = queue.popleft()
            for action, outcomes in table[state].items():
                # In a world that does as it is told there is one outcome.
                _, following, reward, is_final = outcomes[0]
                if is_final and reward > 0:
                    while came_from[state] is not None:
                        state, action = came_from[state]
                    return self.commands[action]
                if not is_final and following not in came_from:
                    came_from[int(following)] = (state, action)
                    queue.append(int(following))
        return None

    def close(self):
        if self.environment is not None:
            self.environment.close()


if __name__ == "__main__":
    serve(GymnasiumText(sys.argv[1] if len(sys.argv) > 1 else "FrozenLake-v1"))
