"""A random model of text with a checkpoint's tokenizer: `text_model.py <checkpoint> <folder>`."""

import sys

from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

if __name__ == "__main__":
    checkpoint, folder = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "initializer_range": 0.5}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = Qwen2Config(vocab_size=len(tokenizer), **sizes, **heads, **ends)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
