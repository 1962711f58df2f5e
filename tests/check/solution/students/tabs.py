import numpy as np

def rnn_step_forward(x, prev_h, Wx, Wh, b):
	"""one step"""
	fwd = np.dot(prev_h, Wh) + np.dot(x, Wx) + b.T
	next_h = np.tanh(fwd)
	cache = (x, prev_h, Wx, Wh, b, next_h)
	print('step %d of size %d'
		% (len(x), prev_h.shape[1]))
	return next_h, cache

def rnn_step_backward(dnext_h, cache):
	x, prev_h, Wx, Wh, b, out = cache
	dfwd = (1 - out**2) * dnext_h
	dx = dfwd.dot(Wx.T)
	dprev_h = dfwd.dot(Wh.T)
	dWx = np.dot(x.T, dfwd)
	dWh = np.dot(prev_h.T, dfwd)
	db = np.sum(dfwd, axis=0)
	assert dx.shape == x.shape, 'bad'
	return dx, dprev_h, dWx, dWh, db

def word_embedding_forward(x, W):
	out = W[x]
	cache = x, W.shape
	return out, cache

def word_embedding_backward(dout, cache):
	x, shape = cache
	dW = np.zeros(shape)
	np.add.at(dW, x.flatten(), dout.reshape(-1, shape[1]))
	return dW
