//! Any policy made to obey a strict budget; baselines, evaluation and the frontier.
