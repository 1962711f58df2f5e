"""Gates, words and attention over a caption are what the model's own steps and layers do."""

import numpy as np
import pytest
from lab_models import (
    CAPTIONS,
    KINDS,
    VOCABULARY,
    H,
    features_of,
    make_model,
    members_of,
    states_of,
)

from unrolled import layers
from unrolled.errors import InputError, ShapeError
from unrolled.laboratory import attention_maps, gate_activations, most_varied, word_choices

CAPTION = CAPTIONS[:1]
GATED = [kind for kind in KINDS if kind[0] != "rnn"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("kind", GATED, ids=str)
def test_states_are_those_of_the_models_own_steps(kind):
    model = make_model(*kind)
    features = features_of(model, 1)
    states, _ = states_of(model, features, CAPTION[0, :-1])
    for layer, places in enumerate(members_of(model), 1):
        gates = gate_activations(model, features, CAPTION, layer=layer)
        assert gates.layer == layer
        for array, place in zip((gates.h, gates.c), places, strict=False):
            wanted = np.array([state[place][0] for state in states])
            np.testing.assert_allclose(array, wanted, rtol=1e-12)
        assert (gates.c is None) == (len(places) == 1)


def test_an_lstms_gates_by_hand():
    model = make_model("lstm")
    features = features_of(model, 1)
    gates = gate_activations(model, features, CAPTION)
    assert gates.words == ("<START>", "a", "dog", "runs", "dog")
    assert gates.names == ("i", "f", "o", "g")
    h = features @ model.params["W_proj"] + model.params["b_proj"]
    c = np.zeros_like(h)
    for t, word in enumerate(CAPTION[0, :-1]):
        x = model.params["W_embed"][word]
        a = x @ model.params["Wx"] + h @ model.params["Wh"] + model.params["b"]
        i, f, o = (sigmoid(part) for part in np.split(a[:, : 3 * H], 3, axis=1))
        g = np.tanh(a[:, 3 * H :])
        c = f * c + i * g
        h = o * np.tanh(c)
        for got, wanted in zip(gates.gates[:, t], (i, f, o, g), strict=True):
            np.testing.assert_allclose(got, wanted[0], rtol=1e-12)
        np.testing.assert_allclose(gates.c[t], c[0], rtol=1e-12)


def test_a_grus_gates_by_hand():
    model = make_model("gru")
    gates = gate_activations(model, features_of(model, 1), CAPTION)
    assert gates.names == ("r", "z", "n")
    before = features_of(model, 1) @ model.params["W_proj"] + model.params["b_proj"]
    previous = np.concatenate([before, gates.h[:-1]])
    _, z, n = gates.gates
    np.testing.assert_allclose(gates.h, (1 - z) * n + z * previous, rtol=1e-12)


@pytest.mark.parametrize("kind", [kind for kind in GATED if kind[0] != "gru"], ids=str)
def test_gates_make_the_cell_state(kind):
    model = make_model(*kind)
    gates = gate_activations(model, features_of(model, 1), CAPTION)
    i, f, o, g = gates.gates
    np.testing.assert_allclose(gates.c[1:], (f * np.roll(gates.c, 1, axis=0) + i * g)[1:])
    if not kind[2]:  # a normalised c goes through the tanh
        np.testing.assert_allclose(gates.h, o * np.tanh(gates.c))


def test_saturated_shares_are_counted():
    model = make_model("lstm", seed=3)
    for name in ("Wx", "Wh", "b"):
        model.params[name] *= 3
    gates = gate_activations(model, features_of(model, 1), CAPTION)
    assert ((gates.shut > 0) & (gates.open > 0)).any()
    for name, values, shut, opened in zip(
        gates.names, gates.gates, gates.shut, gates.open, strict=True
    ):
        low, high = (-0.8, 0.8) if name == "g" else (0.1, 0.9)
        assert shut == pytest.approx((values < low).sum() / values.size)
        assert opened == pytest.approx((values > high).sum() / values.size)


def test_most_varied_units():
    values = np.array([[0.0, 1.0, -3.0, 2.0], [0.0, 2.0, 3.0, 2.1]])
    assert most_varied(values, 2).tolist() == [2, 1]
    assert most_varied(values, 9).tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_words_are_the_softmax_of_the_models_scores(kind):
    model = make_model(*kind)
    features = features_of(model, 1)
    choices = word_choices(model, features, CAPTION, count=3)
    _, scores = states_of(model, features, CAPTION[0, :-1])
    p = np.array([np.exp(s[0]) / np.exp(s[0]).sum() for s in scores])
    assert choices.read == ("<START>", "a", "dog", "runs", "dog")
    assert choices.said == ("a", "dog", "runs", "dog", "<END>")
    for t, said in enumerate(CAPTION[0, 1:]):
        order = np.argsort(-p[t])[:3]
        assert [VOCABULARY[word] for word in choices.words[t]] == order.tolist()
        np.testing.assert_allclose(choices.p[t], p[t, order], rtol=1e-12)
        assert choices.p_said[t] == pytest.approx(p[t, said])
        assert choices.rank_said[t] == (p[t] > p[t, said]).sum()
        assert choices.entropy[t] == pytest.approx(-(p[t] * np.log(p[t])).sum())
    loss = model.loss(features, CAPTION).loss
    assert choices.log_prob == pytest.approx(-float(loss))


def test_maps_are_those_of_the_attention_layer():
    model = make_model("attention")
    features = features_of(model, 1)
    maps = attention_maps(model, features, CAPTION, grid=(2, 3))
    A = features @ model.params["W_proj"] + model.params["b_proj"]
    x = model.params["W_embed"][CAPTION[0, :-1]]
    weights = [model.params[name] for name in ("Wx", "Wh", "Wattn", "b")]
    _, cache = layers.attention_lstm_packed_forward(x, A, *weights, (1,) * 5)
    assert maps.words == ("a", "dog", "runs", "dog", "<END>")
    np.testing.assert_allclose(maps.alphas.reshape(5, 6), cache.alphas, rtol=1e-12)


def test_maps_are_those_of_the_additive_layer():
    model = make_model("additive", 2)
    features = features_of(model, 1)
    maps = attention_maps(model, features.reshape(1, 2, 3, -1), CAPTION)
    A = features @ model.params["W_proj"] + model.params["b_proj"]
    x = model.params["W_embed"][CAPTION[0, :-1]]
    weights = [model.params[n] for n in ("Wx", "Wh", "Wattn", "b", "Wa", "Ua", "wa")]
    _, cache = layers.additive_lstm_packed_forward(x, A, *weights, (1,) * 5)
    assert maps.alphas.shape == (5, 2, 3)
    np.testing.assert_allclose(maps.alphas.reshape(5, 6), cache.alphas, rtol=1e-12)


def test_what_cannot_be_is_refused():
    rnn, attention = make_model("rnn"), make_model("attention")
    with pytest.raises(InputError, match=r"rnn has no gates.*lstm, gru"):
        gate_activations(rnn, features_of(rnn, 1), CAPTION)
    with pytest.raises(InputError, match="from 1, the lowest, to 1, got 2"):
        gate_activations(attention, features_of(attention, 1), CAPTION, layer=2)
    with pytest.raises(InputError, match="one caption without padding, got 2"):
        gate_activations(attention, features_of(attention), CAPTIONS)
    with pytest.raises(InputError, match=r"rnn looks at no places.*attention, additive"):
        attention_maps(rnn, features_of(rnn, 1), CAPTION)
    with pytest.raises(ShapeError, match="6 locations do not lie in a grid of 2 x 2"):
        attention_maps(attention, features_of(attention, 1), CAPTION)
    with pytest.raises(InputError, match="from 1 to the 7 words, got 8"):
        word_choices(rnn, features_of(rnn, 1), CAPTION, count=8)
