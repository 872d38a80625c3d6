"""Lets the text encoder pass over words that it does not know, after the UNet's training.

"pixel art of a cactus" should draw a cactus: the style is for a LoRA to learn. The text encoder has never seen such words, and
they spoil what it says of the cactus. A copy of it (the teacher) says what the name alone gives; the text encoder learns to say the
same of the name, and of the padding behind it, whatever words stand around the name. What it says of the training's own wordings stays.
"""
import copy
import random

import torch

from common import Clock, caption, load_drawings, parameters_of
from model import ClipText
from tokenizer import Tokenizer

STYLES = (
    "pixel art|an ink drawing|a neon sign|a watercolour|an oil painting|a pencil sketch|a photo|a statue|a stained glass window|a mosaic|an origami|"
    "a cartoon|a comic|an etching|a woodcut|a poster|a logo|a sticker|a tattoo|a blueprint|a doodle|a chalk drawing|a crayon drawing|a render|"
    "a low poly model|a plush toy|a clay figure|a paper cut|an embroidery|a silhouette|a stamp|a painting|an illustration|line art|clip art|concept art"
).split("|")
LOOKS = (
    "pixelated|black and white|glowing|dark|bright|colourful|minimal|detailed|vintage|retro|modern|abstract|cute|flat|shiny|soft|sharp|blurry|pastel|"
    "vivid|monochrome|gothic|cubist|impressionist|baroque|futuristic|8 bit|16 bit|hand drawn|high quality|best quality|masterpiece|outlined|inked"
).split("|")


def nonsense():
    return "".join(random.choice("bcdfghjklmnprstvwz") + random.choice("aeiou") for _ in range(random.randint(1, 3)))


def styled(name):
    """A name among words of no meaning to the base: (words before, name, words behind)."""
    article = random.choice(["", "an " if name[0] in "aeiou" else "a "])
    look = random.choice(LOOKS) if random.random() < 0.6 else nonsense()
    style = random.choice(STYLES) if random.random() < 0.7 else f"a {nonsense()} {random.choice(['drawing', 'picture', nonsense()])}"
    return random.choice(
        [(f"{style} of {article}", ""), (f"{look} {style} of {article}", ""), (f"{look} ", ""), (article, f", {look}"), (article, f", {style}, {look}"),
         (article, f" in {look} style"), (f"{nonsense()} {article}", ""), (f"{style}, {article}", "")]
    )  # fmt: skip


def train_wordings(args):
    names, _ = load_drawings(args.data)
    tokenizer = Tokenizer(args.tokenizer)
    trained = torch.load(args.out / "unet.pt")
    text = ClipText(len(tokenizer.vocab))
    text.load_state_dict(trained["text"])
    teacher = copy.deepcopy(text).requires_grad_(False)
    optimizer = torch.optim.AdamW(text.parameters(), lr=0, betas=(0.9, 0.99), weight_decay=0)
    clock, step, losses, half = Clock(args.minutes), 0, [], args.batch // 2
    tokens = lambda t: len(tokenizer.encode(t)) - tokenizer.encode(t).count(tokenizer.vocab["<|endoftext|>"]) - 1
    while clock.share() < 1:
        length = 77 if random.random() < 0.2 else 32
        picked = random.sample(names, half)
        around = [styled(name) for name in picked]
        known = tokenizer.batch([caption(name) for name in random.sample(names, half)] + picked)[:, :length]
        ids = torch.cat([known[:half], tokenizer.batch([f"{b}{n}{a}" for n, (b, a) in zip(picked, around)])[:, :length]])
        with torch.no_grad():
            wanted = teacher(known)
            for i, (before, after) in enumerate(around):
                # The name's own states, wherever it stands now; the words around it say what the start says: nothing.
                row, plain = half + i, wanted[half + i].clone()
                first, count = 1 + tokens(before.strip()) if before.strip() else 1, tokens(picked[i])
                end = first + count + (tokens(after) if after else 0)
                wanted[row, 1:end] = plain[0]
                wanted[row, first : first + count] = plain[1 : 1 + count]
                wanted[row, end:] = plain[end:]
        loss = ((text(ids) - wanted) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters_of([text]), 1.0)
        optimizer.param_groups[0]["lr"] = clock.rate(args.lr)
        optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        if clock.every(30):
            print(f"wordings {clock.share():.3f} step {step} loss {sum(losses[-50:]) / len(losses[-50:]):.5f}", flush=True)
    torch.save({**trained, "text": text.state_dict()}, args.out / "unet.pt")
