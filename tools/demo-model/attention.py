"""Softmax attention: attention.c on a CPU where it has been compiled (see there), torch's fused kernel on a GPU, plain torch elsewhere."""
import ctypes
import math
from pathlib import Path

import torch
import torch.nn.functional as F

_path = Path(__file__).parent / "libattention.so"
_library = ctypes.CDLL(str(_path)) if _path.exists() else None


def _call(function, tensors, sizes):
    function(*(ctypes.c_void_p(t.data_ptr()) for t in tensors), *map(ctypes.c_int, sizes))


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, heads, causal):
        dtype = q.dtype
        q, k, v = (t.float().contiguous() for t in (q, k, v))
        (n, tq, width), tk = q.shape, k.shape[1]
        o, log_sum = torch.empty_like(q), q.new_empty(n, heads, tq)
        ctx.sizes, ctx.dtype = (n, tq, tk, heads, width // heads, int(causal)), dtype
        _call(_library.forward, (q, k, v, o, log_sum), ctx.sizes)
        ctx.save_for_backward(q, k, v, o, log_sum)
        return o.to(dtype)

    @staticmethod
    def backward(ctx, go):
        q, k, v, o, log_sum = ctx.saved_tensors
        gradients = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        _call(_library.backward, (q, k, v, o, log_sum, go.float().contiguous(), *gradients), ctx.sizes)
        return *(g.to(ctx.dtype) for g in gradients), None, None


def _plain(q, k, v, heads, causal):
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
    if causal:
        scores = scores + torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype).triu(1)
    return (scores.softmax(-1, dtype=scores.dtype) @ v).transpose(1, 2).flatten(2)


def attend(q, k, v, heads=1, causal=False):
    """softmax(q k^T / sqrt(d)) v for q [n, tq, heads * d], k and v [n, tk, heads * d]; the result is like q."""
    if q.is_cuda:
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)
    fits = k.shape[1] <= 1024 and q.shape[-1] // heads <= 64
    return _Compiled.apply(q, k, v, heads, causal) if _library and fits else _plain(q, k, v, heads, causal)
