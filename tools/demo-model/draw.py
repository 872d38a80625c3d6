"""Draws the pictures that measure.ts asks for in plain torch, ten times as fast on a CPU as a software GPU does.

    python3 draw.py --plan plan.json --model ../../public/models/demo [--lora STEP=FILE...] --to DIR

The plan is what `npm run demo:measure -- --plan plan.json` wrote; `npm run demo:measure -- --drawn DIR` then scores the
pictures. They are the studio's own but for the last bits (src/cli/demoModel.gpu.test.ts holds them together). LoRA files are in kohya's form.
"""
import argparse
import json
from pathlib import Path

import torch
from PIL import Image

from reference import load, read_safetensors
from train import ddim


def merge(unet, path):
    """Adds alpha / rank * up @ down to the weights; what is in the file must be in the UNet."""
    weights = {name.removesuffix(".weight").replace(".", "_"): p for name, p in unet.named_parameters()}
    state = read_safetensors(path)
    for name in [name for name in state if name.endswith(".lora_down.weight")]:
        layer = name.removesuffix(".lora_down.weight")
        down, up = state[name], state[f"{layer}.lora_up.weight"]
        alpha = float(state[f"{layer}.alpha"]) / down.shape[0]
        weight = weights[layer.removeprefix("lora_unet_")].data
        weight += alpha * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)


@torch.no_grad()
def draw(parts, prompts, sampling, folder):
    unet, vae, text, tokenizer, scaling = parts
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(0, len(prompts), 20):
        chunk = prompts[at : at + 20]
        seeds = [torch.Generator().manual_seed(sampling["seed"] + at + i) for i in range(len(chunk))]
        noise = torch.cat([torch.randn(1, 4, 16, 16, generator=seed) for seed in seeds])
        latents = ddim(unet, text, tokenizer, chunk, noise, sampling["guidanceScale"], sampling["numInferenceSteps"])
        for i, picture in enumerate(vae.decode(latents / scaling).clamp(-1, 1)):
            array = ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
            Image.fromarray(array).save(folder / f"{at + i}.png")
    print(f"{folder}: {len(prompts)} pictures", flush=True)


def main(args):
    plan = json.loads(args.plan.read_text())
    rows, sampling = plan["rows"], plan["sampling"]
    for name in ("prompts", "base"):
        draw(load(args.model), rows[name], sampling, args.to / name)
    for step, file in [("0", None), *(lora.split("=", 1) for lora in args.lora)]:
        parts = load(args.model)
        if file:
            merge(parts[0], Path(file))
        draw(parts, rows["style"], sampling, args.to / f"style-{step}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--lora", nargs="*", default=[], metavar="STEP=FILE", help="an adapter that was trained so far")
    parser.add_argument("--to", type=Path, required=True)
    main(parser.parse_args())
