"""Update rules, clipping and schedules against torch.optim, step by step in float64."""

import numpy as np
import pytest

from unrolled import optim

pytestmark = pytest.mark.peers

CASES = [
    (optim.Adam(), "Adam", {}),
    (optim.Adam(beta1=0.8, beta2=0.95, eps=1e-6), "Adam", {"betas": (0.8, 0.95), "eps": 1e-6}),
    (optim.AdamW(), "AdamW", {}),
    (optim.SGD(momentum=0.85), "SGD", {"momentum": 0.85}),
    (optim.SGD(momentum=0.0), "SGD", {}),
    (optim.RMSProp(), "RMSprop", {}),
    (optim.RMSProp(alpha=0.9, eps=1e-3), "RMSprop", {"alpha": 0.9, "eps": 1e-3}),
]


@pytest.mark.parametrize("clip_norm", [None, 0.7])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("rule", "name", "options"), CASES, ids=lambda x: str(x))
def test_thirty_steps(rule, name, options, decay, clip_norm):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(7, 5)), "b": rng.normal(size=5)}
    theirs = {key: torch.tensor(value, requires_grad=True) for key, value in params.items()}
    groups = [
        {"params": [theirs["W"]], "weight_decay": decay},
        {"params": [theirs["b"]], "weight_decay": 0.0},
    ]
    peer = getattr(torch.optim, name)(groups, lr=0.01, **options)
    state = optim.init_state(params, rule)
    for step in range(30):
        rate = 0.01 * 0.9**step
        grads = {key: rng.normal(size=value.shape) for key, value in params.items()}
        for key, tensor in theirs.items():
            tensor.grad = torch.tensor(grads[key])
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(theirs.values()), clip_norm)
        for group in peer.param_groups:
            group["lr"] = rate
        peer.step()
        optim.update(
            params,
            grads,
            state,
            rule,
            learning_rate=rate,
            weight_decay=decay,
            clip_norm=clip_norm,
        )
        # PyTorch adds 1e-6 to the norm it divides by; without clipping only rounding differs.
        tolerance = 1e-12 if clip_norm is None else 3e-6
        for key, value in params.items():
            np.testing.assert_allclose(value, theirs[key].detach().numpy(), rtol=0, atol=tolerance)


def test_schedules():
    torch = pytest.importorskip("torch")
    lr_scheduler = torch.optim.lr_scheduler
    plan = {"total_steps": 20, "steps_per_epoch": 6, "decay": 0.7}
    peers = {
        "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=20),
        "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=20),
        "step": lambda o: lr_scheduler.StepLR(o, step_size=6, gamma=0.7),
        "exponential": lambda o: lr_scheduler.ExponentialLR(o, gamma=0.7 ** (1 / 6)),
    }
    for schedule, make_peer in peers.items():
        peer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        scheduler = make_peer(peer)
        for step in range(20):
            ours = optim.learning_rate(schedule, 0.3, step, **plan)
            assert ours == pytest.approx(peer.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
            peer.step()
            scheduler.step()
