"""The gradient at each step is the numeric one; an orthogonal Wh fades by its radius a step."""

import numpy as np
import pytest
from lab_models import CAPTIONS, KINDS, NULL, VOCABULARY, D, H, features_of, make_model, members_of

from unrolled import CaptioningRNN
from unrolled.errors import InputError, ShapeError
from unrolled.gradcheck import numeric_gradient
from unrolled.laboratory import gradient_by_radius, gradient_norms, spectral_radius
from unrolled.laboratory.cells import GATES, layer_kinds
from unrolled.layers.cells import CELLS


def loss_from(model, state, caption, t, loss):
    """Nats of a caption's words from step t on, given the state after it: model.step alone."""
    words_in, words_out = caption[:-1], caption[1:]
    last = np.flatnonzero(words_out != NULL)[-1]
    W = model.params["W_embed"].T if model.tie_weights else model.params["W_vocab"]
    scores = state[0] @ W + model.params["b_vocab"]
    total = 0.0
    for k in range(t, last + 1):
        if k > t:
            scores, state = model.step(words_in[k : k + 1], state)
        if loss == "all" or k == last:
            total += np.log(np.exp(scores[0]).sum()) - scores[0, words_out[k]]
    return total


def numeric_norms(model, features, caption, loss):
    """Norms by (layer, member), a list over the steps."""
    state, found = model.start(features), []
    for t in range(int((caption[1:] != NULL).sum())):
        _, state = model.step(caption[t : t + 1], state)
        norms = {}
        for layer, places in enumerate(members_of(model)):
            for member, place in enumerate(places):

                def f(moved, place=place, state=state, t=t):
                    changed = (*state[:place], moved, *state[place + 1 :])
                    return loss_from(model, changed, caption, t, loss)

                gradient = numeric_gradient(f, state[place].copy())
                norms[layer, member] = np.linalg.norm(gradient)
        found.append(norms)
    return found


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_norms_are_the_numeric_ones(kind):
    model = make_model(*kind)
    features = features_of(model)
    for loss in ("last", "all"):
        norms = gradient_norms(model, features, CAPTIONS, loss=loss)
        assert norms.lengths.tolist() == [5, 3]
        assert norms.h.shape == (kind[1], 2, 5)
        for n, length in enumerate(norms.lengths):
            numeric = numeric_norms(model, features[n : n + 1], CAPTIONS[n], loss)
            for t, wanted in enumerate(numeric):
                for (layer, member), value in wanted.items():
                    got = (norms.h if member == 0 else norms.c)[layer, n, t]
                    assert got == pytest.approx(value, rel=1e-5, abs=1e-8), (loss, n, t, layer)
            assert np.isnan(norms.h[:, n, length:]).all()
            squares = [sum(value**2 for value in wanted.values()) for wanted in numeric]
            np.testing.assert_allclose(norms.state[n, :length], np.sqrt(squares), rtol=1e-5)


def test_tied_weights_and_float32_models_are_measured_too():
    tied = make_model(tie_weights=True)
    features = features_of(tied)
    (wanted, *_) = numeric_norms(tied, features[:1], CAPTIONS[0], "last")
    narrow = make_model(tie_weights=True)
    narrow.params = {name: value.astype(np.float32) for name, value in narrow.params.items()}
    narrow.dtype = np.dtype(np.float32)
    for model, rtol in ((tied, 1e-6), (narrow, 1e-4)):
        norms = gradient_norms(model, features.astype(model.dtype), CAPTIONS)
        assert norms.h[0, 0, 0] == pytest.approx(wanted[0, 0], rel=rtol)
        assert norms.h.dtype == np.float64
    assert all(value.dtype == np.float32 for value in narrow.params.values())


def test_by_distance_starts_at_each_captions_last_word():
    model = make_model()
    norms = gradient_norms(model, features_of(model), CAPTIONS)
    state = norms.state
    np.testing.assert_array_equal(norms.by_distance[0], state[0, ::-1])
    np.testing.assert_array_equal(norms.by_distance[1, :3], state[1, 2::-1])
    assert np.isnan(norms.by_distance[1, 3:]).all()
    assert (norms.relative[:, 0] == 1).all()
    np.testing.assert_allclose(norms.relative[0], state[0, ::-1] / state[0, -1])


def linear_rnn(radius):
    """An RNN that stays at 0, where tanh is its own tangent: one factor a step, and no more."""
    model = CaptioningRNN(VOCABULARY, D, 3, H, "rnn", np.float64, seed=1)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((H, H)))[0]
    model.params["W_embed"][:] = 0
    model.params["Wh"] = radius * turn
    return model


def test_an_orthogonal_wh_fades_and_grows_by_its_radius():
    model, features = linear_rnn(0.7), np.zeros((2, D))
    own = gradient_norms(model, features, CAPTIONS).relative
    np.testing.assert_allclose(own[0], 0.7 ** np.arange(5), rtol=1e-12)
    scaled = gradient_by_radius(model, features, CAPTIONS, (0.5, 1, 3), name="linear")
    assert scaled.own == pytest.approx(0.7)
    assert (scaled.name, scaled.cell) == ("linear", "rnn")
    for radius, relative in zip(scaled.radii, scaled.relative, strict=True):
        np.testing.assert_allclose(relative[0], radius ** np.arange(5), rtol=1e-12)
        np.testing.assert_allclose(relative[1, :3], radius ** np.arange(3), rtol=1e-12)
    np.testing.assert_array_equal(model.params["Wh"], linear_rnn(0.7).params["Wh"])


def test_every_layers_wh_is_scaled():
    model = make_model("gru", 2)
    scaled = gradient_by_radius(model, features_of(model), CAPTIONS, [2.0])
    for name in ("Wh", "Wh_2"):
        model.params[name] = model.params[name] * (2 / spectral_radius(model.params[name]))
    own = gradient_norms(model, features_of(model), CAPTIONS).relative
    np.testing.assert_allclose(scaled.relative[0], own, rtol=1e-12)


def test_the_spectral_radius_is_that_of_the_largest_gate():
    turned = np.array([[0.0, -2.0], [2.0, 0.0]])  # its eigenvalues are 2i and -2i
    assert spectral_radius(turned) == pytest.approx(2)
    assert spectral_radius(np.hstack([turned, 3 * np.eye(2)])) == pytest.approx(3)


def test_every_registered_cell_has_names_for_its_gates():
    for cell_type, cell in CELLS.items():
        assert len(GATES[cell_type]) == (0 if cell_type == "rnn" else cell.pieces.core.gates)


def test_a_kind_says_its_options():
    model = make_model("additive", 3, layer_norm=True, gated=True)
    wanted = ["additive, layer norm, gated", "lstm, layer norm", "lstm, layer norm"]
    assert layer_kinds(model) == wanted


def test_what_cannot_be_is_refused():
    model = make_model()
    features = features_of(model)
    with pytest.raises(InputError, match="last, all, got 'first'"):
        gradient_norms(model, features, CAPTIONS, loss="first")
    with pytest.raises(ShapeError, match="got \\(2, 6\\) for 1 images"):
        gradient_norms(model, features[:1], CAPTIONS)
    with pytest.raises(InputError, match="a word after <NULL>"):
        gradient_norms(model, features[:1], np.array([[0, 2, 3]]))
    with pytest.raises(InputError, match="above 0"):
        gradient_by_radius(model, features, CAPTIONS, [0.0])
    model.params["Wh"][:] = 0
    with pytest.raises(InputError, match="cannot be scaled"):
        gradient_by_radius(model, features, CAPTIONS, [1.0])
