# ruff: noqa: E731, F403, F405, NPY002 - the style of a notebook
"""A notebook written for the CS231n assignment runs on Unrolled unchanged.

The cells are written anew in the assignment's style: positional arguments, results unpacked,
closures that ignore what they are given, numeric gradients that change the arrays in place, and
parameters exchanged in the model's dict. Only the imports at the top are not the notebook's.
"""

import numpy as np
import pytest

from unrolled import CaptioningRNN
from unrolled.gradcheck import numeric_gradient as eval_numerical_gradient
from unrolled.gradcheck import numeric_gradient as eval_numerical_gradient_array
from unrolled.layers import *


def rel_error(x, y):
    """returns relative error"""
    return np.max(np.abs(x - y) / (np.maximum(1e-8, np.abs(x) + np.abs(y))))


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(231)


randn = np.random.randn
randint = np.random.randint
rand = np.random.rand


def test_star_import_gives_the_assignments_names():
    names = """affine_forward affine_backward temporal_affine_forward temporal_affine_backward
    word_embedding_forward word_embedding_backward sigmoid rnn_step_forward rnn_step_backward
    rnn_forward rnn_backward lstm_step_forward lstm_step_backward lstm_forward lstm_backward
    temporal_softmax_loss dropout_forward dropout_backward"""
    assert set(names.split()) <= set(globals())


def test_vanilla_rnn_step_backward():
    N, D, H = 4, 5, 6
    x = randn(N, D)
    h = randn(N, H)
    Wx = randn(D, H)
    Wh = randn(H, H)
    b = randn(H)

    out, cache = rnn_step_forward(x, h, Wx, Wh, b)
    dnext_h = randn(*out.shape)

    fx = lambda x: rnn_step_forward(x, h, Wx, Wh, b)[0]
    fh = lambda prev_h: rnn_step_forward(x, h, Wx, Wh, b)[0]
    fWx = lambda Wx: rnn_step_forward(x, h, Wx, Wh, b)[0]
    fWh = lambda Wh: rnn_step_forward(x, h, Wx, Wh, b)[0]
    fb = lambda b: rnn_step_forward(x, h, Wx, Wh, b)[0]

    dx_num = eval_numerical_gradient_array(fx, x, dnext_h)
    dprev_h_num = eval_numerical_gradient_array(fh, h, dnext_h)
    dWx_num = eval_numerical_gradient_array(fWx, Wx, dnext_h)
    dWh_num = eval_numerical_gradient_array(fWh, Wh, dnext_h)
    db_num = eval_numerical_gradient_array(fb, b, dnext_h)

    dx, dprev_h, dWx, dWh, db = rnn_step_backward(dnext_h, cache)

    assert rel_error(dx_num, dx) < 1e-8
    assert rel_error(dprev_h_num, dprev_h) < 1e-8
    assert rel_error(dWx_num, dWx) < 1e-8
    assert rel_error(dWh_num, dWh) < 1e-8
    assert rel_error(db_num, db) < 1e-8


def test_vanilla_rnn_backward():
    N, D, T, H = 2, 3, 10, 5

    x = randn(N, T, D)
    h0 = randn(N, H)
    Wx = randn(D, H)
    Wh = randn(H, H)
    b = randn(H)

    out, cache = rnn_forward(x, h0, Wx, Wh, b)
    dout = randn(*out.shape)

    dx, dh0, dWx, dWh, db = rnn_backward(dout, cache)

    fx = lambda x: rnn_forward(x, h0, Wx, Wh, b)[0]
    fh0 = lambda h0: rnn_forward(x, h0, Wx, Wh, b)[0]
    fWx = lambda Wx: rnn_forward(x, h0, Wx, Wh, b)[0]
    fWh = lambda Wh: rnn_forward(x, h0, Wx, Wh, b)[0]
    fb = lambda b: rnn_forward(x, h0, Wx, Wh, b)[0]

    assert rel_error(eval_numerical_gradient_array(fx, x, dout), dx) < 1e-6
    assert rel_error(eval_numerical_gradient_array(fh0, h0, dout), dh0) < 1e-6
    assert rel_error(eval_numerical_gradient_array(fWx, Wx, dout), dWx) < 1e-6
    assert rel_error(eval_numerical_gradient_array(fWh, Wh, dout), dWh) < 1e-6
    assert rel_error(eval_numerical_gradient_array(fb, b, dout), db) < 1e-6


def test_word_embedding():
    N, T, V, D = 2, 4, 5, 3
    x = np.asarray([[0, 3, 1, 2], [2, 1, 0, 3]])
    W = np.linspace(0, 1, num=V * D).reshape(V, D)
    out, _ = word_embedding_forward(x, W)
    assert out.shape == (N, T, D)
    assert rel_error(W[3], out[0, 1]) == 0

    N, T, V, D = 50, 3, 5, 6
    x = randint(V, size=(N, T))
    W = randn(V, D)
    out, cache = word_embedding_forward(x, W)
    dout = randn(*out.shape)
    dW = word_embedding_backward(dout, cache)
    f = lambda W: word_embedding_forward(x, W)[0]
    dW_num = eval_numerical_gradient_array(f, W, dout)
    assert rel_error(dW, dW_num) < 1e-10


def test_temporal_affine():
    N, T, D, M = 2, 3, 4, 5
    x = randn(N, T, D)
    w = randn(D, M)
    b = randn(M)

    out, cache = temporal_affine_forward(x, w, b)
    dout = randn(*out.shape)

    fx = lambda x: temporal_affine_forward(x, w, b)[0]
    fw = lambda w: temporal_affine_forward(x, w, b)[0]
    fb = lambda b: temporal_affine_forward(x, w, b)[0]

    dx_num = eval_numerical_gradient_array(fx, x, dout)
    dw_num = eval_numerical_gradient_array(fw, w, dout)
    db_num = eval_numerical_gradient_array(fb, b, dout)
    dx, dw, db = temporal_affine_backward(dout, cache)

    assert rel_error(dx_num, dx) < 1e-9
    assert rel_error(dw_num, dw) < 1e-9
    assert rel_error(db_num, db) < 1e-9


def test_temporal_softmax_loss():
    def check_loss(N, T, V, p):
        x = 0.001 * randn(N, T, V)
        y = randint(V, size=(N, T))
        mask = rand(N, T) <= p
        return temporal_softmax_loss(x, y, mask)[0]

    assert 2.2 < check_loss(100, 1, 10, 1.0) < 2.4  # Should be about 2.3
    assert 22 < check_loss(100, 10, 10, 1.0) < 24  # Should be about 23
    assert 2.0 < check_loss(5000, 10, 10, 0.1) < 2.6  # Should be within 2.2-2.4

    N, T, V = 7, 8, 9
    x = randn(N, T, V)
    y = randint(V, size=(N, T))
    mask = rand(N, T) > 0.5

    loss, dx = temporal_softmax_loss(x, y, mask, verbose=False)
    dx_num = eval_numerical_gradient(lambda x: temporal_softmax_loss(x, y, mask)[0], x)
    assert np.isfinite(loss)
    assert rel_error(dx, dx_num) < 1e-7


def test_captioning_rnn_gradients():
    batch_size = 2
    timesteps = 3
    input_dim = 4
    wordvec_dim = 5
    hidden_dim = 6
    word_to_idx = {"<NULL>": 0, "cat": 2, "dog": 3}
    vocab_size = len(word_to_idx)

    captions = randint(vocab_size, size=(batch_size, timesteps))
    features = randn(batch_size, input_dim)

    model = CaptioningRNN(
        word_to_idx,
        input_dim=input_dim,
        wordvec_dim=wordvec_dim,
        hidden_dim=hidden_dim,
        cell_type="rnn",
        dtype=np.float64,
    )
    # The notebook's weights come from the seeded global generator, ours do not.
    for p in model.params:
        model.params[p] = randn(*model.params[p].shape)

    loss, grads = model.loss(features, captions)
    assert loss > 0

    for param_name in sorted(grads):
        f = lambda _: model.loss(features, captions)[0]
        param_grad_num = eval_numerical_gradient(f, model.params[param_name], h=1e-6)
        e = rel_error(param_grad_num, grads[param_name])
        assert e < 1e-5, param_name


def test_captioning_solver_step():
    """The solver casts nothing, keeps float32 and writes new arrays into the dict."""
    word_to_idx = {"<NULL>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3, "a": 4, "cat": 5}
    features = randn(3, 8).astype(np.float32)
    captions = np.array([[1, 4, 5, 2], [1, 5, 2, 0], [1, 3, 5, 2]], dtype=np.int32)
    model = CaptioningRNN(
        cell_type="lstm",
        word_to_idx=word_to_idx,
        input_dim=features.shape[1],
        hidden_dim=7,
        wordvec_dim=6,
        dtype=np.float32,
    )
    loss_history = []
    for _ in range(30):
        loss, grads = model.loss(features, captions)
        loss_history.append(loss)
        for p, w in model.params.items():
            dw = grads[p]
            assert dw.dtype == np.float32
            next_w = w - 0.5 * dw
            model.params[p] = next_w
    assert loss_history[-1] < loss_history[0] / 2

    sample_captions = model.sample(features, max_length=5)
    assert sample_captions.shape == (3, 5)
    decoded = [[model.idx_to_word[i] for i in row] for row in sample_captions]
    assert all(isinstance(word, str) for row in decoded for word in row)


def test_lstm_step_backward():
    N, D, H = 4, 5, 6
    x = randn(N, D)
    prev_h = randn(N, H)
    prev_c = randn(N, H)
    Wx = randn(D, 4 * H)
    Wh = randn(H, 4 * H)
    b = randn(4 * H)

    next_h, next_c, cache = lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)

    dnext_h = randn(*next_h.shape)
    dnext_c = randn(*next_c.shape)

    fx_h = lambda x: lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[0]
    fx_c = lambda x: lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[1]
    fc_h = lambda c: lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[0]
    fc_c = lambda c: lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[1]
    fWh_h = lambda Wh: lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[0]
    fWh_c = lambda Wh: lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[1]

    num_grad = eval_numerical_gradient_array
    dx_num = num_grad(fx_h, x, dnext_h) + num_grad(fx_c, x, dnext_c)
    dc_num = num_grad(fc_h, prev_c, dnext_h) + num_grad(fc_c, prev_c, dnext_c)
    dWh_num = num_grad(fWh_h, Wh, dnext_h) + num_grad(fWh_c, Wh, dnext_c)

    dx, dh, dc, dWx, dWh, db = lstm_step_backward(dnext_h, dnext_c, cache)

    assert rel_error(dx_num, dx) < 1e-7
    assert rel_error(dc_num, dc) < 1e-7
    assert rel_error(dWh_num, dWh) < 1e-6
    assert (dh.shape, dWx.shape, db.shape) == (prev_h.shape, Wx.shape, b.shape)


def test_lstm_backward():
    N, D, T, H = 2, 3, 4, 6
    x = randn(N, T, D)
    h0 = randn(N, H)
    Wx = randn(D, 4 * H)
    Wh = randn(H, 4 * H)
    b = randn(4 * H)

    out, cache = lstm_forward(x, h0, Wx, Wh, b)
    dout = randn(*out.shape)
    dx, dh0, dWx, dWh, db = lstm_backward(dout, cache)

    fx = lambda x: lstm_forward(x, h0, Wx, Wh, b)[0]
    fh0 = lambda h0: lstm_forward(x, h0, Wx, Wh, b)[0]
    fWx = lambda Wx: lstm_forward(x, h0, Wx, Wh, b)[0]
    fWh = lambda Wh: lstm_forward(x, h0, Wx, Wh, b)[0]
    fb = lambda b: lstm_forward(x, h0, Wx, Wh, b)[0]

    assert rel_error(eval_numerical_gradient_array(fx, x, dout), dx) < 1e-6
    assert rel_error(eval_numerical_gradient_array(fh0, h0, dout), dh0) < 1e-6
    assert rel_error(eval_numerical_gradient_array(fWx, Wx, dout), dWx) < 1e-6
    assert rel_error(eval_numerical_gradient_array(fWh, Wh, dout), dWh) < 1e-6
    assert rel_error(eval_numerical_gradient_array(fb, b, dout), db) < 1e-6


def test_dropout():
    x = randn(500, 500) + 10

    for p in [0.25, 0.4, 0.7]:
        out, _ = dropout_forward(x, {"mode": "train", "p": p})
        out_test, _ = dropout_forward(x, {"mode": "test", "p": p})
        assert abs(out.mean() - 10) < 0.1
        assert abs(out_test.mean() - 10) < 0.01
        assert abs((out == 0).mean() - (1 - p)) < 0.01
        assert (out_test == 0).mean() == 0

    x = randn(10, 10) + 10
    dout = randn(*x.shape)
    dropout_param = {"mode": "train", "p": 0.2, "seed": 123}
    out, cache = dropout_forward(x, dropout_param)
    dx = dropout_backward(dout, cache)
    dx_num = eval_numerical_gradient_array(
        lambda xx: dropout_forward(xx, dropout_param)[0], x, dout
    )
    assert rel_error(dx, dx_num) < 1e-8

    out, cache = dropout_forward(x, {"mode": "train", "p": 0.8})
    dx = dropout_backward(dout, cache)
    assert rel_error(dx, dout * (out / x)) < 1e-8
