"""What the stages of the training share: data, clock, moving average, and how good pictures are."""
import json
import math
import random
import time

import numpy as np
import torch
import torch.nn.functional as F


def load_drawings(folder):
    """Names, and RGBA in 0..1 as [n, 4, side, side]."""
    meta = json.loads((folder / "drawings.json").read_text())
    side, names = meta["side"], meta["names"]
    data = np.fromfile(folder / "drawings.rgba", np.uint8).reshape(len(names), side, side, 4)
    return names, torch.from_numpy(data).permute(0, 3, 1, 2).float() / 255


def on_background(rgba, colour):
    """RGB in [-1, 1] over a colour [n, 3] in 0..1."""
    rgb, alpha = rgba[:, :3], rgba[:, 3:]
    return (rgb * alpha + colour[:, :, None, None] * (1 - alpha)) * 2 - 1


class Clock:
    """The share of the minutes that is used up, and a report now and then."""

    def __init__(self, minutes):
        self.start, self.seconds, self.said, self.saved = time.time(), minutes * 60, 0.0, time.time()

    def share(self):
        return (time.time() - self.start) / self.seconds

    def rate(self, peak, warmup=0.01):
        """Warm-up, then half a cosine down to zero."""
        s = self.share()
        return peak * min(1, s / warmup) * (0.5 + 0.5 * math.cos(math.pi * min(1, s)))

    def every(self, seconds):
        if time.time() - self.said < seconds:
            return False
        self.said = time.time()
        return True

    def time_to_save(self, minutes):
        if time.time() - self.saved < minutes * 60:
            return False
        self.saved = time.time()
        return True


class Ema:
    """A moving average of the weights, which samples better than the weights themselves (Karras et al. 2023)."""

    def __init__(self, modules, decay):
        self.parameters = [p for m in modules for p in m.parameters()]
        self.average = [p.detach().clone() for p in self.parameters]
        self.decay, self.steps = decay, 0

    def update(self):
        self.steps += 1
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - min(self.decay, self.steps / (self.steps + 10)))

    def swap(self):
        """Puts the average into the modules, or takes it out again."""
        for p, a in zip(self.parameters, self.average):
            p.data, a.data = a.data, p.data


WORDINGS = [
    "{}", "{}", "{}", "{}", "{}", "{}",
    "an emoji of {a}", "{a}", "{a} on white", "emoji of {}", "a drawing of {a}", "{} emoji", "a picture of {a}",
]  # fmt: skip


def caption(name):
    """A name as people prompt it."""
    article = "an" if name[0] in "aeiou" else "a"
    return random.choice(WORDINGS).format(name, a=f"{article} {name}")


@torch.no_grad()
def cache_latents(vae, images):
    """Means of the latents, and the factor that gives them unit variance."""
    vae.eval()
    latents = torch.cat([vae.encode(chunk)[0] for chunk in images.split(64)])
    return latents, float(1 / latents.std())


def fidelity(decoded, indices, names, drawings):
    """How many pictures lie nearest (MSE after 2x downsampling) to a drawing of the same name, or of the same last word."""
    small = lambda x: F.avg_pool2d(x, 2).flatten(1)
    nearest = torch.cdist(small(decoded), small(drawings)).argmin(1)
    noun = lambda name: name.split()[-1]
    same = sum(int(j == i) for i, j in zip(indices, nearest.tolist()))
    noun_too = sum(int(noun(names[j]) == noun(names[i])) for i, j in zip(indices, nearest.tolist()))
    return same / len(indices), noun_too / len(indices)


def parameters_of(modules):
    return [p for m in modules for p in m.parameters()]


def count(module):
    return sum(p.numel() for p in module.parameters())
