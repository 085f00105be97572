#!/usr/bin/env python3
"""The same nine lamps, served by OpenEnv: a real `openenv-core` server.

    pip install openenv-core==0.3.0
    tollgate environment check --openenv --config configs/openenv-example.toml
    PORT=8000 python3 examples/environments/openenv_lights_out.py      serves it for others, at http://127.0.0.1:8000

An OpenEnv observation is typed, and its `metadata` never leaves the server: what Tollgate may know beside the text goes into a
field of its own, `info`.
"""

import os
from typing import Any, Dict, Optional

import uvicorn
from openenv.core.env_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, EnvironmentMetadata, Observation, State

from lights_out import LightsOut


class LightsOutAction(Action):
    command: str


class LightsOutObservation(Observation):
    text: str
    info: Dict[str, Any] = {}


class LightsOutEnvironment(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self):
        super().__init__()
        self.world = None
        self._state = State()

    def reset(self, seed: Optional[int] = None, episode_id: Optional[str] = None, kind: Optional[str] = None, **options):
        self.world = LightsOut()
        self._state = State(episode_id=episode_id)
        text, info = self.world.reset(seed, {"kind": kind})
        return LightsOutObservation(text=text, info=info)

    def step(self, action: LightsOutAction, timeout_s: Optional[float] = None, **options):
        if self.world is None:
            raise RuntimeError("`step` outside of an episode: `reset` begins one")
        text, reward, terminated, truncated, info = self.world.step(action.command)
        self._state.step_count += 1
        if terminated or truncated:
            self.world = None
        return LightsOutObservation(text=text, info=info, reward=reward, done=terminated or truncated)

    @property
    def state(self):
        return self._state

    def get_metadata(self):
        return EnvironmentMetadata(name="lights-out", description="Nine lamps and nine switches.", version="1")


app = create_fastapi_app(LightsOutEnvironment, LightsOutAction, LightsOutObservation, max_concurrent_envs=8)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
