"""Muon (Jordan et al. 2024) for the matrices, AdamW for everything else.

Muon steps along the orthogonal matrix nearest to the momentum, so that rare directions move as far as common ones: with one
drawing a name nearly everything that the demo model has to learn is rare (Wang et al. 2025). Here it needs a good deal fewer
passes over the drawings than AdamW alone.
"""
import torch
import torch.distributed as dist


def orthogonal(batch, steps=5):
    """Newton and Schulz' iteration for the nearest orthogonal matrices to [k, m, n], m <= n, singular values within 0.7..1.2."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = batch / (batch.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        y = x @ x.mT
        x = a * x + (b * y + c * y @ y) @ x
    return x


class MuonAdamW:
    """One optimizer over named parameters of several modules. With several ranks each takes its share of the matrices."""

    def __init__(self, modules, weight_decay=0.01):
        named = [(name, p) for m in modules for name, p in m.named_parameters()]
        # Embeddings look rows up, the outermost layers face data: neither is a map between hidden features.
        outer = ("embedding.weight", "conv_in.", "conv_out.")
        is_matrix = lambda name, p: p.ndim >= 2 and not any(part in name for part in outer)
        self.matrices = [p for name, p in named if is_matrix(name, p)]
        self.adamw = torch.optim.AdamW(
            [
                dict(params=[p for name, p in named if not is_matrix(name, p) and "token_embedding" not in name], factor=1.0),
                # A row of it has a gradient only when its token is in the batch.
                dict(params=[p for name, p in named if "token_embedding" in name], factor=3.0),
            ],
            betas=(0.9, 0.99),
            weight_decay=0,
        )
        self.momenta = [torch.zeros_like(p) for p in self.matrices]
        self.weight_decay = weight_decay
        groups = {}
        for i, p in enumerate(self.matrices):
            groups.setdefault(tuple(sorted(p.flatten(1).shape)), []).append(i)
        self.groups = groups

    @torch.no_grad()
    def step(self, adamw_rate, muon_rate):
        rank, ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        for group in self.adamw.param_groups:
            group["lr"] = adamw_rate * group["factor"]
        self.adamw.step()
        updates = [torch.zeros_like(p) for p in self.matrices]
        for shape, members in self.groups.items():
            for i in members:
                self.momenta[i].lerp_(self.matrices[i].grad, 0.05)
            mine = members[rank::ranks]
            if not mine:
                continue
            # Nesterov's look ahead.
            wide = [self.matrices[i].grad.lerp(self.momenta[i], 0.95).flatten(1) for i in mine]
            flipped = [w.shape[0] > w.shape[1] for w in wide]
            result = orthogonal(torch.stack([w.mT if f else w for w, f in zip(wide, flipped)]))
            for i, f, r in zip(mine, flipped, result):
                p = self.matrices[i]
                rows, columns = p.flatten(1).shape
                updates[i].copy_(((r.mT if f else r) * max(1, rows / columns) ** 0.5).reshape(p.shape))
        if ranks > 1:
            share(updates)
        torch._foreach_mul_(self.matrices, 1 - muon_rate * self.weight_decay)
        torch._foreach_add_(self.matrices, updates, alpha=-muon_rate)


def share(tensors, divide_by=1):
    """Sums over the ranks, in place."""
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    flat /= divide_by
    offset = 0
    for t in tensors:
        t.copy_(flat[offset : offset + t.numel()].view(t.shape))
        offset += t.numel()
