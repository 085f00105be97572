#!/usr/bin/env python3
"""A small world of words: nine lamps, nine switches, and each switch turns its own lamp and the lamps beside it.

    python3 examples/environments/lights_out.py                 speaks the protocol on standard input and output
    tollgate environment check -- python3 examples/environments/lights_out.py

Everything is optional but the observation: this example also says which commands it would take, what an expert would do (for
simulated models), a score, and whether the task is solved.
"""

import random

from tollgate_environment import serve

ROWS, COLUMNS = "abc", "123"
SWITCHES = [row + column for row in ROWS for column in COLUMNS]
HORIZON = 24
N_PRESSES = {"short": (2, 3), "long": (4, 6)}


def turned_by(switch):
    """The lamps that a switch turns: its own and those beside, above and below it."""
    row, column = ROWS.index(switch[0]), COLUMNS.index(switch[1])
    around = [(row, column), (row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return {ROWS[r] + COLUMNS[c] for r, c in around if 0 <= r < 3 and 0 <= c < 3}


class LightsOut:
    name = "lights-out"
    is_deterministic = True

    def reset(self, seed, options):
        scene = random.Random(seed)
        low, high = N_PRESSES[options.get("kind") or "short"]
        # The board is made by pressing switches from dark: pressing the same ones again is the only solution.
        self.remaining = set(scene.sample(SWITCHES, scene.randint(low, high)))
        self.n_at_first = len(self.remaining)
        self.is_fused = False
        return self.describe("You stand in front of nine lamps and nine switches."), self.info()

    def step(self, action):
        command = action.strip().lower()
        if command == "pull the fuse":
            self.is_fused = True
            return "It is dark, and no switch works any more.", 0.0, True, False, self.info()
        verb, _, switch = command.partition(" ")
        if verb != "press" or switch not in SWITCHES:
            return self.describe("That cannot be done: there is no such switch."), 0.0, False, False, self.info()
        self.remaining ^= {switch}
        is_solved = not self.remaining
        reward = 1.0 if is_solved else 0.0
        return self.describe(f"You press {switch}."), reward, is_solved, False, self.info()

    def lit(self):
        lit = set()
        for switch in self.remaining:
            lit ^= turned_by(switch)
        return lit

    def describe(self, what_happened):
        lit = self.lit()
        rows = [f"{row}: " + " ".join("*" if row + column in lit else "." for column in COLUMNS) for row in ROWS]
        count = "All lamps are off." if not lit else f"{len(lit)} lamps are lit."
        return "\n".join([what_happened, *rows, count])

    def info(self):
        is_solved = not self.remaining
        score = 0.0 if self.is_fused else max(0.0, 1.0 - len(self.remaining) / self.n_at_first)
        return {
            "admissible_commands": [f"press {switch}" for switch in SWITCHES] + ["pull the fuse"],
            "expert_command": None if is_solved or self.is_fused else f"press {min(self.remaining)}",
            "score": score,
            "is_success": is_solved,
        }

    def tasks(self):
        """The task set that `tollgate tasks --suite external` writes down."""
        counts = {"train": 90, "validation": 40, "test": 60}
        tasks = []
        for split, count in counts.items():
            for index in range(count):
                kind = "short" if index % 2 == 0 else "long"
                tasks.append(
                    {
                        "task_id": f"lights-{split}-{index:04}",
                        "split": split,
                        "seed": len(tasks),
                        "instruction": "Switch all lamps off. A switch turns its own lamp and the lamps next to it.",
                        "horizon": HORIZON,
                        "kind": kind,
                    }
                )
        return tasks


if __name__ == "__main__":
    serve(LightsOut())
