"""What the package is for, in short scripts; training, benchmark, load and publishing below."""
