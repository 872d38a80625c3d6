"""Makes a diffusers folder of what train.py has trained: fp16 safetensors, configs, tokenizer.

    python3 export.py --out DIR --tokenizer DIR --to ../../public/models/demo
"""
import argparse
import json
import shutil
import struct
from pathlib import Path

import torch

from model import SCHEDULE, TEXT, UNET, VAE


def write_safetensors(path, state):
    """The safetensors format: header length (u64), JSON header padded with blanks to 8 bytes, then the tensors' bytes."""
    header, offset, chunks = {"__metadata__": {"format": "pt"}}, 0, []
    for name, tensor in sorted(state.items()):
        data = tensor.detach().to(torch.float16).contiguous().numpy().tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        chunks.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def main(args):
    trained = torch.load(args.out / "unet.pt")
    vocab = json.loads((args.tokenizer / "vocab.json").read_text())
    to, levels = args.to, len(UNET["block_out_channels"])
    write_safetensors(to / "unet/diffusion_pytorch_model.safetensors", trained["unet"])
    write_safetensors(to / "text_encoder/model.safetensors", trained["text"])
    write_safetensors(to / "vae/diffusion_pytorch_model.safetensors", torch.load(args.out / "vae.pt"))
    write_json(
        to / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "_diffusers_version": "0.40.0",
            "feature_extractor": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    write_json(
        to / "unet/config.json",
        {
            "_class_name": "UNet2DConditionModel",
            "_diffusers_version": "0.40.0",
            "act_fn": "silu",
            "attention_head_dim": UNET["heads"],
            "block_out_channels": UNET["block_out_channels"],
            "center_input_sample": False,
            "cross_attention_dim": UNET["cross_attention_dim"],
            "down_block_types": ["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"],
            "downsample_padding": 1,
            "flip_sin_to_cos": True,
            "freq_shift": 0,
            "in_channels": 4,
            "layers_per_block": UNET["layers_per_block"],
            "mid_block_scale_factor": 1,
            "norm_eps": 1e-05,
            "norm_num_groups": UNET["groups"],
            "out_channels": 4,
            "sample_size": UNET["sample_size"],
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1),
        },
    )
    depth = len(VAE["block_out_channels"])
    write_json(
        to / "vae/config.json",
        {
            "_class_name": "AutoencoderKL",
            "_diffusers_version": "0.40.0",
            "act_fn": "silu",
            "block_out_channels": VAE["block_out_channels"],
            "down_block_types": ["DownEncoderBlock2D"] * depth,
            "force_upcast": False,
            "in_channels": 3,
            "latent_channels": VAE["latent_channels"],
            "layers_per_block": VAE["layers_per_block"],
            "norm_num_groups": VAE["groups"],
            "out_channels": 3,
            "sample_size": VAE["sample_size"],
            "scaling_factor": round(trained["scaling"], 6),
            "up_block_types": ["UpDecoderBlock2D"] * depth,
        },
    )
    write_json(
        to / "text_encoder/config.json",
        {
            "architectures": ["CLIPTextModel"],
            "attention_dropout": 0.0,
            "bos_token_id": vocab["<|startoftext|>"],
            "dropout": 0.0,
            "eos_token_id": vocab["<|endoftext|>"],
            "hidden_act": "quick_gelu",
            "hidden_size": TEXT["hidden"],
            "initializer_factor": 1.0,
            "initializer_range": 0.02,
            "intermediate_size": TEXT["intermediate"],
            "layer_norm_eps": 1e-05,
            "max_position_embeddings": TEXT["positions"],
            "model_type": "clip_text_model",
            "num_attention_heads": TEXT["heads"],
            "num_hidden_layers": TEXT["layers"],
            "pad_token_id": vocab["<|endoftext|>"],
            "projection_dim": TEXT["hidden"],
            "torch_dtype": "float16",
            "vocab_size": len(vocab),
        },
    )
    write_json(
        to / "scheduler/scheduler_config.json",
        {
            "_class_name": "DDIMScheduler",
            "_diffusers_version": "0.40.0",
            "beta_end": SCHEDULE["beta_end"],
            "beta_schedule": "scaled_linear",
            "beta_start": SCHEDULE["beta_start"],
            "clip_sample": False,
            "num_train_timesteps": SCHEDULE["num_train_timesteps"],
            "prediction_type": "epsilon",
            "set_alpha_to_one": False,
            "steps_offset": 1,
            "timestep_spacing": "leading",
            "trained_betas": None,
        },
    )
    (to / "tokenizer").mkdir(parents=True, exist_ok=True)
    for file in args.tokenizer.iterdir():
        shutil.copy(file, to / "tokenizer" / file.name)
    total = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
    print(f"{to}: {total / 1e6:.1f} MB after {trained['steps']} steps of {trained['batch']} ({trained['images']} images)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="train.py's OUT")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    main(parser.parse_args())
