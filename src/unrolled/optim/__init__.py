"""From gradients to new weights: update rules, schedules of the learning rate, clipping."""

from unrolled.optim.rules import RULES, SGD, Adam, AdamW, RMSProp, Rule, make_rule
from unrolled.optim.schedules import SCHEDULES, learning_rate
from unrolled.optim.updating import global_norm, init_state, update

__all__ = [
    "RULES",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "RMSProp",
    "Rule",
    "global_norm",
    "init_state",
    "learning_rate",
    "make_rule",
    "update",
]
