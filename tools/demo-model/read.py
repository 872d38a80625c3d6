"""The text encoder's own training, before the UNet's: its states have to tell what the drawing of a name looks like.

A reader attends to the states just as a UNet's cross-attention will, and guesses the clean latents from them. That loss knows
neither noise nor timesteps, and costs a sixth of a UNet's step: the text encoder learns the names in a fraction of the time
that it takes through a UNet, which then has only to learn to read what is there.
"""
import random

import torch
from torch import nn

from attention import attend
from common import Clock, Ema, cache_latents, caption, count, fidelity, load_drawings, on_background, parameters_of
from model import TEXT, AutoencoderKL, ClipText
from muon import MuonAdamW
from tokenizer import Tokenizer


class Reader(nn.Module):
    """Text states [N, t, hidden] to latents [N, 4, 16, 16], in patches of 2 x 2, each with a query of its own."""

    def __init__(self, dim=TEXT["hidden"], heads=8):
        super().__init__()
        self.heads = heads
        self.queries = nn.Parameter(torch.randn(64, dim))
        self.to_k, self.to_v = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.norm = nn.LayerNorm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.out = nn.Linear(dim, 16)

    def forward(self, states):
        q = self.queries.expand(len(states), -1, -1)
        h = self.queries + attend(q, self.to_k(states), self.to_v(states), self.heads)
        h = h + self.fc2(nn.functional.gelu(self.fc1(self.norm(h))))
        return nn.functional.pixel_shuffle(self.out(h).transpose(1, 2).unflatten(2, (8, 8)), 2)


def train_text(args):
    names, rgba = load_drawings(args.data)
    drawings = on_background(rgba, torch.ones(len(rgba), 3))
    vae = AutoencoderKL()
    vae.load_state_dict(torch.load(args.out / "vae.pt"))
    latents, scaling = cache_latents(vae, drawings)
    latents = latents * scaling
    tokenizer = Tokenizer(args.tokenizer)
    text, reader = ClipText(len(tokenizer.vocab)), Reader()
    modules = [text, reader]
    print(f"text {count(text)} reader {count(reader)} parameters", flush=True)
    optimizer, ema, clock = MuonAdamW(modules), Ema(modules, 0.998), Clock(args.minutes)
    probe = torch.randperm(len(names), generator=torch.Generator().manual_seed(1))[:200].tolist()
    step, order, losses = 0, [], []

    def report():
        ema.swap()
        torch.save(text.state_dict(), args.out / "text.pt")
        with torch.no_grad():
            guess = reader(text(tokenizer.batch([names[i] for i in probe])))
            pictures = torch.cat([vae.decode(z / scaling) for z in guess.split(50)])
        print(
            "text %.3f step %d loss %.5f, nearest drawings: same %.2f, noun %.2f"
            % (clock.share(), step, sum(losses[-50:]) / 50, *fidelity(pictures, probe, names, drawings)),
            flush=True,
        )
        ema.swap()

    while clock.share() < 1:
        if len(order) < args.batch:
            order = torch.randperm(len(names)).tolist() + order
        batch, order = order[-args.batch :], order[: -args.batch]
        length = 77 if random.random() < 0.1 else 24
        ids = tokenizer.batch([caption(names[i]) for i in batch])[:, :length]
        loss = ((reader(text(ids)) - latents[batch]) ** 2).mean()
        for p in parameters_of(modules):
            p.grad = None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters_of(modules), 1.0)
        rate = clock.rate(1.0)
        optimizer.step(args.lr * rate, args.muon * rate)
        ema.update()
        step += 1
        losses.append(float(loss.detach()))
        if clock.every(60):
            report()
    report()
