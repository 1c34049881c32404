"""The tiny model, fine-tuned on what `ecso datagen` writes."""
