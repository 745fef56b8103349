"""Networks of the codec: tokenizer, quantizer, weights. Knows no video files and no bytes."""
