"""Trains the demo model on the drawings that drawings.mjs has made. See README.md beside this file.

    python3 train.py vae  --data DIR --out DIR --minutes 15
    python3 train.py text --data DIR --out DIR --tokenizer DIR --minutes 20
    python3 train.py unet --data DIR --out DIR --tokenizer DIR --minutes 90

All stages run for the minutes given (the learning rate falls with the share of them that is used up, so a slower machine
gets fewer steps, not a half-finished schedule) and write their weights, every few minutes too, as OUT/vae.pt,
OUT/text.pt and OUT/unet.pt; `export.py` makes the diffusers folder of them.
"""
import argparse
import multiprocessing
import random
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from common import Clock, Ema, cache_latents, caption, count, fidelity, load_drawings, on_background, parameters_of
from model import SCHEDULE, AutoencoderKL, ClipText, UNet, alphas_cumprod
from muon import MuonAdamW, share
from read import train_text
from tokenizer import Tokenizer
from wordings import train_wordings


def vae_batch(rgba, size):
    """Random drawings in many dresses: the VAE has to serve the styles that LoRAs will teach, not the base's own alone."""
    n = rgba.shape[0]
    picked = rgba[torch.randint(n, (size,))].clone()
    colour = torch.ones(size, 3)
    for i in range(size):
        r = random.random()
        if r < 0.2:
            colour[i] = torch.rand(3)
        elif r < 0.4:
            colour[i] = torch.rand(3) * 0.2
        r = random.random()
        if r < 0.15:
            picked[i, :3] = picked[i, torch.randperm(3)]
        elif r < 0.25:
            picked[i, :3] = 1 - picked[i, :3]
        elif r < 0.35:
            # Ink: the outlines of shapes alone.
            grey = picked[i, :3].mean(0) * picked[i, 3] + (1 - picked[i, 3])
            edges = (grey[1:, 1:] - grey[:-1, 1:]).abs() + (grey[1:, 1:] - grey[1:, :-1]).abs()
            ink = F.pad((edges * 6).clamp(0, 1), (1, 0, 1, 0))
            picked[i, :3], picked[i, 3] = torch.rand(3, 1, 1).round(), ink
        if random.random() < 0.5:
            picked[i] = picked[i].flip(-1)
        if random.random() < 0.5:
            picked[i] = picked[i].roll((random.randint(-16, 16), random.randint(-16, 16)), (1, 2))
    image = on_background(picked, colour)
    for i in range(size):
        if random.random() < 0.15:
            blocks = random.choice([2, 4])
            image[i] = F.interpolate(
                F.avg_pool2d(image[i : i + 1], blocks), scale_factor=float(blocks), mode="nearest"
            )[0]
    return image


def psnr(vae, images):
    """Mean PSNR in dB of images in [-1, 1], after rounding to 8 bits."""
    with torch.no_grad():
        out = vae.decode(vae.encode(images)[0]).float()
    to8 = lambda x: ((x.clamp(-1, 1) + 1) * 127.5).round() / 255
    mse = ((to8(out) - to8(images)) ** 2).mean((1, 2, 3)).clamp_min(1e-9)
    return float((-10 * torch.log10(mse)).mean())


def train_vae(args):
    _, rgba = load_drawings(args.data)
    vae = AutoencoderKL().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0)
    ema, clock, step = Ema([vae], 0.998), Clock(args.minutes), 0
    white = on_background(rgba[::8], torch.ones(len(rgba[::8]), 3))
    save = lambda: torch.save(vae.state_dict(), args.out / "vae.pt")
    while clock.share() < 1:
        for group in optimizer.param_groups:
            group["lr"] = clock.rate(2e-3)
        x = vae_batch(rgba, 16).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            mean, logvar = vae.encode(x)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
            out = vae.decode(z).float()
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        loss = F.mse_loss(out, x) + 0.1 * F.l1_loss(out, x) + args.kl * kl
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        ema.update()
        step += 1
        if clock.every(60):
            ema.swap()
            print(f"vae {clock.share():.3f} step {step} loss {loss:.5f} kl {kl:.2f} std {mean.std():.2f} psnr {psnr(vae, white):.2f}", flush=True)
            save()
            ema.swap()
    ema.swap()
    save()
    print(f"vae done: {step} steps, psnr {psnr(vae, white):.2f} dB")


@torch.no_grad()
def ddim(unet, text, tokenizer, prompts, noise, guidance, steps):
    """Scaled latents by DDIM (Song et al. 2021) with leading timesteps, from noise [n, 4, 16, 16]."""
    acp = alphas_cumprod()
    context = text(tokenizer.batch(prompts))
    blank = text(tokenizer.batch([""])).expand_as(context)
    x = noise
    stride = 1000 // steps
    for t in range(1 + stride * (steps - 1), -1, -stride):
        both = unet(torch.cat([x, x]), torch.full((2 * len(x),), t), torch.cat([blank, context])).float()
        low, high = both.chunk(2)
        eps = low + guidance * (high - low)
        a, b = acp[t], acp[t - stride] if t >= stride else acp[0]
        x = b.sqrt() * (x - (1 - a).sqrt() * eps) / a.sqrt() + (1 - b).sqrt() * eps
    return x


def sample(unet, text, tokenizer, prompts, guidance=3.0, steps=20, seed=0):
    """The same, from the noise of one seed for all prompts together."""
    noise = torch.randn(len(prompts), 4, 16, 16, generator=torch.Generator().manual_seed(seed))
    return ddim(unet, text, tokenizer, prompts, noise, guidance, steps)


def timesteps(size):
    """Evenly spread over the schedule, the noisier half twice as often: there a name alone has to tell what to draw."""
    u = (torch.arange(size) + torch.rand(size)) / size
    u = u[torch.randperm(size)]
    noisier = torch.rand(size) < 0.33
    top = SCHEDULE["num_train_timesteps"]
    return torch.where(noisier, top // 2 + u * (top // 2), u * top).long()


def train_unet(args, rank=0):
    """On `args.ranks` processes of one thread each, which share their gradients: on a busy machine threads would wait for each other."""
    torch.set_num_threads(1 if args.ranks > 1 else args.threads)
    torch.manual_seed(args.seed * 100 + rank)
    random.seed(args.seed * 100 + rank)
    if args.ranks > 1:
        dist.init_process_group("gloo", f"file://{(args.out / 'ranks').resolve()}", rank=rank, world_size=args.ranks)
    names, rgba = load_drawings(args.data)
    drawings = on_background(rgba, torch.ones(len(rgba), 3))
    vae = AutoencoderKL()
    vae.load_state_dict(torch.load(args.out / "vae.pt"))
    latents, scaling = cache_latents(vae, drawings)
    tokenizer = Tokenizer(args.tokenizer)
    unet = UNet()
    text = ClipText(len(tokenizer.vocab))
    say = print if rank == 0 else lambda *_, **__: None
    say(f"unet {count(unet)} text {count(text)} vae {count(vae)} parameters, scaling factor {scaling:.5f}", flush=True)
    modules, seen, step, before = [unet, text], 0, 0, 0
    if args.text:
        # It knows the names already, and random cross-attention would only spoil it: it stays as it is.
        text.load_state_dict(torch.load(args.text))
        text.requires_grad_(False)
        modules = [unet]
    if args.resume:
        start = torch.load(args.resume)
        unet.load_state_dict(start["unet"])
        if not args.text:
            text.load_state_dict(start["text"])
        seen, step, before, scaling = start["images"], start["steps"], start.get("minutes", 0), start["scaling"]
    latents = latents * scaling
    unet = unet.to(memory_format=torch.channels_last)
    if args.ranks > 1:
        for p in parameters_of(modules):
            dist.broadcast(p.data, 0)
    optimizer = MuonAdamW(modules)
    ema, clock, losses = Ema(modules, 0.998), Clock(args.minutes), []
    acp = alphas_cumprod()
    probe = torch.randperm(len(names), generator=torch.Generator().manual_seed(1))[:96].tolist()
    size = args.batch // args.ranks

    def save():
        torch.save(
            dict(
                unet=unet.state_dict(), text=text.state_dict(), scaling=scaling, steps=step, batch=args.batch, images=seen,
                minutes=before + clock.share() * args.minutes,
            ),
            args.out / "unet.tmp",
        )  # fmt: skip
        (args.out / "unet.tmp").rename(args.out / "unet.pt")

    # Every rank draws the same order and takes its part.
    orders, order = torch.Generator().manual_seed(args.seed + seen), []
    while True:
        # The first rank's clock counts, lest one stops and the other waits for it.
        share_done = torch.tensor([clock.share(), clock.rate(1.0)])
        if args.ranks > 1:
            dist.broadcast(share_done, 0)
        done, rate = share_done.tolist()
        if done >= 1:
            break
        if len(order) < args.batch:
            order = torch.randperm(len(names), generator=orders).tolist() + order
        batch, order = order[-args.batch :][rank :: args.ranks], order[: -args.batch]
        x = latents[batch]
        t = timesteps(size)
        noise = torch.randn_like(x)
        a = acp[t][:, None, None, None]
        noisy = (a.sqrt() * x + (1 - a).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        # Nothing but the end of text stands behind the first two dozen tokens. They are left out most of the time, and in the end never.
        length = 77 if done > 0.85 or random.random() < 0.15 else 24
        ids = tokenizer.batch(["" if random.random() < 0.1 else caption(names[i]) for i in batch])[:, :length]
        predicted = unet(noisy, t, text(ids))
        # Epsilon's error times `weight` is the clean picture's error times the signal-to-noise ratio, held within bounds: above
        # as in min-SNR (Hang et al. 2023), for the low noise levels would else take most of the gradient; below because it is
        # in the high ones that a name alone has to tell what to draw.
        snr = acp[t] / (1 - acp[t])
        weight = snr.clamp(0.25, 4) / snr
        loss = (weight * ((predicted - noise) ** 2).mean((1, 2, 3))).mean()
        for p in parameters_of(modules):
            p.grad = None
        loss.backward()
        if args.ranks > 1:
            share([p.grad for p in parameters_of(modules)], args.ranks)
        torch.nn.utils.clip_grad_norm_(parameters_of(modules), 1.0)
        optimizer.step(args.lr * rate, args.muon * rate)
        ema.update()
        step, seen = step + 1, seen + args.batch
        losses.append(float(loss.detach()))
        if clock.every(60):
            say(f"unet {done:.3f} step {step} images {seen} loss {sum(losses[-200:]) / len(losses[-200:]):.5f}", flush=True)
        if rank == 0 and clock.time_to_save(args.report):
            ema.swap()
            save()
            z = sample(unet, text, tokenizer, [names[i] for i in probe], args.guidance)
            with torch.no_grad():
                pictures = vae.decode(z / scaling).float()
            print("unet fidelity same %.2f, noun %.2f" % fidelity(pictures, probe, names, drawings), flush=True)
            grid(pictures[:48], args.out / "samples.png")
            ema.swap()
    ema.swap()
    if rank == 0:
        save()
    say(f"unet done: {step} steps")


def train_unet_on_ranks(args):
    if args.ranks == 1:
        return train_unet(args)
    (args.out / "ranks").unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=train_unet, args=(args, rank), daemon=True) for rank in range(1, args.ranks)]
    for other in others:
        other.start()
    train_unet(args)


def grid(pictures, path):
    from PIL import Image

    rows = [torch.cat(list(row), 2) for row in pictures.split(8)]
    array = ((torch.cat(rows, 1).clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["vae", "text", "unet", "wordings"])
    parser.add_argument("--data", type=Path, required=True, help="what drawings.mjs wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, help="vocab.json and merges.txt of the demo model (text, unet)")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3, help="of AdamW: embeddings, biases, norms, outermost layers (unet only)")
    parser.add_argument("--muon", type=float, default=0.02, help="learning rate of Muon: all other matrices (unet only)")
    parser.add_argument("--guidance", type=float, default=5, help="of the samples on the way (unet only)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ranks", type=int, default=1, help="processes of one thread each (unet only)")
    parser.add_argument("--kl", type=float, default=1e-5)
    parser.add_argument("--resume", type=Path, help="a unet.pt to go on from (unet only)")
    parser.add_argument("--text", type=Path, help="a text.pt: the text encoder is not trained with the UNet (unet only)")
    parser.add_argument("--report", type=float, default=8, help="minutes between saved weights and samples")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    dict(vae=train_vae, text=train_text, unet=train_unet_on_ranks, wordings=train_wordings)[args.stage](args)
