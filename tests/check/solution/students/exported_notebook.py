#!/usr/bin/env python
# coding: utf-8

# # Image Captioning with RNNs
# In[1]:

# As usual, a bit of setup
import time, os, json
import numpy as np
get_ipython().run_line_magic('matplotlib', 'inline')
plt.rcParams['figure.figsize'] = (10.0, 8.0)
if True:
    get_ipython().system('ls')

def rel_error(x, y):
    """ returns relative error """
    return np.max(np.abs(x - y) / (np.maximum(1e-8, np.abs(x) + np.abs(y))))

# In[2]:

def sigmoid(z): return 0.5 * (1 + np.tanh(z / 2))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    N, H = prev_h.shape
    A = (x @ Wx + prev_h @ Wh + b).reshape(N, 4, H)
    I, F, O = sigmoid(A[:, 0]), sigmoid(A[:, 1]), sigmoid(A[:, 2])
    G = np.tanh(A[:, 3])
    C = F * prev_c + I * G
    return O * np.tanh(C), C, dict(x=x, h=prev_h, c=prev_c, Wx=Wx, Wh=Wh, I=I, F=F, O=O, G=G, C=C)

def lstm_step_backward(dH, dC, cache):
    globals_ = dict(cache)
    x, h, c, Wx, Wh, I, F, O, G, C = (globals_[k] for k in 'x h c Wx Wh I F O G C'.split())
    t = np.tanh(C)
    dC = dC + dH * O * (1 - t * t)
    N, H = dH.shape
    dA = np.empty((N, 4, H), dtype=dH.dtype)
    dA[:, 0] = dC * G * I * (1 - I)
    dA[:, 1] = dC * c * F * (1 - F)
    dA[:, 2] = dH * t * O * (1 - O)
    dA[:, 3] = dC * I * (1 - G * G)
    dA = dA.reshape(N, 4 * H)
    return [dA @ Wx.T, dA @ Wh.T, dC * F, x.T @ dA, h.T @ dA, dA.sum(axis=0)]

# In[3]:
np.random.seed(231)
x = np.linspace(-0.4, 1.2, num=12).reshape(3, 4)
next_h, next_c, cache = lstm_step_forward(x, 1, 2, 3, 4, 5)
print(rel_error(next_h, next_c))
