"""What PyTorch takes for a LoRA step and an image step of Stable Diffusion 1.5: the rival that docs/benchmarks.md compares us with.

    python3 tools/rival/step.py --json rival.json            on an NVIDIA GPU
    python3 tools/rival/step.py --device cpu --tiny          shows that it runs

The UNet is SD1.5's in plain torch modules (tools/demo-model/model.py, at full size), random weights: frozen, in float16. The step is that of
diffusers' train_text_to_image_lora.py with mixed precision: LoRA of rank 4 in float32 on the attention's q, k, v and out, autocast to
float16, scaled_dot_product_attention, loss scaling, gradient clipping, AdamW. The image step is one UNet call on two latents, as
guidance needs it. Nothing else of a training is in it: no encoders, no data loading. Timed with CUDA events, the median of all
repetitions after a warm-up; with and without gradient checkpointing, and through torch.compile where that works.
"""
import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo-model"))
from model import Attention, Resnet, Transformer2D, UNet, alphas_cumprod  # noqa: E402

SD15 = dict(block_out_channels=[320, 640, 1280, 1280], layers_per_block=2, cross_attention_dim=768, heads=8, groups=32)
TINY = dict(block_out_channels=[32, 64, 64, 64], layers_per_block=1, cross_attention_dim=32, heads=8, groups=8)


class LoraLinear(nn.Module):
    """A frozen linear layer plus (alpha / rank) B A, A as kaiming has it and B zero (Hu et al. 2021)."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scale = base, alpha / rank
        device = base.weight.device
        self.down = nn.Linear(base.in_features, rank, bias=False, device=device, dtype=torch.float32)
        self.up = nn.Linear(rank, base.out_features, bias=False, device=device, dtype=torch.float32)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x)) * self.scale


class Checkpointed(nn.Module):
    """Computes the layer again in the backward pass instead of keeping what it made."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, *inputs):
        return checkpoint(self.layer, *inputs, use_reentrant=False)


def make_unet(config, device, dtype):
    torch.manual_seed(0)
    with torch.device(device):
        unet = UNet(config)
    return unet.to(dtype).to(memory_format=torch.channels_last).requires_grad_(False)


def add_lora(unet, rank):
    for module in list(unet.modules()):
        if isinstance(module, Attention):
            for name in ("to_q", "to_k", "to_v"):
                setattr(module, name, LoraLinear(getattr(module, name), rank, rank))
            module.to_out[0] = LoraLinear(module.to_out[0], rank, rank)
    return [p for p in unet.parameters() if p.requires_grad]


def add_checkpoints(unet):
    for parent in list(unet.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, (Resnet, Transformer2D)):
                setattr(parent, name, Checkpointed(child))


class Clock:
    """Milliseconds of each call: CUDA events on a GPU, the wall clock elsewhere."""

    def __init__(self, device):
        self.cuda = device.type == "cuda"

    def time(self, call, repetitions, warmup):
        for _ in range(warmup):
            call()
        if not self.cuda:
            times = []
            for _ in range(repetitions):
                start = time.perf_counter()
                call()
                times.append((time.perf_counter() - start) * 1e3)
            return times
        events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repetitions)]
        torch.cuda.synchronize()
        for start, end in events:
            start.record()
            call()
            end.record()
        torch.cuda.synchronize()
        return [start.elapsed_time(end) for start, end in events]


def training_step(unet, parameters, config, batch, side, device, dtype):
    """A function that does one step on fixed latents with fresh noise."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8, fused=device.type == "cuda")
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    latents = torch.randn(batch, 4, side, side, device=device).to(memory_format=torch.channels_last)
    context = torch.randn(batch, 77, config["cross_attention_dim"], device=device, dtype=dtype)
    acp = alphas_cumprod().to(device)

    def step():
        noise = torch.randn_like(latents)
        t = torch.randint(1000, (batch,), device=device)
        a = acp[t][:, None, None, None]
        noisy = (a.sqrt() * latents + (1 - a).sqrt() * noise).to(dtype)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            predicted = unet(noisy, t, context)
        scaler.scale(F.mse_loss(predicted.float(), noise)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

    return step


def image_step(unet, config, side, device, dtype):
    latents = torch.randn(2, 4, side, side, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    context = torch.randn(2, 77, config["cross_attention_dim"], device=device, dtype=dtype)
    t = torch.full((2,), 500, device=device)

    @torch.no_grad()
    def step():
        unet(latents, t, context)

    return step


def main(args):
    device = torch.device(args.device)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    config, side = (TINY, 16) if args.tiny else (SD15, args.size // 8)
    clock, rows = Clock(device), []

    def measure(what, batch, make, compiled=False, **more):
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        row = dict(what=what, batch=batch, compiled=compiled, **more)
        try:
            times = clock.time(make(), args.repetitions, args.warmup)
            row |= dict(ms=statistics.median(times), fastest_ms=min(times))
            if device.type == "cuda":
                row["peak_bytes"] = torch.cuda.max_memory_allocated()
            print(f"{what}, batch {batch}{', compiled' if compiled else ''} {more or ''}: {row['ms']:.2f} ms", flush=True)
        except Exception as error:  # Out of memory, or a compiler that is not there: the other rows are worth having.
            row["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
            print(f"{what}, batch {batch}: {row['error']}", flush=True)
        rows.append(row)

    def trainable(checkpointing, compiled):
        unet = make_unet(config, device, dtype)
        parameters = add_lora(unet, args.rank)
        if checkpointing:
            add_checkpoints(unet)
        return (torch.compile(unet) if compiled else unet), parameters

    def frozen(compiled):
        unet = make_unet(config, device, dtype)
        return torch.compile(unet) if compiled else unet

    variants = [False, True] if args.compile else [False]
    for compiled in variants:
        for batch in args.batch:
            for checkpointing in (False, True):
                measure(
                    "training step",
                    batch,
                    lambda: training_step(*trainable(checkpointing, compiled), config, batch, side, device, dtype),
                    compiled,
                    checkpointing=checkpointing,
                )
        measure("image step", 2, lambda: image_step(frozen(compiled), config, side, device, dtype), compiled)
    report = dict(
        torch=torch.__version__,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        dtype=str(dtype),
        size=side * 8,
        rank=args.rank,
        parameters=sum(p.numel() for p in make_unet(config, device, dtype).parameters()),
        rows=rows,
    )
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{report['device']}, torch {report['torch']}, {report['parameters']:,} parameters in {report['dtype']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write all numbers as JSON")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", type=int, default=512, help="of the images, in pixels")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2], help="batch sizes of the training step")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="a small model at 128 px, for trying the program")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    main(parser.parse_args())
