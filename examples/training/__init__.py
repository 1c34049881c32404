"""How the tiny model came about, and what is made of it: training, fine-tuning, miniatures."""
